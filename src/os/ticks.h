// ticks: the cheapest clock there is, for timing commands: the processor's invariant counter where it has one.
// Thread: any, after ticks_init.
#ifndef SHOAL_OS_TICKS_H
#define SHOAL_OS_TICKS_H

#include <stdint.h>

#include "os/clock.h"

// Measures how fast the counter runs; takes some 10 ms. Called once at start.
void ticks_init(void);

// Nanoseconds in 2^20 ticks, as measured.
extern uint64_t ticks__ns_in_2_20;

static inline uint64_t ticks_now(void) {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return (uint64_t)clock_mono_ns();
#endif
}

static inline int64_t ticks_to_ns(uint64_t ticks) {
    return (int64_t)((unsigned __int128)ticks * ticks__ns_in_2_20 >> 20);
}

static inline uint64_t ticks_of_ns(uint64_t ns) {
    return (uint64_t)(((unsigned __int128)ns << 20) / ticks__ns_in_2_20);
}

#endif
