#include "cluster/heartbeat.h"

#include <string.h>

#include "cluster/actions.h"
#include "cluster/failure.h"
#include "cluster/manual.h"
#include "cluster/migration.h"
#include "cluster/peers.h"
#include "cluster/speak.h"

enum {
    VISIT_FACTOR = 4,      // node timeouts
    GOSSIP_TIME_MS = 1000, // gossip tells times in whole seconds
};

// How often everybody is pinged. Cluster spec, "Heartbeat": every node is pinged that was not heard of for
// NODE_TIMEOUT / 2; a small cluster can afford twice that.
static uint64_t ping_interval(const struct cluster *cluster) {
    const struct cluster_config *config = &cluster->config;
    if (config->ping_interval) return config->ping_interval;
    uint64_t interval = config->node_timeout / (cluster->peers_count <= SMALL_CLUSTER ? 4 : 2);
    return interval ? interval : 1;
}

// In a large cluster each pair of nodes has intervals of its own, from three quarters of `interval` up: what
// all would do in the same moment is spread over time.
static uint64_t spread(const struct cluster *cluster, const struct peer *peer, uint64_t interval) {
    if (cluster->peers_count <= SMALL_CLUSTER) return interval;
    uint64_t lot = (cluster->myself->name->hash ^ peer->name->hash * 0x9e3779b1u) * 0x85ebca6bu & UINT32_MAX;
    return interval - (interval / 4 * lot >> 32);
}

// When a peer is to be asked whether it lives. Those who ask early spare the others the asking, as gossip
// tells them of the answer; if all asked at the same age, all would have asked before anybody was told. Where
// the node timeout is short there are no such differences to be told of.
static uint64_t ping_time(const struct cluster *cluster, const struct peer *peer) {
    uint64_t interval = ping_interval(cluster);
    bool tells_apart = cluster->config.ping_interval == 0 && interval / 4 >= GOSSIP_TIME_MS;
    return peer->pong_received + (tells_apart ? spread(cluster, peer, interval) : interval);
}

// When a peer is to be asked though others have heard it: of its role and its slots it speaks only itself.
// What it announced when they changed may not have found us, or found us not knowing its primary yet.
static uint64_t visit_time(const struct cluster *cluster, const struct peer *peer) {
    if (cluster->peers_count <= SMALL_CLUSTER) return UINT64_MAX; // is asked often enough
    return peer->data_received + spread(cluster, peer, cluster->config.node_timeout * VISIT_FACTOR);
}

static uint64_t patience(const struct cluster *cluster) {
    return cluster->config.node_timeout / 2;
}

// ---- Links ----

static void make_link(struct cluster *cluster, struct peer *peer) {
    if (peer->ip[0] == '\0' || peer->bus_port == 0) return;
    struct cluster_action *action = action_add(cluster, CLUSTER_ACTION_CONNECT);
    action->connect.node = peer_handle(peer);
    memcpy(action->connect.ip, peer->ip, sizeof(peer->ip));
    action->connect.port = peer->bus_port;
    peer_set_link(cluster, peer, LINK_CONNECTING);
    peer->link_time = cluster->now;
    // A peer that can't even be linked to is silent from now on.
    if (peer->ping_sent == 0) peer->ping_sent = cluster->now;
}

// Cluster spec, "Nodes handshake": the first message to a node that must take us in is a MEET.
static void greet(struct cluster *cluster, struct peer *peer) {
    if (peer_is(peer, CLUSTER_NODE_MEET))
        speak_ping(cluster, peer, PACKET_MEET);
    else
        speak_greeting(cluster, peer);
    peer->flags = (uint16_t)(peer->flags & ~CLUSTER_NODE_MEET);
}

void heartbeat_link_up(struct cluster *cluster, struct peer *peer) {
    if (peer->link != LINK_CONNECTING) return;
    peer_set_link(cluster, peer, LINK_UP);
    peer->link_time = cluster->now;
    peer->link_broke = false;
    peer->link_failures = 0;
    if (!cluster->stalled) greet(cluster, peer);
    manual_link_up(cluster, peer);
}

// What waited for an answer when we fell silent is asked anew; the links that came up meanwhile are greeted.
void heartbeat_speak_again(struct cluster *cluster) {
    PEERS_EACH(cluster, peer) {
        if (peer->link != LINK_UP) continue;
        peer->ping_sent = 0;
        greet(cluster, peer);
    }
}

