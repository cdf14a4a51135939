#include "os/clock.h"

#include <time.h>

static int64_t read_ns(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_wall_us(void) {
    return read_ns(CLOCK_REALTIME) / 1000;
}

int64_t clock_wall_ms(void) {
    return read_ns(CLOCK_REALTIME) / 1000000;
}

int64_t clock_mono_ns(void) {
    return read_ns(CLOCK_MONOTONIC);
}

int64_t clock_mono_us(void) {
    return clock_mono_ns() / 1000;
}

int64_t clock_mono_ms(void) {
    return clock_mono_ns() / 1000000;
}

int64_t clock_thread_cpu_us(void) {
    return read_ns(CLOCK_THREAD_CPUTIME_ID) / 1000;
}

void clock_sleep_us(int64_t us) {
    struct timespec time = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&time, NULL);
}
