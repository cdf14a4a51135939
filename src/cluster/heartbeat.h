// heartbeat: the timers: who is linked, who is pinged, who has been silent for too long. Part of the core.
#ifndef SHOAL_CLUSTER_HEARTBEAT_H
#define SHOAL_CLUSTER_HEARTBEAT_H

#include "cluster/state.h"

// Everything that is due now; sets when it wants to be called again.
void heartbeat_tick(struct cluster *cluster);

// The outgoing link to a peer is there, is gone, or was refused.
void heartbeat_link_up(struct cluster *cluster, struct peer *peer);
void heartbeat_link_down(struct cluster *cluster, struct peer *peer, bool refused);

// We were stalled, and so silent: everybody is pinged, and silence counts from now on.
void heartbeat_speak_again(struct cluster *cluster);

#endif
