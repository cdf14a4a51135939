// dispatch: from a parsed command to its effect: lookup, checks, routing, admission, execution, journal.
#ifndef SHOAL_CALL_DISPATCH_H
#define SHOAL_CALL_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "call/call.h"
#include "call/gate.h"
#include "journal/journal.h"
#include "resp/parser.h"

// What a worker dispatches with; one a worker.
struct dispatcher {
    unsigned worker;
    struct keyspace *keyspace;
    struct journal *journal;
    struct gate *gate;
    struct dispatch_counters *counters; // its own
    int64_t now_ms;  // wall clock, refreshed by the worker once a turn
    int64_t mono_ms;
    uint64_t ticks;      // when the last command ended
    uint64_t slow_ticks; // a command that takes at least this long is told to sinks.slow
    unsigned plain;      // enum command_plain bits: such commands need no look at the server's state
    unsigned plain_counted; // instead of `plain` while the costs of slots are counted
    bool exclusive;  // this thread has closed the gate
    bool held;       // slots are locked, or the mode is exclusive: nested commands lock nothing

    // Effects of the command (or transaction) that runs now, in RESP.
    struct buffer effects;
    unsigned effect_count;
    int effect_db, effect_first_db;
    struct buffer passing; // bytes of the primary's stream that are applied and not journaled yet
};

void dispatcher_init(struct dispatcher *dispatcher, unsigned worker, struct keyspace *keyspace, struct journal *journal,
                     struct gate *gate);
void dispatcher_free(struct dispatcher *dispatcher);

// The dispatcher that executes this call; for EXEC.
struct dispatcher *call_dispatcher(struct call *call);

// Closes the gate on behalf of this worker and opens it again; nests with commands that are exclusive already.
void dispatch_begin_exclusive(struct dispatcher *dispatcher);
void dispatch_end_exclusive(struct dispatcher *dispatcher);

// How often somebody has been exclusive so far: sessions may have been changed since. Thread: any.
uint64_t dispatch_exclusive_count(void);

// Counters of up to this many workers (and other threads that dispatch) are kept.
enum { DISPATCHERS_MAX = 64 };

enum dispatch_result {
    DISPATCH_DONE,
    DISPATCH_PARKED, // the session waits (session->waiting says for what); the command must be given again when it is woken
};

// A command on its way: what prefetching learnt about it. Filled by dispatch_prepare.
struct prepared {
    struct resp_command parsed;
    const struct command *command; // NULL: unknown
    struct bytes key;              // its first key, if that stands at a fixed place; data NULL: none
    uint64_t hash;                 // of the key
    uint32_t slot;
};

// Looks at role, settings and pauses, which only others change: called before the first of several
// dispatches, and when others may have been at work in between. Thread: the worker, inside the gate.
void dispatch_look_around(struct dispatcher *dispatcher);

// Looks the command up, finds its first key and asks the cache for its table. Takes no lock.
void dispatch_prepare(struct dispatcher *dispatcher, const struct session *session, struct prepared *prepared);
void dispatch_prepare_all(struct dispatcher *dispatcher, const struct session *session,
                          struct prepared *prepared, unsigned count);
// The second and the third wave of a batch's prefetch, for `count` commands of a session: the keys' buckets,
// then their entries.
void dispatch_prefetch_buckets(struct dispatcher *dispatcher, const struct session *session,
                               const struct prepared *prepared, unsigned count);
void dispatch_prefetch_entries(struct dispatcher *dispatcher, const struct session *session,
                               const struct prepared *prepared, unsigned count);

// Executes; the reply is appended to session->output. Thread: the session's worker, inside the gate, after
// dispatch_look_around.
enum dispatch_result dispatch(struct dispatcher *dispatcher, struct session *session,
                              const struct prepared *prepared);

// Executes the first, and maybe more, of `count` (not 0) commands that the session sent one after the other:
// those that can go the short way, and then at most one that can't. *taken: how many are done.
// DISPATCH_PARKED: the next one waits.
enum dispatch_result dispatch_some(struct dispatcher *dispatcher, struct session *session,
                                   const struct prepared *prepared, unsigned count, unsigned *taken);

