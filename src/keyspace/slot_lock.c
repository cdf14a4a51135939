#include "keyspace/slot_lock.h"

#include "keyspace/keyspace_private.h"

static inline bool needed(const struct keyspace *keyspace) {
    return atomic_load_explicit(&keyspace->threads, memory_order_relaxed) != 0;
}

void slot_lock(struct keyspace *keyspace, unsigned slot) {
    if (needed(keyspace)) lock_acquire(&keyspace->slots[slot].lock);
}

void slot_unlock(struct keyspace *keyspace, unsigned slot) {
    if (needed(keyspace)) lock_release(&keyspace->slots[slot].lock);
}

void slot_lock_many(struct keyspace *keyspace, const uint16_t *slots, unsigned count) {
    if (!needed(keyspace)) return;
    for (unsigned i = 0; i < count; i++)
        lock_acquire(&keyspace->slots[slots[i]].lock);
}

void slot_unlock_many(struct keyspace *keyspace, const uint16_t *slots, unsigned count) {
    if (!needed(keyspace)) return;
    for (unsigned i = count; i-- > 0;)
        lock_release(&keyspace->slots[slots[i]].lock);
}

void slot_lock_add_threads(struct keyspace *keyspace, int change) {
    // Nobody holds a slot's lock now (exclusive mode), so nobody can see the answer change between lock and unlock.
    atomic_fetch_add_explicit(&keyspace->threads, change, memory_order_relaxed);
}
