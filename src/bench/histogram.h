// histogram: how many latencies fell where: exact below 2048 us, then 1024 steps to each doubling, so that a
// value is known to one part in a thousand. Pure; belongs to one thread at a time.
#ifndef SHOAL_BENCH_HISTOGRAM_H
#define SHOAL_BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_EXACT = 2048,   // values below have a step each
    HISTOGRAM_STEPS = 1024,   // steps to each doubling above
    HISTOGRAM_DOUBLINGS = 21, // up to 2^32 us, more than an hour; larger values count as the largest
    HISTOGRAM_SIZE = HISTOGRAM_EXACT + HISTOGRAM_STEPS * HISTOGRAM_DOUBLINGS,
};

// All zero is empty. Values are microseconds.
struct histogram {
    uint64_t counts[HISTOGRAM_SIZE];
    uint64_t total;
    uint64_t sum;
    uint64_t minimum; // meaningless while total is 0
    uint64_t maximum;
};

// Counts `times` events of `value` us.
void histogram_record(struct histogram *histogram, uint64_t value, uint64_t times);

// Adds what `from` has counted.
void histogram_merge(struct histogram *into, const struct histogram *from);

// The smallest known value that at least `percent` (0..100) of the events do not exceed, us; 0 when empty.
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

// How many events are at most `value` us (to the resolution of the step that holds it).
uint64_t histogram_count_until(const struct histogram *histogram, uint64_t value);

// The mean, us; 0 when empty.
double histogram_mean(const struct histogram *histogram);

#endif
