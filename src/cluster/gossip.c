#include "cluster/gossip.h"

#include <string.h>

#include "cluster/actions.h"
#include "cluster/failure.h"
#include "cluster/handshake.h"
#include "cluster/peers.h"

// An entry of a packet's gossip, decoded as far as most of them are of interest.
struct gossip {
    const struct packet *packet;
    uint16_t at;
    uint16_t flags;
};

static bool gossip_is(const struct gossip *gossip, unsigned flags) {
    return (gossip->flags & flags) != 0;
}

// Another's pong tells us that the node lives, unless somebody says otherwise: then we ask it ourselves. What
// was said before it answered us does not count, or else all would ask all for as long as reports live when a
// network heals. Where the cluster is small we ask everybody ourselves, often.
static void credit_pong(struct cluster *cluster, struct peer *peer, const struct gossip *gossip) {
    if (cluster->peers_count <= SMALL_CLUSTER || peer->ping_sent) return;
    uint32_t pong = packet_gossip_pong(gossip->packet, gossip->at);
    uint64_t time = (uint64_t)pong * 1000 - cluster->unix_ahead;
    if (pong == 0 || time <= peer->pong_received || time > cluster->now + CLOCK_TOLERANCE_MS) return;
    if (peer_is(peer, CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL) || peer->accused) return;
    peer->pong_received = min64(time, cluster->now);
}

// We can't reach it and somebody else can, elsewhere: follow it there.
static void follow_move(struct cluster *cluster, struct peer *peer, const struct gossip *gossip) {
    struct packet_gossip all;
    if (!peer_is(peer, CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL | CLUSTER_NODE_NOADDR)) return;
    packet_gossip_at(gossip->packet, gossip->at, &all);
    bool elsewhere =
        strcmp(peer->ip, all.ip) != 0 || peer->port != all.port || peer->bus_port != all.bus_port;
    if (elsewhere && !gossip_is(gossip, CLUSTER_NODE_NOADDR) && all.port && all.bus_port)
        peer_move(cluster, peer, all.ip, all.port, all.other_port, all.bus_port);
}

static void gossip_known(struct cluster *cluster, struct peer *peer, const struct peer *sender,
                         const struct gossip *gossip) {
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
    follow_move(cluster, peer, gossip);
}

static void gossip_unknown(struct cluster *cluster, const struct gossip *gossip) {
    struct packet_gossip all;
    packet_gossip_at(gossip->packet, gossip->at, &all);
    // Cluster spec, "Nodes handshake": whom a trusted node knows, we get to know too.
    if (!gossip_is(gossip, CLUSTER_NODE_NOADDR | CLUSTER_NODE_HANDSHAKE) && name_is_good(all.id) &&
        !blacklist_has(cluster, all.id))
        handshake_start(cluster, all.ip, all.port, all.other_port, all.bus_port, true);
}

// The entries from `first` on, at most PEERS_FIND_MAX.
static void read_some(struct cluster *cluster, const struct peer *sender, const struct packet *packet,
                      uint16_t first, uint16_t count) {
    const char *ids[PEERS_FIND_MAX];
    struct peer *peers[PEERS_FIND_MAX];
    for (uint16_t i = 0; i < count; i++)
        ids[i] = packet_gossip_id(packet, (uint16_t)(first + i));
    peers_find(cluster, count, ids, peers);
    for (uint16_t i = 0; i < count; i++) {
        struct gossip gossip = {packet, (uint16_t)(first + i), 0};
        gossip.flags = packet_gossip_flags(packet, gossip.at);
        struct peer *peer = peers[i];
        if (peer == NULL)
            gossip_unknown(cluster, &gossip);
        else if (!peer_is(peer, CLUSTER_NODE_HANDSHAKE))
            gossip_known(cluster, peer, sender, &gossip);
    }
}

void gossip_read(struct cluster *cluster, const struct peer *sender, const struct packet *packet) {
    for (uint32_t first = 0; first < packet->count; first += PEERS_FIND_MAX) {
        uint32_t left = packet->count - first;
        uint32_t count = left < PEERS_FIND_MAX ? left : PEERS_FIND_MAX;
        read_some(cluster, sender, packet, (uint16_t)first, (uint16_t)count);
    }
}

static void read_name(struct cluster *cluster, char **to, struct bytes text) {
    if (text_is_good(text) && peer_set_text(to, text)) cluster->todo |= TODO_SAVE | TODO_ROUTES;
}

// CLUSTER FORGET was said somewhere, and holds for all.
static void read_forgotten(struct cluster *cluster, const struct peer *sender,
                           const struct packet_extensions *extensions) {
    struct peer *peer = peer_find(cluster, extensions->forgotten_id.data);
    if (memcmp(extensions->forgotten_id.data, cluster->forget_news.id, CLUSTER_ID_SIZE) == 0)
        cluster->forget_news_at = UINT64_MAX; // told
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