// Executes a command for a session without checks of user, route, memory and pause: the primary's stream, EXEC's queue.
void dispatch_trusted(struct dispatcher *dispatcher, struct session *session, const struct command *command,
                      const struct bytes *argv, int argc, struct bytes raw);

// What the call layer tells the floors above; set once at start.
struct dispatch_sinks {
    // A command is about to run while monitors watch.
    void (*monitor)(struct dispatcher *dispatcher, const struct session *session, const struct bytes *argv, int argc);
    // Somebody was exclusive: the other workers should look after their sessions.
    void (*exclusive_ended)(struct dispatcher *dispatcher);
    // Evicts until memory is below the limit; false: it can't, the command answers OOM.
    bool (*make_room)(struct dispatcher *dispatcher);
    // A command ran for `us`: slow log and latency samples.
    void (*slow)(const struct session *session, const struct command *command, const struct bytes *argv, int argc,
                 int64_t us);
    // The command that runs now takes long (call_lingers). May be NULL.
    void (*lingers)(struct dispatcher *dispatcher);
    // An error with this code ("ERR", "WRONGTYPE" ...) was replied.
    void (*error)(const char *code, unsigned size);
};
void dispatch_set_sinks(const struct dispatch_sinks *sinks);

// Monitors now watching; the sink is called only while it is not 0. Changed in exclusive mode.
extern unsigned dispatch_monitors;

// Are the times of calls counted (latency-tracking)? Changed in exclusive mode.
extern bool dispatch_track_times;

// Times, in ticks, in buckets: eight for each doubling, the last one for all that is longer.
enum { DISPATCH_TIME_BUCKETS = 304 };
static inline unsigned dispatch_time_bucket(uint64_t ticks) {
    if (ticks < 8) return (unsigned)ticks;
    unsigned top = 63 - (unsigned)__builtin_clzll(ticks);
    unsigned bucket = (top - 3) * 8 + (unsigned)(ticks >> (top - 3)); // which has its fourth bit set
    return bucket < DISPATCH_TIME_BUCKETS ? bucket : DISPATCH_TIME_BUCKETS - 1;
}
// The longest time that belongs to a bucket.
static inline uint64_t dispatch_time_of_bucket(unsigned bucket) {
    if (bucket < 8) return bucket;
    unsigned top = bucket / 8 + 2;
    return ((uint64_t)(bucket % 8 + 9) << (top - 3)) - 1;
}

// Counters of one worker, read by INFO in exclusive mode or summed with a little blur.
struct dispatch_counters {
    uint64_t commands, hits, misses, expired, evicted, changes, errors, unauthenticated;
    struct command_counter {
        uint64_t calls, ticks, rejected, failed;
        uint32_t *times; // DISPATCH_TIME_BUCKETS of them: how long its calls took; NULL until the first that is tracked
    } *by_command; // command_count() of them
} __attribute__((aligned(64))); // workers count side by side, never in one cache line
struct dispatch_counters *dispatch_counters(unsigned worker);

// `key` may be the entry's own bytes; they are gone afterwards.
// Removes `key`, which has expired, on a primary, journaling it. The slot is locked or the mode exclusive.
void dispatch_expire(struct dispatcher *dispatcher, unsigned db, unsigned slot, struct bytes key);
// Removes `key` to make room, likewise.
void dispatch_evict(struct dispatcher *dispatcher, unsigned db, unsigned slot, struct bytes key);
// Removes `key`, which belongs to another node now, likewise.
void dispatch_drop(struct dispatcher *dispatcher, unsigned db, unsigned slot, struct bytes key);
// Journals what the three above (or effects_add) gathered. Whoever calls them outside of a command calls this before the
// slot is unlocked.
void dispatch_flush_effects(struct dispatcher *dispatcher);

#endif
