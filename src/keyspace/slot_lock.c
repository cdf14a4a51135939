#include "keyspace/slot_lock.h"

#include "keyspace/keyspace_private.h"

void slot_lock__take(struct keyspace *keyspace, unsigned slot) {
    lock_acquire(&keyspace->slots[slot].lock);
}

void slot_lock__release(struct keyspace *keyspace, unsigned slot) {
    lock_release(&keyspace->slots[slot].lock);
}

void slot_lock_many(struct keyspace *keyspace, const uint16_t *slots, unsigned count) {
    if (!slot_locks_needed(keyspace)) return;
    for (unsigned i = 0; i < count; i++)
        lock_acquire(&keyspace->slots[slots[i]].lock);
}

void slot_unlock_many(struct keyspace *keyspace, const uint16_t *slots, unsigned count) {
    if (!slot_locks_needed(keyspace)) return;
    for (unsigned i = count; i-- > 0;)
        lock_release(&keyspace->slots[slots[i]].lock);
}

void slot_lock_add_threads(struct keyspace *keyspace, int change) {
    // Nobody holds a slot's lock now (exclusive mode), so nobody can see the answer change between lock and unlock.
    atomic_fetch_add_explicit(&keyspace->front.threads, change, memory_order_relaxed);
}
