#include "cluster/manual.h"
#include "cluster/recv.h"

// MFSTART: one of our replicas was told to take our place.
// Cluster spec, "Manual failover".
void recv_mfstart(struct cluster *cluster, struct received *in) {
    if (!peer_is(in->sender, CLUSTER_NODE_REPLICA) || in->sender->primary != cluster->myself->index) return;
    manual_begin_as_primary(cluster, in->sender);
}
