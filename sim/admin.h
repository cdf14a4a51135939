// admin: what an administrator does to a cluster, step by step, while anything may go wrong in between.
// Thread: belongs to its run's thread.
#ifndef SHOAL_SIM_ADMIN_H
#define SHOAL_SIM_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/sim.h"

enum { ADMIN_BLACKLIST_MS = 5000 }; // how long nodes of the simulator remember whom they forgot

// CLUSTER FAILOVER [how] to a living replica picked at random; false when there is none.
bool admin_failover(struct sim *sim, const char *how);

// Moves a few slots from one primary to another, both picked at random.
bool admin_reshard(struct sim *sim);

// Moves `slot` from its owner (as it sees itself) to `to`: importing, migrating, the keys, then the owners.
// Stops where a step fails, leaving the slot open.
void admin_move_slot(struct sim *sim, uint32_t from, uint32_t to, uint32_t slot);

// All others forget a replica; later it meets them again.
bool admin_forget(struct sim *sim);

// A replica is given another primary.
bool admin_replicate(struct sim *sim);

// Once: lets nodes meet that don't know each other, and closes slots that a broken move left open.
void admin_repair(struct sim *sim);

#endif
