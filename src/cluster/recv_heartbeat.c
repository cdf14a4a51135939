#include <string.h>

#include "base/hash.h"
#include "cluster/actions.h"
#include "cluster/election.h"
#include "cluster/epoch.h"
#include "cluster/failure.h"
#include "cluster/gossip.h"
#include "cluster/handshake.h"
#include "cluster/manual.h"
#include "cluster/peers.h"
#include "cluster/recv.h"
#include "cluster/slots.h"
#include "cluster/speak.h"

static const char no_name[CLUSTER_ID_SIZE];

// We learn our own address from the one that others reach us by.
static void learn_own_address(struct cluster *cluster, const struct received *in) {
    struct peer *myself = cluster->myself;
    if (cluster->config.announce_ip[0] || in->link.inbound == 0) return;
    if (in->packet.type != PACKET_MEET && myself->ip[0]) return;
    char ip[CLUSTER_IP_SIZE];
    if (!address_normalise(in->local_ip, ip) || strcmp(ip, myself->ip) == 0) return;
    memcpy(myself->ip, ip, sizeof(ip));
    peer_address_changed(cluster, myself);
    cluster->todo |= TODO_SAVE | TODO_ROUTES;
    action_note(cluster, LOG_WARNING, "IP address for this node updated to %s", ip);
}

static const char *sender_ip(const struct received *in) {
    return in->packet.ip[0] ? in->packet.ip : in->peer_ip;
}

// Cluster spec, "Nodes handshake": a MEET makes us take the sender in; any PING is answered, whoever sends
// it.
static void answer(struct cluster *cluster, struct received *in) {
    learn_own_address(cluster, in);
    if (in->packet.type == PACKET_MEET && in->sender == NULL)
        handshake_start(cluster, sender_ip(in), in->packet.port, in->packet.other_port, in->packet.bus_port,
                        false);
    bool brief = in->packet.type == PACKET_PING && in->packet.count == 0;
    speak_pong(cluster, in->link, in->sender, brief);
}

// The peer at the end of our link calls itself otherwise: what we knew lives there no more.
static void lose_address(struct cluster *cluster, struct peer *peer) {
    action_note(cluster, LOG_DEBUG, "Another node answers at the address of %.40s.", peer->id);
    peer->flags |= CLUSTER_NODE_NOADDR;
    peer->ip[0] = '\0';
    peer->port = peer->other_port = peer->bus_port = 0;
    peer_address_changed(cluster, peer);
    action_disconnect(cluster, peer);
    cluster->todo |= TODO_SAVE | TODO_ROUTES;
}

// Is the one at the end of our link whom we think? Completes a handshake. False: nothing more is to be done.
static bool check_name(struct cluster *cluster, struct received *in) {
    if (in->linked == NULL) return true;
    if (peer_is(in->linked, CLUSTER_NODE_HANDSHAKE)) {
        in->sender = in->linked = handshake_finish(cluster, in->linked, &in->packet);
        if (in->sender) recv_hear_sender(cluster, in);
        return in->sender != NULL;
    }
    if (memcmp(in->linked->id, in->packet.sender, CLUSTER_ID_SIZE) == 0) return true;
    lose_address(cluster, in->linked);
    return false;
}

// A packet that was on its way when the sender won its present configuration (two links don't keep their
// order among each other) must not turn it back into what it was.
static bool is_stale(const struct cluster *cluster, const struct peer *sender, const struct packet *packet) {
    return packet->config_epoch < sender->config_epoch && sender->slots &&
           elapsed(cluster, sender->epoch_time) < cluster->config.node_timeout;
}

static bool says_another_role(const struct cluster *cluster, const struct peer *sender,
                              const struct packet *packet) {
    bool primary = memcmp(packet->primary, no_name, CLUSTER_ID_SIZE) == 0;
    if (primary || peer_is(sender, CLUSTER_NODE_PRIMARY))
        return primary != peer_is(sender, CLUSTER_NODE_PRIMARY);
    return peer_find(cluster, packet->primary) != peer_at(cluster, sender->primary);
}

// The peer has answered a ping. Was that sent before we learnt the peer's present role? Then the answer may
// be older than what we learnt.
static bool has_crossed(struct peer *sender) {
    bool crossed = sender->pings_crossed > 0;
    if (crossed) sender->pings_crossed--;
    if (sender->pings_out) sender->pings_out--;
    return crossed;
}

// The sender is a primary no more. Its slots belong to somebody of whom we have not heard yet, and who votes:
// until we have, a majority is one of as many voters as before. Else we would be content with half of them,
// and the other half might elect another.
static void leave_seat(struct cluster *cluster, struct peer *sender) {
    if (sender->slots && cluster->size > cluster->full_size) cluster->full_size = cluster->size;
    slots_abandon(cluster, sender);
}

// Cluster spec, "Heartbeat packet content": the sender's role, and whose replica it is.
static void learn_role(struct cluster *cluster, struct peer *sender, const struct packet *packet) {
    if (memcmp(packet->primary, no_name, CLUSTER_ID_SIZE) == 0) {
        // What we held for a replica's epoch was its primary's (nodes.conf says so): now it speaks for
        // itself.
        if (peer_is(sender, CLUSTER_NODE_REPLICA)) sender->config_epoch = packet->config_epoch;
        peer_make_primary(cluster, sender);
        return;
    }
    struct peer *primary = peer_find(cluster, packet->primary);
    if (primary == sender || (primary && peer_is(primary, CLUSTER_NODE_HANDSHAKE))) primary = NULL;
    if (peer_is(sender, CLUSTER_NODE_PRIMARY)) leave_seat(cluster, sender);
    if (primary || !peer_is(sender, CLUSTER_NODE_REPLICA)) peer_make_replica(cluster, sender, primary);
}

