#include "os/ticks.h"

uint64_t ticks__ns_in_2_20 = 1 << 20;

void ticks_init(void) {
#if defined(__x86_64__)
    int64_t ns = clock_mono_ns();
    uint64_t ticks = ticks_now();
    clock_sleep_us(10000);
    ns = clock_mono_ns() - ns;
    ticks = ticks_now() - ticks;
    if (ticks) ticks__ns_in_2_20 = (uint64_t)(((unsigned __int128)(uint64_t)ns << 20) / ticks);
#endif
}
