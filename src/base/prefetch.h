// prefetch: asks the cache for what will soon be looked at. Pure.
#ifndef SHOAL_BASE_PREFETCH_H
#define SHOAL_BASE_PREFETCH_H

// The address may be stale: it is never looked at. To the compiler a function that only reads and prefetches
// has no effect, and calls of it may go; the empty statement, which costs nothing, is one.
static inline void prefetch(const void *address) {
    __builtin_prefetch(address);
    __asm__ volatile("");
}

#endif