// Where nobody listens it is no use to knock with every tick: the waits double, up to a quarter of the node
// timeout. Whoever comes back makes its own link to us, which ends the wait.
static void wait_for_link(struct cluster *cluster, struct peer *peer) {
    uint64_t longest = min64(LINK_RETRY_MAX_MS, max64(cluster->config.node_timeout / 4, TICK_MS));
    uint64_t wait = min64((uint64_t)TICK_MS << peer->link_failures, longest);
    if (wait < longest) peer->link_failures++;
    peer->link_retry = cluster->now + wait;
}

void heartbeat_link_down(struct cluster *cluster, struct peer *peer, bool refused) {
    bool was_up = peer->link == LINK_UP;
    peer_set_link(cluster, peer, LINK_NONE);
    peer->link_time = cluster->now;
    if (refused && peer->link_broke && cluster->config.crash_detection) {
        // The link broke, and where the process listened nobody does: it is gone, no need to wait for the
        // timeout.
        if (!peer_is(peer, CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL))
            action_note(cluster, LOG_NOTICE,
                        "Node %.40s refuses connections after its link broke: it has died.", peer->id);
        failure_suspect(cluster, peer);
    }
    if (!was_up) {
        wait_for_link(cluster, peer);
        return;
    }
    peer->link_broke = true;
    make_link(cluster, peer);
}

// A link that does not come up, or brings nothing back, is made anew: a half-dead connection must not look
// like a dead node.
static void check_link(struct cluster *cluster, struct peer *peer) {
    uint64_t age = elapsed(cluster, peer->link_time);
    bool stuck = peer->link == LINK_CONNECTING && age > max64(patience(cluster), TICK_MS);
    bool silent = peer->link == LINK_UP && age > cluster->config.node_timeout && peer->ping_sent &&
                  elapsed(cluster, peer->ping_sent) > patience(cluster) &&
                  elapsed(cluster, peer->link_heard) > patience(cluster);
    if (stuck || silent) action_disconnect(cluster, peer);
}

// ---- Pings ----

static void check_ping(struct cluster *cluster, struct peer *peer) {
    if (peer->link != LINK_UP) return;
    // Cluster spec, "Manual failover": the replica must learn soon where its primary has stopped.
    bool hurry =
        cluster->manual.until && cluster->manual.replica == peer->index && cluster->manual.pause_wanted;
    if (hurry || (peer->ping_sent == 0 && cluster->now >= ping_time(cluster, peer)))
        speak_ping(cluster, peer, PACKET_PING);
    else if (peer->ping_sent == 0 && cluster->now >= visit_time(cluster, peer))
        speak_greeting(cluster, peer);
}

// Cluster spec, "Heartbeat": once a second the node with the oldest pong among a few random ones is pinged.
static void ping_random(struct cluster *cluster) {
    struct peer *oldest = NULL;
    for (int i = 0; i < RANDOM_PING_CANDIDATES; i++) {
        struct peer *peer = cluster->peers[prng_below(&cluster->prng, cluster->peers_end)];
        if (peer == NULL || peer == cluster->myself || peer->link != LINK_UP || peer->ping_sent) continue;
        if (peer_is(peer, CLUSTER_NODE_HANDSHAKE)) continue;
        if (oldest == NULL || peer->pong_received < oldest->pong_received) oldest = peer;
    }
    if (oldest) speak_ping(cluster, oldest, PACKET_PING);
}

// ---- Silence ----

// When the peer becomes suspect if it stays silent; UINT64_MAX when nothing is asked of it.
// Cluster spec, "Failure detection": not reachable for more than NODE_TIMEOUT while a ping waits for its
// answer. The time runs from the last sign of life, not from the ping; but the ping must have had half of it
// to be answered. Time that we slept through ourselves is nobody's fault.
static uint64_t suspicion_time(const struct cluster *cluster, const struct peer *peer) {
    if (peer->ping_sent == 0 || peer_is(peer, CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL)) return UINT64_MAX;
    uint64_t sign =
        max64(max64(peer->data_received, peer->pong_received), max64(cluster->awake_since, peer->created));
    uint64_t asked = max64(peer->ping_sent, cluster->awake_since);
    return max64(sign + cluster->config.node_timeout, asked + patience(cluster)) + 1;
}

static void check_silence(struct cluster *cluster, struct peer *peer) {
    uint64_t time = suspicion_time(cluster, peer);
    if (time <= cluster->now)
        failure_suspect(cluster, peer);
    else if (time < cluster->next_suspicion)
        cluster->next_suspicion = time;
}

