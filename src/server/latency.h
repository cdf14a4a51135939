// latency: samples of what took longer than latency-monitor-threshold, a short history for each kind of event; LATENCY.
// Thread: any (a lock of its own).
#ifndef SHOAL_SERVER_LATENCY_H
#define SHOAL_SERVER_LATENCY_H

#include <stdint.h>

enum latency_event {
    LATENCY_COMMAND,
    LATENCY_FAST_COMMAND,
    LATENCY_EXPIRE_CYCLE,
    LATENCY_EVICTION_CYCLE,
    LATENCY_FORK,
    LATENCY_EVENTS,
};
enum { LATENCY_SAMPLES_MAX = 160 };

// Notes the event if it is long enough to be noted.
void latency_add(enum latency_event event, int64_t ms);

#endif
