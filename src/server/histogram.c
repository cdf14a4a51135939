#include "server/histogram.h"

#include <string.h>

#include "os/ticks.h"

static uint64_t longest_ns(unsigned bucket) {
    return (uint64_t)ticks_to_ns(dispatch_time_of_bucket(bucket));
}

bool histogram_of_command(unsigned number, struct histogram *histogram) {
    memset(histogram, 0, sizeof *histogram);
    for (unsigned i = 0; i < DISPATCHERS_MAX; i++) {
        const struct dispatch_counters *counters = dispatch_counters(i);
        const uint32_t *times = counters->by_command ? counters->by_command[number].times : NULL;
        for (unsigned j = 0; times && j < DISPATCH_TIME_BUCKETS; j++) {
            histogram->counts[j] += times[j];
            histogram->total += times[j];
        }
    }
    return histogram->total != 0;
}

double histogram_percentile(const struct histogram *histogram, double percent) {
    uint64_t seen = 0;
    double wanted = percent / 100 * (double)histogram->total;
    for (unsigned i = 0; i < DISPATCH_TIME_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (histogram->counts[i] && (double)seen >= wanted) return (double)longest_ns(i);
    }
    return 0;
}

uint64_t histogram_up_to(const struct histogram *histogram, uint64_t us) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < DISPATCH_TIME_BUCKETS && longest_ns(i) <= us * 1000; i++)
        sum += histogram->counts[i];
    return sum;
}

void histogram_reset(void) {
    for (unsigned i = 0; i < DISPATCHERS_MAX; i++) {
        struct dispatch_counters *counters = dispatch_counters(i);
        for (unsigned j = 0; counters->by_command && j < command_count(); j++)
            if (counters->by_command[j].times)
                memset(counters->by_command[j].times, 0, DISPATCH_TIME_BUCKETS * sizeof(uint32_t));
    }
}