// Two that replicate each other serve nobody. Packets that crossed may make it look so for a moment; where it
// lasts, the one with the smaller name stands up.
static void break_circle(struct cluster *cluster, const struct peer *above) {
    if (cluster->circle_time == 0) cluster->circle_time = cluster->now;
    if (elapsed(cluster, cluster->circle_time) < cluster->config.node_timeout) return;
    if (memcmp(cluster->myself->id, above->id, CLUSTER_ID_SIZE) >= 0) return;
    // What is held for a replica's epoch may be its primary's (nodes.conf says so), and older than what we
    // claimed when we were a primary last.
    epoch_take_new(cluster);
    peer_make_primary(cluster, cluster->myself);
}

// A replica does not replicate a replica of its own shard: it follows on to the primary.
static void straighten_chain(struct cluster *cluster) {
    struct peer *myself = cluster->myself, *above = peer_shard_head(cluster, myself);
    bool chained = peer_is(myself, CLUSTER_NODE_REPLICA) && above && peer_is(above, CLUSTER_NODE_REPLICA);
    struct peer *top = chained ? peer_shard_head(cluster, above) : NULL;
    if (top == myself) {
        break_circle(cluster, above);
        return;
    }
    cluster->circle_time = 0;
    if (top) follow(cluster, top);
}

static void learn_flags(struct cluster *cluster, struct peer *sender, const struct packet *packet) {
    uint16_t flags = (uint16_t)((sender->flags & ~CLUSTER_NODE_NOFAILOVER) |
                                (packet->flags & (CLUSTER_NODE_NOFAILOVER | CLUSTER_NODE_MIGRATE_TO)));
    // Whoever has taken a failed primary's place has had replicas as far as we know, but does not say so
    // itself.
    if (!peer_is(sender, CLUSTER_NODE_PRIMARY)) flags = (uint16_t)(flags & ~CLUSTER_NODE_MIGRATE_TO);
    if ((flags ^ sender->flags) & CLUSTER_NODE_NOFAILOVER) cluster->todo |= TODO_ROUTES | TODO_SAVE;
    sender->flags = flags;
}

// The slots that the sender, or the primary that it replicates, claims.
static void learn_slots(struct cluster *cluster, struct received *in) {
    struct peer *sender = in->sender;
    const struct packet *packet = &in->packet;
    uint64_t hash = hash_bytes(packet->slots, PACKET_SLOTS_SIZE) ^ packet->config_epoch * 0x9e3779b97f4a7c15u;
    const struct peer *before = peer_shard_head(cluster, sender);
    if (sender->claims_hash == hash && before && sender->claims_version >= sender->slots_changed &&
        sender->claims_version >= before->slots_changed)
        return;                 // as before
    sender->claims_version = 0; // until all of it was taken in
    if (peer_is(sender, CLUSTER_NODE_PRIMARY))
        slots_learn(cluster, sender, packet->config_epoch, packet->slots);
    struct peer *head = peer_shard_head(cluster, sender);
    if (head && memcmp(slots_bitmap(cluster, head), packet->slots, PACKET_SLOTS_SIZE) == 0) {
        sender->claims_hash = hash;
        sender->claims_version = cluster->slots_version;
        return;
    }
    // Cluster spec, "UPDATE messages, a closer look": whoever claims slots with an old configuration is told
    // the new one.
    struct peer *owner =
        slots_newer_owner(cluster, head ? head : sender, packet->config_epoch, packet->slots);
    if (owner) speak_update(cluster, in->link, owner);
}

void recv_heartbeat(struct cluster *cluster, struct received *in) {
    if (in->packet.type != PACKET_PONG) answer(cluster, in);
    if (!check_name(cluster, in)) return;
    struct peer *sender = in->sender;
    if (sender == NULL || sender == cluster->myself) return;
    if (!in->late && !in->doubtful && in->link.inbound && in->packet.type == PACKET_PING &&
        sender_ip(in)[0] && in->packet.port && in->packet.bus_port)
        peer_move(cluster, sender, sender_ip(in), in->packet.port, in->packet.other_port,
                  in->packet.bus_port);
    if (in->linked && in->packet.type == PACKET_PONG) {
        in->doubtful = has_crossed(sender);
        sender->pong_received = cluster->now;
        sender->ping_sent = 0;
        peer_look_again(cluster, sender);
        failure_answered(cluster, sender);
    }
    manual_hear(cluster, in);
    if (in->late) return;
    extensions_read(cluster, sender, &in->packet); // of which shard it is may decide what its claims mean
    if (in->doubtful && says_another_role(cluster, sender, &in->packet)) {
        // A replica moves without a new epoch that would tell what is newer. An answer to a ping of now can't
        // be older than what we know now.
        speak_ping(cluster, sender, PACKET_PING);
    } else if (!is_stale(cluster, sender, &in->packet)) {
        learn_role(cluster, sender, &in->packet);
        learn_flags(cluster, sender, &in->packet);
        learn_slots(cluster, in);
        straighten_chain(cluster);
    }
    epoch_resolve_collision(cluster, sender);
    gossip_read(cluster, sender, &in->packet);
}
