// lock: a four-byte mutual exclusion lock: free, held, or held with sleepers. It spins a little, then sleeps in the
// kernel (futex). Not recursive. All zero is a free lock.
#ifndef SHOAL_OS_LOCK_H
#define SHOAL_OS_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct lock {
    _Atomic uint32_t state;
};

// Called by lock_acquire and lock_release when somebody else is in the way.
void lock__acquire_slow(struct lock *lock);
void lock__wake(struct lock *lock);

static inline bool lock_try(struct lock *lock) {
    uint32_t expected = 0;
    return atomic_compare_exchange_strong_explicit(&lock->state, &expected, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline void lock_acquire(struct lock *lock) {
    if (__builtin_expect(!lock_try(lock), 0)) lock__acquire_slow(lock);
}

static inline void lock_release(struct lock *lock) {
    if (__builtin_expect(atomic_exchange_explicit(&lock->state, 0, memory_order_release) == 2, 0)) lock__wake(lock);
}

#endif
