#include "cluster/handshake.h"

#include <arpa/inet.h>
#include <string.h>

#include "cluster/actions.h"
#include "cluster/peers.h"

bool address_normalise(const char *ip, char *normal) {
    unsigned char binary[sizeof(struct in6_addr)];
    for (int family = AF_INET;; family = AF_INET6) {
        if (inet_pton(family, ip, binary) == 1)
            return inet_ntop(family, binary, normal, CLUSTER_IP_SIZE) != NULL;
        if (family == AF_INET6) return false;
    }
}

bool name_is_good(const char *id) {
    for (size_t i = 0; i < CLUSTER_ID_SIZE; i++)
        if (!((id[i] >= '0' && id[i] <= '9') || (id[i] >= 'a' && id[i] <= 'f'))) return false;
    return true;
}

bool text_is_good(struct bytes text) {
    if (text.size >= CLUSTER_HOSTNAME_SIZE) return false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c <= ' ' || c > '~' || strchr(",=@[]\"'\\", c)) return false;
    }
    return true;
}

// Anybody may ask to be met, at any address: so many at a time are, and then those only whom an
// administrator or a node that we know has named, up to twice as many.
enum { STRANGERS_MAX = 1024 };

static bool under_way(struct cluster *cluster, const char *ip, uint16_t bus_port, uint32_t *others) {
    *others = 0;
    PEERS_EACH(cluster, peer) {
        if (!peer_is(peer, CLUSTER_NODE_HANDSHAKE)) continue;
        if (peer->bus_port == bus_port && strcmp(peer->ip, ip) == 0) return true;
        ++*others;
    }
    return false;
}

// Cluster spec, "Nodes handshake": a node takes another in after a MEET, or when a node that it trusts
// gossips about it. Until the other tells its name, it has one drawn at random.
bool handshake_start(struct cluster *cluster, const char *ip, uint16_t port, uint16_t other_port,
                     uint16_t bus_port, bool meet) {
    char normal[CLUSTER_IP_SIZE];
    if (!address_normalise(ip, normal) || port == 0 || bus_port == 0) return false;
    uint32_t others;
    if (under_way(cluster, normal, bus_port, &others)) return true;
    if (others >= (meet ? 2 * STRANGERS_MAX : STRANGERS_MAX)) return true; // nobody is taken in for now
    struct peer *peer = peer_create(cluster, NULL, CLUSTER_NODE_HANDSHAKE | (meet ? CLUSTER_NODE_MEET : 0));
    if (peer == NULL) return true; // PEERS_MAX: nobody is taken in any more
    memcpy(peer->ip, normal, sizeof(peer->ip));
    peer->port = port;
    peer->other_port = other_port;
    peer->bus_port = bus_port;
    peer_address_changed(cluster, peer);
    cluster->next_tick = cluster->now;
    return true;
}

void peer_move(struct cluster *cluster, struct peer *peer, const char *ip, uint16_t port, uint16_t other_port,
               uint16_t bus_port) {
    if (!text_is_good(bytes_from_string(ip)) || ip[0] == '\0') return;
    bool same = strcmp(peer->ip, ip) == 0 && peer->port == port && peer->bus_port == bus_port;
    if (same && peer->other_port == other_port && !peer_is(peer, CLUSTER_NODE_NOADDR)) return;
    memmove(peer->ip, ip, strlen(ip) + 1);
    peer->port = port;
    peer->other_port = other_port;
    peer->bus_port = bus_port;
    peer_address_changed(cluster, peer);
    peer->flags = (uint16_t)(peer->flags & ~CLUSTER_NODE_NOADDR);
    peer_look_again(cluster, peer);
    if (!same) {
        action_disconnect(cluster, peer);
        peer->link_broke = false;
        peer->link_retry = peer->link_failures = 0;
        cluster->next_tick = cluster->now;
    }
    cluster->todo |= TODO_SAVE | TODO_ROUTES;
    action_note(cluster, LOG_WARNING, "Address updated for node %.40s, now %s:%u", peer->id, peer->ip,
                peer->port);
}

struct peer *handshake_finish(struct cluster *cluster, struct peer *peer, const struct packet *packet) {
    struct peer *known = peer_find(cluster, packet->sender);
    if (known || !name_is_good(packet->sender)) {
        // Somebody whom we know, perhaps at a new address; or ourselves.
        if (known && known != cluster->myself)
            peer_move(cluster, known, peer->ip, packet->port, packet->other_port, packet->bus_port);
        peer_delete(cluster, peer);
        return NULL;
    }
    peer_rename(cluster, peer, packet->sender);
    action_note(cluster, LOG_VERBOSE, "Handshake with node %.40s completed.", peer->id);
    // It is one or the other, whatever its flags say.
    unsigned role = packet->flags & CLUSTER_NODE_REPLICA ? CLUSTER_NODE_REPLICA : CLUSTER_NODE_PRIMARY;
    peer->flags = (uint16_t)((peer->flags & ~(CLUSTER_NODE_HANDSHAKE | CLUSTER_NODE_MEET)) | role);
    peer_look_again(cluster, peer);
    cluster->todo |= TODO_SAVE | TODO_ROUTES | TODO_STATE;
    // At once: who is killed a moment after it has joined must not come back knowing nobody, for then nobody
    // whose address changes meanwhile would find it again.
    cluster->next_save = cluster->now;
    return peer;
}
