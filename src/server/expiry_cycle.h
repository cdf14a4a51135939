// expiry_cycle: finds keys past their time and removes them. Every worker walks a share of the slots, some keys each time,
// and goes on for longer while it meets many that are stale. On a replica it rests: the primary decides.
#ifndef SHOAL_SERVER_EXPIRY_CYCLE_H
#define SHOAL_SERVER_EXPIRY_CYCLE_H

#include <stdint.h>

#include "call/dispatch.h"

// Where a worker is in its walk, and what it met there; all zero at the start.
struct expiry_walk {
    unsigned db, slot;
    uint32_t bucket;
    uint64_t met, stale; // in this turn
    double stale_percent;
    uint64_t cut_short, cpu_us;
};

// One turn, ten times a second, for the dispatcher's worker of `workers`. Inside the gate, no slot locked.
void expiry_cycle_turn(struct expiry_walk *walk, struct dispatcher *dispatcher, unsigned workers);

struct expiry_cycle_status {
    double stale_percent; // of the keys with an expiry, as estimated
    uint64_t cut_short;   // turns that ended because their time was over
    uint64_t cpu_ms;
};
void expiry_cycle_status(struct expiry_cycle_status *status); // exclusive mode

#endif
