#include "cluster/migration.h"

#include <string.h>

#include "base/memory.h"
#include "cluster/actions.h"
#include "cluster/election.h"
#include "cluster/peers.h"

// working[i]: how many replicas of the peer with index i work.
static uint16_t *count_working(struct cluster *cluster) {
    uint16_t *working = mem_calloc(cluster->peers_end, sizeof(*working));
    PEERS_EACH(cluster, peer) {
        bool works = !peer_is(peer, CLUSTER_NODE_FAIL | CLUSTER_NODE_PFAIL);
        if (peer_is(peer, CLUSTER_NODE_REPLICA) && peer->primary != NO_PEER && works)
            working[peer->primary]++;
    }
    return working;
}

// Cluster spec, "Replica migration algorithm": a primary is orphaned when it serves slots, had replicas, and
// none of them works.
static bool orphaned(const struct peer *peer, const uint16_t *working) {
    return peer_votes(peer) && peer_is(peer, CLUSTER_NODE_MIGRATE_TO) && working[peer->index] == 0 &&
           !peer_is(peer, CLUSTER_NODE_FAIL);
}

static struct peer *longest_orphan(struct cluster *cluster, const uint16_t *working) {
    struct peer *target = NULL;
    PEERS_EACH(cluster, peer) {
        if (!orphaned(peer, working)) {
            peer->orphaned_time = 0;
            continue;
        }
        if (peer->orphaned_time == 0) peer->orphaned_time = cluster->now;
        if (target == NULL || peer->orphaned_time < target->orphaned_time) target = peer;
    }
    return target;
}

// Cluster spec, "Replica migration algorithm": the acting replica is the one with the smallest name among the
// working replicas of the primaries that have the most of them.
static bool is_acting(struct cluster *cluster, const uint16_t *working) {
    uint16_t most = 0;
    PEERS_EACH(cluster, peer) {
        if (peer_votes(peer) && working[peer->index] > most) most = working[peer->index];
    }
    const struct peer *myself = cluster->myself;
    if (working[myself->primary] != most || most <= cluster->config.migration_barrier) return false;
    PEERS_EACH(cluster, peer) {
        if (!peer_is(peer, CLUSTER_NODE_REPLICA) || peer->primary == NO_PEER) continue;
        if (working[peer->primary] != most || peer_is(peer, CLUSTER_NODE_FAIL | CLUSTER_NODE_PFAIL)) continue;
        if (memcmp(peer->id, myself->id, CLUSTER_ID_SIZE) < 0) return false;
    }
    return true;
}

void migration_consider(struct cluster *cluster) {
    const struct peer *myself = cluster->myself;
    if (!peer_is(myself, CLUSTER_NODE_REPLICA) || myself->primary == NO_PEER ||
        !cluster->config.allow_replica_migration)
        return;
    uint16_t *working = count_working(cluster);
    struct peer *target = longest_orphan(cluster, working);
    if (cluster->ok && target && target->index != myself->primary && is_acting(cluster, working) &&
        elapsed(cluster, target->orphaned_time) > MIGRATION_DELAY_MS) {
        action_note(cluster, LOG_NOTICE, "Migrating to orphaned master %.40s", target->id);
        follow(cluster, target);
    }
    mem_free(working);
}
