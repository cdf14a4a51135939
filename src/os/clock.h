// clock: the time of day and the monotonic clock. Thread: any.
#ifndef SHOAL_OS_CLOCK_H
#define SHOAL_OS_CLOCK_H

#include <stdint.h>

// Time since the Unix epoch.
int64_t clock_wall_us(void);
int64_t clock_wall_ms(void);

// Time since some moment before the process started; never goes back.
int64_t clock_mono_ns(void);
int64_t clock_mono_us(void);
int64_t clock_mono_ms(void);

// CPU time of the calling thread, microseconds.
int64_t clock_thread_cpu_us(void);

// Sleeps; a signal may end it early.
void clock_sleep_us(int64_t us);

#endif
