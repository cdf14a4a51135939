// counter: a number that one thread counts up and others read without a lock, a moment old but never torn.
// Pure.
#ifndef SHOAL_BASE_COUNTER_H
#define SHOAL_BASE_COUNTER_H

#include <stdint.h>

// Thread: the counter's own, or exclusive mode.
static inline void counter_add(uint64_t *counter, uint64_t count) {
    __atomic_store_n(counter, *counter + count, __ATOMIC_RELAXED);
}

// Likewise.
static inline void counter_set(uint64_t *counter, uint64_t value) {
    __atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

// Thread: any.
static inline uint64_t counter_read(const uint64_t *counter) {
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif
