// gate: workers work inside it; whoever needs the whole server still closes it.
//
// Invariant: while somebody is exclusive, no reader is inside. A reader passes in and out once a turn of its loop, with one
// store and one load; between the two, what it loaded from shared snapshots (routes) stays valid.
#ifndef SHOAL_CALL_GATE_H
#define SHOAL_CALL_GATE_H

#include <stdbool.h>
#include <stdint.h>

enum { GATE_READERS_MAX = 64, GATE_NO_READER = -1 };

struct gate;
struct gate *gate_create(unsigned readers);
void gate_destroy(struct gate *gate);

// Reader `reader` goes in (waiting while the gate is closed) and out.
void gate_enter(struct gate *gate, unsigned reader);
void gate_leave(struct gate *gate, unsigned reader);

// Closes the gate and waits until every reader is out; then opens it again. A reader that is inside passes its own
// number, and is out while it waits: it may hold no slot lock and nothing that it loaded from a snapshot. Not recursive.
void gate_close(struct gate *gate, int reader);
void gate_open(struct gate *gate, int reader);

// Reader `reader`, which is inside and will be for long, goes out and in again if somebody waits for that; what holds for
// gate_close holds for it meanwhile. True: it was out.
bool gate_make_way(struct gate *gate, unsigned reader);

// Grace periods, for freeing what readers may still look at: mark, unlink before it; passed is true once every reader,
// and whoever was exclusive, has been out of the gate since the mark.
struct gate_mark {
    uint64_t turns[GATE_READERS_MAX];
    uint64_t exclusive;
};
void gate_mark(struct gate *gate, struct gate_mark *mark);
bool gate_passed(struct gate *gate, const struct gate_mark *mark);

// Turns of each reader's loop so far: its heartbeat.
uint64_t gate_turns(struct gate *gate, unsigned reader);

#endif
