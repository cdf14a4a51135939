// prefetch: asks the cache for what will soon be looked at. Pure.
#ifndef SHOAL_BASE_PREFETCH_H
#define SHOAL_BASE_PREFETCH_H

enum { PREFETCH_LINE = 64 }; // bytes that one request brings

// The address may be stale: it is never looked at. To the compiler a function that only reads and prefetches
// has no effect, and calls of it may go; the empty statement, which costs nothing, is one.
static inline void prefetch(const void *address) {
    __builtin_prefetch(address);
    __asm__ volatile("");
}

// Likewise for what will be written to, so that no other core has it then.
static inline void prefetch_to_write(const void *address) {
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)address)); // where it is unknown, it does nothing
#else
    __builtin_prefetch(address, 1);
    __asm__ volatile("");
#endif
}

#endif
