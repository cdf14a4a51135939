// epoch: the logical clocks of configurations. Part of the core.
#ifndef SHOAL_CLUSTER_EPOCH_H
#define SHOAL_CLUSTER_EPOCH_H

#include "cluster/state.h"

// A node says it is at `current`; the greatest that was ever heard of is ours.
void epoch_hear(struct cluster *cluster, uint64_t current);

// The next epoch, for an election.
void epoch_advance(struct cluster *cluster);

// Gives this node a configuration newer than all that it has heard of, without asking anybody.
void epoch_take_new(struct cluster *cluster);

// Gives this node the newest configuration without asking anybody; false when it has it already.
bool epoch_bump_alone(struct cluster *cluster);

// `sender`, a primary, has our config epoch.
void epoch_resolve_collision(struct cluster *cluster, const struct peer *sender);

#endif
