#include "cluster/gossip.h"

#include <string.h>

#include "cluster/actions.h"
#include "cluster/failure.h"
#include "cluster/handshake.h"
#include "cluster/peers.h"

static bool gossip_is(const struct packet_gossip *gossip, unsigned flags) {
    return (gossip->flags & flags) != 0;
}

// Another's pong tells us that the node lives. Where the cluster is small we ask everybody ourselves, often.
static void credit_pong(struct cluster *cluster, struct peer *peer, const struct packet_gossip *gossip) {
    if (cluster->peers_count <= SMALL_CLUSTER || peer->ping_sent || gossip->pong_received == 0) return;
    uint64_t time = (uint64_t)gossip->pong_received * 1000 - cluster->unix_ahead;
    if (time <= peer->pong_received || time > cluster->now + CLOCK_TOLERANCE_MS) return;
    if (peer_is(peer, CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL) || failure_count(cluster, peer)) return;
    peer->pong_received = min64(time, cluster->now);
}

static void gossip_known(struct cluster *cluster, struct peer *peer, const struct peer *sender,
                         const struct packet_gossip *gossip) {
    if (peer == cluster->myself) return;
    bool failing = gossip_is(gossip, CLUSTER_NODE_FAIL | CLUSTER_NODE_PFAIL);
    // Cluster spec, "Failure detection": reports are collected from primaries.
    if (peer_votes(sender)) {
        if (failing)
            failure_report(cluster, peer, sender);
        else
            failure_withdraw(cluster, peer, sender);
    }
    if (failing) return;
    credit_pong(cluster, peer, gossip);
    // We can't reach it and somebody else can, elsewhere: follow it there.
    bool lost = peer_is(peer, CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL | CLUSTER_NODE_NOADDR);
    bool elsewhere =
        strcmp(peer->ip, gossip->ip) != 0 || peer->port != gossip->port || peer->bus_port != gossip->bus_port;
    if (lost && elsewhere && !gossip_is(gossip, CLUSTER_NODE_NOADDR) && gossip->port && gossip->bus_port)
        peer_move(cluster, peer, gossip->ip, gossip->port, gossip->other_port, gossip->bus_port);
}

void gossip_read(struct cluster *cluster, const struct peer *sender, const struct packet *packet) {
    for (uint16_t i = 0; i < packet->count; i++) {
        struct packet_gossip gossip;
        packet_gossip_at(packet, i, &gossip);
        struct peer *peer = peer_find(cluster, gossip.id);
        if (peer && !peer_is(peer, CLUSTER_NODE_HANDSHAKE)) {
            gossip_known(cluster, peer, sender, &gossip);
        } else if (peer == NULL && !gossip_is(&gossip, CLUSTER_NODE_NOADDR | CLUSTER_NODE_HANDSHAKE) &&
                   name_is_good(gossip.id) && !blacklist_has(cluster, gossip.id)) {
            // Cluster spec, "Nodes handshake": whom a trusted node knows, we get to know too.
            handshake_start(cluster, gossip.ip, gossip.port, gossip.other_port, gossip.bus_port, true);
        }
    }
}

static void read_name(struct cluster *cluster, char **to, struct bytes text) {
    if (text_is_good(text) && peer_set_text(to, text)) cluster->todo |= TODO_SAVE | TODO_ROUTES;
}

// CLUSTER FORGET was said somewhere, and holds for all.
static void read_forgotten(struct cluster *cluster, const struct peer *sender,
                           const struct packet_extensions *extensions) {
    struct peer *peer = peer_find(cluster, extensions->forgotten_id.data);
    if (peer == NULL || peer == cluster->myself || peer == sender || cluster->myself->primary == peer->index)
        return;
    if (peer_is(peer, CLUSTER_NODE_HANDSHAKE)) return;
    blacklist_add(cluster, peer->id, min64(extensions->forgotten_ttl * 1000, cluster->config.blacklist_ttl));
    peer_delete(cluster, peer);
}

void extensions_read(struct cluster *cluster, struct peer *sender, const struct packet *packet) {
    struct packet_extensions extensions;
    packet_extensions_read(packet, &extensions);
    bool more = packet->extensions == 0 || extensions.shard_id.size || extensions.human_nodename.size;
    if ((packet->flags & FLAG_READS_EXTENSIONS) ||
        ((packet->message_flags[0] & PACKET_HAS_EXTENSIONS) && more))
        sender->extensions = true;
    read_name(cluster, &sender->hostname, extensions.hostname);
    read_name(cluster, &sender->human_nodename, extensions.human_nodename);
    if (extensions.shard_id.size && name_is_good(extensions.shard_id.data) &&
        memcmp(sender->shard_id, extensions.shard_id.data, CLUSTER_ID_SIZE) != 0) {
        memcpy(sender->shard_id, extensions.shard_id.data, CLUSTER_ID_SIZE);
        cluster->todo |= TODO_SAVE | TODO_ROUTES;
    }
    if (extensions.forgotten_id.size) read_forgotten(cluster, sender, &extensions);
}
