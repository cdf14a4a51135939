// crew: which workers serve clients now. Work for one is done best by one: it takes more requests in a turn,
// sleeps less often and keeps what it touches in its own cache. So clients are brought together on as few
// workers as the load needs, and spread when those are busy and the machine has cores free. Who serves comes
// from the end: worker 0, which accepts connections and keeps the house (snapshots, replication, roles), is
// the last to be called.
//
// A worker that one command holds up is detained: no client's place is there until it is free again.
#ifndef SHOAL_SERVER_CREW_H
#define SHOAL_SERVER_CREW_H

#include <stdbool.h>
#include <stdint.h>

// There are `workers` of them (at most WORKERS_MAX); always_all: all of them serve, whatever the load. Before
// any thread.
void crew_start(unsigned workers, bool always_all);

// A word that is another whenever somebody's place may have changed. Thread: any.
uint32_t crew_now(void);

// The worker that serves the client of this number while the word holds. The numbers of those who came one
// after the other are spread evenly. Thread: any.
unsigned crew_place(uint32_t crew, uint64_t number);

// Where it begins: by its number, whoever serves. (Those that say at once that they track keys, follow or
// watch the server stay where they are, so they must not all begin at the same.)
unsigned crew_first_place(uint64_t number);

// How many serve. Thread: any.
unsigned crew_size(void);

// A command holds this worker up, or does so no more. False: nobody else is free, all stays as it is. Thread:
// the worker's.
bool crew_detain(unsigned worker);
void crew_release(unsigned worker);

// What was seen in a period. In cores: 1 is a core for the whole period.
struct crew_period {
    double awake;   // those who serve were at work
    double ran;     // and had a core (needed only when more than one serve, as is the next)
    double waiting; // and had work, but no core to do it on
    double idle;    // cores had nothing to do for anybody, or only for those who stand back ("nice")
};

// How many should serve after this period: more at once when those who do are busy and cores are free; one
// fewer when they wait for cores and got no more of them than one fewer could use, or when fewer have sufficed
// for a while. Thread: always the same.
void crew_judge(const struct crew_period *period);

// Does the judgement depend on `idle`, which is dear to measure? If not, that may be anything. Likewise.
bool crew_needs_idle(const struct crew_period *period);

#endif
