// invalidation: tells tracking clients (CLIENT TRACKING) what changed, as pushes.
//
// A change is heard where it happens, under the slot's lock (keyspace_ear), and only noted, on the thread
// that changes. After the command's reply, with no slot locked, the note is settled: sessions of this worker
// get their push, those of other workers are written to through their worker's mailbox. What is broadcast
// (BCAST) is gathered until the turn ends. So a session never gets a push in the middle of a reply, gets that
// of its own change after the reply, and gets one for every key that it was noted to have read, after the
// reply that it read.
//
// A mailbox that holds more than INVALIDATION_MAILBOX_MAX bytes is emptied; its worker's sessions are told
// that everything changed. So it is with the keys that a turn gathers.
#ifndef SHOAL_CALL_INVALIDATION_H
#define SHOAL_CALL_INVALIDATION_H

#include <stdbool.h>
#include <stdint.h>

#include "call/dispatch.h"
#include "call/session.h"

enum {
    INVALIDATION_MAILBOX_MAX = 64 * 1024 * 1024,
    INVALIDATION_GATHERED_MAX = 16 * 1024 * 1024,
    INVALIDATION_EVICTED_MAX = 1000, // keys that one settling forgets when more are tracked than may be
};

// A session as the tables of readers and of broadcasts name it: never 0.
static inline uint64_t listener_of(uint64_t session_id, unsigned worker) {
    return session_id * DISPATCHERS_MAX + worker;
}
static inline unsigned listener_worker(uint64_t listener) {
    return (unsigned)(listener % DISPATCHERS_MAX);
}
static inline uint64_t listener_session(uint64_t listener) {
    return listener / DISPATCHERS_MAX;
}

// What the floor above does for us, set once at start.
struct invalidation_sinks {
    // A session of this worker, NULL: it is gone; and bytes for it. Thread: that worker.
    struct session *(*find)(unsigned worker, uint64_t session_id);
    void (*send)(unsigned worker, uint64_t session_id, struct bytes bytes);
    // run(argument) on the worker's thread. Thread: any.
    void (*post)(unsigned worker, void (*run)(void *argument), void *argument);
};

// Begins to listen to the keyspace. Before threads start.
void invalidation_start(struct keyspace *keyspace, const struct invalidation_sinks *sinks);

// Has this thread noted anything since it settled last?
extern _Thread_local bool invalidation_noted;

// Are more keys tracked than tracking-table-max-keys? Settling forgets some. Thread: any.
bool invalidation_too_many_tracked(const struct keyspace *keyspace);

// Settles what was noted, and keeps tracking-table-max-keys. `session`: whose command it was, NULL: nobody's
// that could be told. Thread: a worker, with no slot locked, after the reply.
void invalidation_settle(struct dispatcher *dispatcher, const struct session *session);

// Settles, and broadcasts what was gathered. Likewise.
void invalidation_end_turn(struct dispatcher *dispatcher);

#endif
