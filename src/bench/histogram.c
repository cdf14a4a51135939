#include "bench/histogram.h"

#include <math.h>

static size_t step_of(uint64_t value) {
    if (value < HISTOGRAM_EXACT) return value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - 10; // leaves 1024..2047
    if (shift > HISTOGRAM_DOUBLINGS) return HISTOGRAM_SIZE - 1;
    return HISTOGRAM_EXACT + (size_t)(shift - 1) * HISTOGRAM_STEPS + (value >> shift) - HISTOGRAM_STEPS;
}

// The largest value that the step holds.
static uint64_t top_of(size_t step) {
    if (step < HISTOGRAM_EXACT) return step;
    size_t beyond = step - HISTOGRAM_EXACT;
    unsigned shift = (unsigned)(beyond / HISTOGRAM_STEPS) + 1;
    return ((uint64_t)(beyond % HISTOGRAM_STEPS + HISTOGRAM_STEPS + 1) << shift) - 1;
}

void histogram_record(struct histogram *histogram, uint64_t value, uint64_t times) {
    if (!times) return;
    histogram->counts[step_of(value)] += times;
    if (!histogram->total || value < histogram->minimum) histogram->minimum = value;
    if (value > histogram->maximum) histogram->maximum = value;
    histogram->total += times;
    histogram->sum += value * times;
}

void histogram_merge(struct histogram *into, const struct histogram *from) {
    if (!from->total) return;
    for (size_t step = 0; step < HISTOGRAM_SIZE; step++)
        into->counts[step] += from->counts[step];
    if (!into->total || from->minimum < into->minimum) into->minimum = from->minimum;
    if (from->maximum > into->maximum) into->maximum = from->maximum;
    into->total += from->total;
    into->sum += from->sum;
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent) {
    if (!histogram->total) return 0;
    uint64_t wanted = (uint64_t)ceil(percent / 100 * (double)histogram->total);
    if (wanted == 0) wanted = 1;
    if (wanted > histogram->total) wanted = histogram->total;
    uint64_t seen = 0;
    for (size_t step = 0; step < HISTOGRAM_SIZE; step++) {
        seen += histogram->counts[step];
        if (seen < wanted) continue;
        uint64_t top = top_of(step);
        return top < histogram->maximum ? top : histogram->maximum;
    }
    return histogram->maximum;
}

uint64_t histogram_count_until(const struct histogram *histogram, uint64_t value) {
    uint64_t seen = 0;
    for (size_t step = 0, last = step_of(value); step <= last; step++)
        seen += histogram->counts[step];
    return seen;
}

double histogram_mean(const struct histogram *histogram) {
    return histogram->total ? (double)histogram->sum / (double)histogram->total : 0;
}
