// slot_stats: what each slot costs (CLUSTER SLOT-STATS): the time of its commands and their bytes, in and
// out. Counted in cluster mode while settings.slot_stats is on.
//
// A slot's numbers are written under its lock, or in exclusive mode. Whoever makes them begin anew, from
// whatever thread, waits for no lock: it only says so, and what was counted before is passed over from then
// on.
#ifndef SHOAL_CALL_SLOT_STATS_H
#define SHOAL_CALL_SLOT_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "call/settings.h"

struct slot_stats {
    uint64_t ticks; // of the commands' time
    uint64_t bytes_in, bytes_out;
};

// Is anything counted?
static inline bool slot_stats_are_on(void) {
    return settings.slot_stats && settings.cluster_enabled;
}

// A command of the slot has ended. Needs the slot's lock.
void slot_stats_count(unsigned slot, const struct slot_stats *cost);

// The sums since the slot last began anew; a moment old. Thread: any.
struct slot_stats slot_stats_read(unsigned slot);

// The slot begins anew, or all do. Thread: any.
void slot_stats_forget(unsigned slot);
void slot_stats_forget_all(void);

#endif
