// slot_lock: the only place where slots are locked. Several slots are locked in ascending order, each once: that is the
// whole lock order. While a slot lock is held nothing may wait for a client, a file or another thread.
//
// With one worker and no background job that touches keys, nobody could be in the way: locking then costs a test of a flag.
#ifndef SHOAL_KEYSPACE_SLOT_LOCK_H
#define SHOAL_KEYSPACE_SLOT_LOCK_H

#include <stdbool.h>

#include "keyspace/keyspace.h"

// Is anybody there who could be in the way?
static inline bool slot_locks_needed(struct keyspace *keyspace) {
    return atomic_load_explicit(&((struct keyspace_front *)keyspace)->threads, memory_order_relaxed) != 0;
}

void slot_lock__take(struct keyspace *keyspace, unsigned slot);
void slot_lock__release(struct keyspace *keyspace, unsigned slot);

static inline void slot_lock(struct keyspace *keyspace, unsigned slot) {
    if (slot_locks_needed(keyspace)) slot_lock__take(keyspace, slot);
}

static inline void slot_unlock(struct keyspace *keyspace, unsigned slot) {
    if (slot_locks_needed(keyspace)) slot_lock__release(keyspace, slot);
}

// `slots`: ascending, without repetition.
void slot_lock_many(struct keyspace *keyspace, const uint16_t *slots, unsigned count);
void slot_unlock_many(struct keyspace *keyspace, const uint16_t *slots, unsigned count);

// How many threads may touch keys besides the first worker; changed in exclusive mode (or before threads start).
// Locks are taken for real while it is not 0.
void slot_lock_add_threads(struct keyspace *keyspace, int change);

#endif
