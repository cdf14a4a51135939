// histogram: how long a command's calls took, over all workers. The workers count into call/dispatch.h's buckets; here
// they are summed and read. Exclusive mode.
#ifndef SHOAL_SERVER_HISTOGRAM_H
#define SHOAL_SERVER_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "call/dispatch.h"

struct histogram {
    uint64_t counts[DISPATCH_TIME_BUCKETS];
    uint64_t total;
};

// False: it was never called (or times are not tracked).
bool histogram_of_command(unsigned number, struct histogram *histogram);

// Nanoseconds below which `percent` of the calls took.
double histogram_percentile(const struct histogram *histogram, double percent);

// Calls that took at most `us` microseconds.
uint64_t histogram_up_to(const struct histogram *histogram, uint64_t us);

void histogram_reset(void);

#endif
