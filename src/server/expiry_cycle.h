// expiry_cycle: removes keys whose time has passed though nobody asks for them. Each worker walks its share of the slots,
// looking only at entries that have an expiry; it goes on as long as it finds enough to remove and time is left.
#ifndef SHOAL_SERVER_EXPIRY_CYCLE_H
#define SHOAL_SERVER_EXPIRY_CYCLE_H

#include <stdint.h>

#include "call/dispatch.h"

// Where a worker is in its walk; all zero at the start.
struct expiry_walk {
    unsigned slot, db;
    uint32_t bucket;
};

// One turn, ten times a second, for worker `worker` of `workers`. Inside the gate, no slot locked. Does nothing on a
// replica, whose primary decides.
void expiry_cycle_turn(struct expiry_walk *walk, struct dispatcher *dispatcher, unsigned workers);

#endif
