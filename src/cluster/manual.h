// manual: the administrator's failover (CLUSTER FAILOVER). The primary pauses its writers and says where; the
// replica waits until it has as much, and is elected then. Part of the core.
#ifndef SHOAL_CLUSTER_MANUAL_H
#define SHOAL_CLUSTER_MANUAL_H

#include "cluster/recv.h"
#include "cluster/state.h"

// As the replica. `force`: without asking the primary.
void manual_start(struct cluster *cluster, bool force);

// As the primary: one of our replicas wants our place.
void manual_begin_as_primary(struct cluster *cluster, struct peer *replica);

// A link to the peer has come up: was our primary, at its end, to be asked to pause?
void manual_link_up(struct cluster *cluster, struct peer *peer);

// A heartbeat; our primary's may say that it has paused its writers, and at which offset.
void manual_hear(struct cluster *cluster, const struct received *in);

// Looks whether it is done or late.
void manual_update(struct cluster *cluster);

// May the replica ask for votes? The primary has paused, we have all that it has, and there is time left; or
// it was to be done by force.
bool manual_may_start(const struct cluster *cluster);

void manual_stop(struct cluster *cluster);

#endif
