#include "cluster/epoch.h"

#include <string.h>

#include "cluster/actions.h"

// Cluster spec, "Cluster current epoch": a node that receives a greater epoch than its own takes it over. All
// nodes do with each election; until we vote nobody waits for our file to say so.
void epoch_hear(struct cluster *cluster, uint64_t current) {
    if (current <= cluster->current_epoch) return;
    cluster->current_epoch = current;
    promise_in_time(cluster);
}

// Cluster spec, "Replica election and promotion": the candidate increments its currentEpoch.
void epoch_advance(struct cluster *cluster) {
    cluster->current_epoch++;
    promise(cluster);
}

static uint64_t newest_epoch(struct cluster *cluster) {
    uint64_t newest = cluster->current_epoch;
    PEERS_EACH(cluster, peer) newest = max64(newest, peer->config_epoch);
    return newest;
}

void epoch_take_new(struct cluster *cluster) {
    struct peer *myself = cluster->myself;
    cluster->current_epoch = newest_epoch(cluster) + 1;
    myself->config_epoch = cluster->current_epoch;
    promise(cluster);
    action_note(cluster, LOG_NOTICE, "New configEpoch set to %llu", (unsigned long long)myself->config_epoch);
}

// Cluster spec, "Manual slots migration": the importing node takes a new configEpoch without agreement, so
// that its claim of the slot is the newest.
bool epoch_bump_alone(struct cluster *cluster) {
    const struct peer *myself = cluster->myself;
    if (myself->config_epoch && myself->config_epoch == newest_epoch(cluster)) return false;
    epoch_take_new(cluster);
    return true;
}

// Cluster spec, "configEpoch conflicts resolution algorithm": of two primaries with the same configEpoch, the
// one with the lexicographically smaller name moves on to a new one.
void epoch_resolve_collision(struct cluster *cluster, const struct peer *sender) {
    struct peer *myself = cluster->myself;
    if (sender->config_epoch != myself->config_epoch || !peer_is(sender, CLUSTER_NODE_PRIMARY) ||
        !peer_is(myself, CLUSTER_NODE_PRIMARY))
        return;
    if (memcmp(sender->id, myself->id, CLUSTER_ID_SIZE) <= 0) return;
    epoch_advance(cluster);
    myself->config_epoch = cluster->current_epoch;
    cluster->todo |= TODO_ANNOUNCE;
    action_note(cluster, LOG_VERBOSE, "configEpoch collision with node %.40s. configEpoch set to %llu",
                sender->id, (unsigned long long)myself->config_epoch);
}