// Cluster spec, "Nodes handshake" as implemented everywhere: who does not answer within the node timeout is
// dropped. UINT64_MAX for whom we know.
static uint64_t handshake_end(const struct cluster *cluster, const struct peer *peer) {
    if (!peer_is(peer, CLUSTER_NODE_HANDSHAKE)) return UINT64_MAX;
    return peer->created + max64(cluster->config.node_timeout, HANDSHAKE_TIMEOUT_MIN_MS) + 1;
}

// ---- Who is looked at ----

// When something may be due of the peer, if nothing happens to it before (peer_look_again tells of that). Too
// early does no harm, too late would.
static uint64_t next_look(const struct cluster *cluster, const struct peer *peer) {
    uint64_t look = min64(handshake_end(cluster, peer), suspicion_time(cluster, peer));
    if (peer->link == LINK_CONNECTING)
        return min64(look, peer->link_time + max64(patience(cluster), TICK_MS) + 1);
    if (peer->link == LINK_NONE) return look;
    if (peer->ping_sent == 0) return min64(look, min64(ping_time(cluster, peer), visit_time(cluster, peer)));
    uint64_t silent = max64(peer->ping_sent, peer->link_heard) + patience(cluster);
    return min64(look, max64(silent, peer->link_time + cluster->config.node_timeout) + 1);
}

static void check_peer(struct cluster *cluster, struct peer *peer) {
    if (cluster->now >= handshake_end(cluster, peer)) {
        peer_delete(cluster, peer);
        return;
    }
    if (peer_is(peer, CLUSTER_NODE_NOADDR)) return;
    check_link(cluster, peer);
    check_ping(cluster, peer);
    if (!peer_is(peer, CLUSTER_NODE_HANDSHAKE)) check_silence(cluster, peer);
    cluster->look_at[peer->index] = next_look(cluster, peer);
}

// Looks at the peers of whom something may be due before the next tick.
static void look_at_peers(struct cluster *cluster) {
    const struct manual_failover *manual = &cluster->manual;
    if (manual->pause_wanted && manual->replica != NO_PEER) cluster->look_at[manual->replica] = 0;
    if (cluster->looked_interval != ping_interval(cluster)) peers_look_again(cluster);
    cluster->looked_interval = ping_interval(cluster);
    cluster->next_suspicion = UINT64_MAX;
    for (uint32_t i = 0; i < cluster->peers_end; i++) {
        if (cluster->look_at[i] > cluster->now + TICK_MS) continue;
        struct peer *peer = cluster->peers[i];
        if (peer && peer != cluster->myself) check_peer(cluster, peer);
    }
}

// Makes links where there are none, LINKS_PER_TICK at most, each time from where the last tick left off: a
// node that has just heard of a thousand others does not knock at all doors at once.
static void make_links(struct cluster *cluster) {
    unsigned made = 0;
    for (uint32_t i = 0; i < cluster->peers_end && made < LINKS_PER_TICK; i++) {
        if (++cluster->link_cursor >= cluster->peers_end) cluster->link_cursor = 0;
        uint64_t word = cluster->linkless[cluster->link_cursor / PEER_WORD];
        if (word == 0) { // nobody in this word: on to its last
            uint32_t skipped = PEER_WORD - 1 - cluster->link_cursor % PEER_WORD;
            skipped = (uint32_t)min64(skipped, cluster->peers_end - 1 - cluster->link_cursor);
            skipped = (uint32_t)min64(skipped, cluster->peers_end - 1 - i);
            cluster->link_cursor += skipped;
            i += skipped;
            continue;
        }
        if (!(word >> cluster->link_cursor % PEER_WORD & 1)) continue;
        struct peer *peer = cluster->peers[cluster->link_cursor];
        if (peer_is(peer, CLUSTER_NODE_NOADDR) || cluster->now < peer->link_retry) continue;
        make_link(cluster, peer);
        made++;
    }
}

void heartbeat_tick(struct cluster *cluster) {
    look_at_peers(cluster);
    make_links(cluster);
    failure_renew(cluster);
    if (cluster->now >= cluster->next_random_ping) {
        cluster->next_random_ping = cluster->now + RANDOM_PING_MS;
        ping_random(cluster);
        migration_consider(cluster);
    }
    if (cluster->now >= cluster->next_tick) cluster->next_tick = cluster->now + TICK_MS;
    cluster->todo |= TODO_ELECTION | TODO_CLOCK;
}
