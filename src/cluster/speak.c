#include "cluster/speak.h"

#include <string.h>

#include "base/bitset.h"
#include "cluster/actions.h"
#include "cluster/peers.h"
#include "cluster/slots.h"

enum {
    GOSSIP_MIN = 3,
    GOSSIP_SHARE = 10,
    GOSSIP_TRIES = 3,
    SUSPECTS_MAX = 128, // in a heartbeat
    UNTOLD_MAX = 1024,  // in a message that tells of new ones
};

// ---- When news are told ----

uint64_t speak_news_wait(struct cluster *cluster) {
    enum { SPREAD_MAX_MS = 100, SPREAD_DIVISOR = 30 };
    if (cluster->peers_count <= SMALL_CLUSTER) return 0;
    uint64_t spread = min64(SPREAD_MAX_MS, cluster->config.node_timeout / SPREAD_DIVISOR);
    return prng_below(&cluster->prng, spread + 1);
}

// ---- The header: who we are ----

static void describe(struct cluster *cluster, struct spoken *spoken) {
    struct peer *myself = cluster->myself, *head = peer_shard_head(cluster, myself);
    spoken->current_epoch = cluster->current_epoch;
    spoken->flags = myself->flags;
    memset(spoken->primary, 0, sizeof(spoken->primary));
    if (peer_is(myself, CLUSTER_NODE_REPLICA) && head) memcpy(spoken->primary, head->id, CLUSTER_ID_SIZE);
    // Cluster spec, "Replica election and promotion": a replica advertises the configEpoch and the slots of
    // its primary.
    spoken->config_epoch = head ? head->config_epoch : myself->config_epoch;
    const struct peer *owner = head ? head : myself;
    if (spoken->slots_of == owner->index && spoken->slots_version > owner->slots_changed) return;
    slots_claimed(cluster, owner, spoken->slots);
    spoken->slots_of = owner->index;
    spoken->slots_version = cluster->slots_version + 1;
}

void spoken_refresh(struct cluster *cluster) {
    describe(cluster, &cluster->spoken);
}

// One description waits at a time: where promise follows promise on a slow disk, what was true when the first
// of them was made can be said when that one is saved, however many others wait by then. It is made with the
// save, whose time may not have come yet.
void spoken_update(struct cluster *cluster) {
    uint64_t awaited = promise_awaited(cluster);
    bool announce = false;
    if (cluster->next_spoken_save && (awaited == 0 || cluster->saved_number >= cluster->next_spoken_save)) {
        announce = cluster->next_spoken_announced;
        if (awaited) cluster->spoken = cluster->next_spoken;
        cluster->next_spoken_save = 0;
    }
    if (awaited == 0) {
        spoken_refresh(cluster);
        announce |= (cluster->todo & TODO_ANNOUNCE) != 0;
        cluster->todo &= ~(uint32_t)TODO_ANNOUNCE;
    } else if (cluster->next_spoken_save == 0 && !(cluster->todo & TODO_PROMISE)) {
        describe(cluster, &cluster->next_spoken);
        cluster->next_spoken_save = awaited;
        cluster->next_spoken_announced = (cluster->todo & TODO_ANNOUNCE) != 0;
        cluster->todo &= ~(uint32_t)TODO_ANNOUNCE;
    }
    if (announce) speak_to_all(cluster);
}

// The header of a message that speaks `spoken`: NULL for what was last saved, so that no heartbeat ever waits
// for a disk.
static void fill_header(struct cluster *cluster, struct packet *packet, enum packet_type type,
                        const struct spoken *spoken) {
    const struct cluster_config *config = &cluster->config;
    if (spoken == NULL) spoken = &cluster->spoken;
    memset(packet, 0, sizeof(*packet));
    packet->type = (uint16_t)type;
    packet->port = config->port;
    packet->other_port = config->other_port;
    packet->bus_port = config->bus_port;
    packet->flags = (uint16_t)((spoken->flags & ~CLUSTER_NODE_NOFAILOVER) | FLAG_READS_EXTENSIONS |
                               (config->replica_no_failover ? CLUSTER_NODE_NOFAILOVER : 0));
    packet->current_epoch = spoken->current_epoch;
    packet->config_epoch = spoken->config_epoch;
    packet->offset = cluster->myself->replication_offset;
    packet->slots = spoken->slots;
    packet->state = cluster->ok ? 0 : 1;
    memcpy(packet->primary, spoken->primary, CLUSTER_ID_SIZE);
    memcpy(packet->sender, cluster->myself->id, CLUSTER_ID_SIZE);
    memcpy(packet->ip, config->announce_ip, sizeof(packet->ip));
}

// A message of a header and `body` bytes to be filled in.
static struct cluster_message *compose(struct cluster *cluster, struct packet *packet, uint32_t body) {
    uint32_t total = PACKET_HEADER_SIZE + body;
    struct cluster_message *message = message_create(cluster->pool, total);
    packet_header_write(message->data, packet, total);
    return message;
}

// To every peer that we have a link to.
static void broadcast(struct cluster *cluster, struct cluster_message *message, bool waits) {
    PEERS_EACH(cluster, peer) {
        if (!peer_is(peer, CLUSTER_NODE_HANDSHAKE)) action_send_peer(cluster, peer, message, waits);
    }
    cluster_message_release(message);
}

// ---- Gossip ----

static void gossip_about(struct cluster *cluster, uint8_t *to, const struct peer *peer) {
    const struct directory_place *place = &peer->address->place;
    struct packet_gossip gossip;
    memcpy(gossip.id, peer->id, CLUSTER_ID_SIZE);
    gossip.ping_sent = (uint32_t)(unix_time(cluster, peer->ping_sent) / 1000);
    gossip.pong_received = (uint32_t)(unix_time(cluster, peer->pong_received) / 1000);
    memcpy(gossip.ip, place->ip, sizeof(gossip.ip));
    gossip.port = place->port;
    gossip.bus_port = place->bus_port;
    gossip.other_port = place->other_port;
    gossip.flags = peer->flags;
    packet_gossip_write(to, &gossip);
}

static bool worth_gossip(struct cluster *cluster, const struct peer *peer, const struct peer *to) {
    if (peer == cluster->myself || peer == to || peer->gossip_mark == cluster->gossip_mark) return false;
    if (peer_is(peer, CLUSTER_NODE_HANDSHAKE | CLUSTER_NODE_NOADDR | CLUSTER_NODE_PFAIL)) return false;
    return peer->link != LINK_NONE || peer->slots > 0;
}

// Peers lie scattered: asks the memory for those that will be drawn first.
static void fetch_random(const struct cluster *cluster, uint32_t count) {
    struct prng ahead = cluster->prng;
    while (count--) {
        uint32_t index = (uint32_t)prng_below(&ahead, cluster->peers_end);
        __builtin_prefetch(peer_place(cluster, index), 1);
    }
}

static uint16_t write_random_gossip(struct cluster *cluster, uint8_t *at, uint32_t random,
                                    const struct peer *to) {
    uint16_t count = 0;
    cluster->gossip_mark++;
    fetch_random(cluster, random);
    for (uint32_t tries = random * GOSSIP_TRIES; tries && count < random; tries--) {
        struct peer *peer = peer_place(cluster, (uint32_t)prng_below(&cluster->prng, cluster->peers_end));
        if (peer->id == NULL || !worth_gossip(cluster, peer, to)) continue;
        peer->gossip_mark = cluster->gossip_mark;
        gossip_about(cluster, at + (size_t)count++ * PACKET_GOSSIP_SIZE, peer);
    }
    return count;
}

// The suspects in a word of a set.
static uint16_t write_word(struct cluster *cluster, uint8_t *at, uint32_t word, uint64_t set,
                           const struct peer *to) {
    uint16_t count = 0;
    for (; set; set &= set - 1) {
        const struct peer *peer = cluster->peers[word * PEER_WORD + (uint32_t)__builtin_ctzll(set)];
        if (peer == to || peer_is(peer, CLUSTER_NODE_HANDSHAKE | CLUSTER_NODE_NOADDR)) continue;
        gossip_about(cluster, at + (size_t)count++ * PACKET_GOSSIP_SIZE, peer);
    }
    return count;
}

// Those of whom nobody was told yet.
static uint16_t write_untold(struct cluster *cluster, uint8_t *at, const struct peer *to) {
    uint32_t count = 0, words = cluster->suspect_count ? cluster->peers_capacity / PEER_WORD : 0;
    for (uint32_t word = 0; word < words && count + PEER_WORD <= UNTOLD_MAX; word++) {
        uint64_t untold = cluster->suspects[word] & cluster->untold[word];
        count += write_word(cluster, at + (size_t)count * PACKET_GOSSIP_SIZE, word, untold, to);
    }
    return (uint16_t)count;
}

// All of them, or as many as a heartbeat may speak of: the next one goes on from there.
static uint16_t write_suspects(struct cluster *cluster, uint8_t *at, const struct peer *to) {
    uint32_t count = 0, words = cluster->suspect_count ? cluster->peers_capacity / PEER_WORD : 0;
    for (uint32_t done = 0; done < words && count + PEER_WORD <= SUSPECTS_MAX; done++) {
        uint32_t word = cluster->suspect_word++ % words;
        count +=
            write_word(cluster, at + (size_t)count * PACKET_GOSSIP_SIZE, word, cluster->suspects[word], to);
    }
    return (uint16_t)count;
}

// Cluster spec, "Heartbeat": a few random known nodes (a tenth of them, at least three), ...
static uint32_t random_gossip(const struct cluster *cluster) {
    uint32_t random = cluster->peers_count / GOSSIP_SHARE;
    if (random < GOSSIP_MIN) random = GOSSIP_MIN;
    return random < cluster->peers_count ? random : cluster->peers_count;
}

static struct bytes view(const char *text) {
    return text && text[0] ? bytes_from_string(text) : bytes_of(NULL, 0);
}

// Older peers know hostnames only; the others are told the rest, `all`, once they have shown that they read
// extensions.
static void fill_extensions(struct cluster *cluster, struct packet_extensions *extensions, bool all) {
    memset(extensions, 0, sizeof(*extensions));
    extensions->hostname = view(cluster->config.announce_hostname);
    if (!all) return;
    extensions->human_nodename = view(cluster->config.announce_human_nodename);
    extensions->shard_id = bytes_of(cluster->myself->shard_id, CLUSTER_ID_SIZE);
    if (cluster->forget_news.until <= cluster->now) return;
    extensions->forgotten_id = bytes_of(cluster->forget_news.id, CLUSTER_ID_SIZE);
    extensions->forgotten_ttl = (cluster->forget_news.until - cluster->now) / 1000;
}

// What a PING, PONG or MEET is to say besides the header.
struct heartbeat {
    enum packet_type type;
    const struct peer *to; // who will read it; NULL: several, or somebody unknown
    bool all_extensions;   // who reads it reads them all
    bool brief;            // no gossip but of those whose suspicion was not told yet
};

static uint32_t suspects_at_most(const struct cluster *cluster, bool brief) {
    return (uint32_t)min64(cluster->suspect_count, brief ? UNTOLD_MAX : SUSPECTS_MAX);
}

// ... and, so that failures are agreed on in time, all nodes in PFAIL state. Where a network parts these are
// hundreds, and the lists would be most of what the bus carries: who is to gather the suspicions is told of
// each (speak_suspicions), the others of some at a time.
static struct cluster_message *heartbeat(struct cluster *cluster, const struct heartbeat *what) {
    struct packet packet;
    struct packet_extensions extensions;
    const struct peer *to = what->to;
    uint32_t random = what->brief ? 0 : random_gossip(cluster);
    fill_header(cluster, &packet, what->type, NULL);
    packet.message_flags[0] |= PACKET_HAS_EXTENSIONS;
    // Cluster spec, "Manual failover": meant for the replica that asked, and for no other.
    if (to && cluster->manual.until && cluster->manual.paused && cluster->manual.replica == to->index)
        packet.message_flags[0] |= PACKET_PAUSED;
    fill_extensions(cluster, &extensions, what->all_extensions);
    uint32_t tail = packet_extensions_size(&extensions, &packet.extensions);
    uint32_t room = (random + suspects_at_most(cluster, what->brief)) * PACKET_GOSSIP_SIZE + tail;
    struct cluster_message *message = compose(cluster, &packet, room);
    uint8_t *body = message->data + PACKET_HEADER_SIZE;
    uint16_t count = write_random_gossip(cluster, body, random, to);
    uint8_t *suspects = body + (size_t)count * PACKET_GOSSIP_SIZE;
    count = (uint16_t)(count + (what->brief ? write_untold : write_suspects)(cluster, suspects, to));
    packet_extensions_write(body + (size_t)count * PACKET_GOSSIP_SIZE, &extensions);
    message->size = (uint32_t)(PACKET_HEADER_SIZE + (size_t)count * PACKET_GOSSIP_SIZE + tail);
    packet_counts_write(message->data, count, packet.extensions, message->size);
    return message;
}

static struct cluster_message *heartbeat_to(struct cluster *cluster, enum packet_type type,
                                            const struct peer *peer, bool brief) {
    struct heartbeat what = {
        .type = type, .to = peer, .all_extensions = peer && peer->extensions, .brief = brief};
    return heartbeat(cluster, &what);
}

static struct cluster_message *heartbeat_to_several(struct cluster *cluster) {
    return heartbeat(cluster, &(struct heartbeat){.type = PACKET_PONG});
}

// With a thousand nodes a gossip of a tenth is five times the rest of a message, and where a network heals,
// or a node starts, it has a thousand links to greet over: there is time for gossip later. Not with whom we
// have just met: who has nothing to gossip about may be one that has yet to hear of the others.
static bool may_be_brief(const struct cluster *cluster, const struct peer *peer) {
    return cluster->peers_count > SMALL_CLUSTER && peer && !peer_is(peer, CLUSTER_NODE_HANDSHAKE) &&
           elapsed(cluster, peer->created) > cluster->config.node_timeout;
}

static void ping(struct cluster *cluster, struct peer *peer, enum packet_type type, bool brief) {
    if (peer->link != LINK_UP || cluster->stalled) return;
    struct cluster_message *message = heartbeat_to(cluster, type, peer, brief);
    action_send_peer(cluster, peer, message, false);
    cluster_message_release(message);
    // A ping that already waits for its pong keeps its time: the silence began there.
    if (peer->ping_sent == 0) peer->ping_sent = cluster->now;
    if (peer->pings_out < UINT16_MAX) peer->pings_out++;
    peer_look_again(cluster, peer);
}

void speak_ping(struct cluster *cluster, struct peer *peer, enum packet_type type) {
    ping(cluster, peer, type, false);
}

void speak_greeting(struct cluster *cluster, struct peer *peer) {
    ping(cluster, peer, PACKET_PING, may_be_brief(cluster, peer));
}

void speak_pong(struct cluster *cluster, struct cluster_link link, struct peer *peer, bool brief) {
    action_send(cluster, link, heartbeat_to(cluster, PACKET_PONG, peer, brief && may_be_brief(cluster, peer)),
                false);
}

void speak_to_all(struct cluster *cluster) {
    broadcast(cluster, heartbeat_to_several(cluster), false);
}

// Where an administrator tells each node of a thousand to forget somebody, and each told all others, that
// would be a million messages in one moment: who is told by a node meanwhile is silent. All get the same
// message.
void speak_forgotten(struct cluster *cluster) {
    cluster->forget_news_at = UINT64_MAX;
    struct heartbeat what = {.type = PACKET_PONG, .all_extensions = true, .brief = true};
    struct cluster_message *message = heartbeat(cluster, &what);
    PEERS_EACH(cluster, peer) {
        if (peer->extensions && !peer_is(peer, CLUSTER_NODE_HANDSHAKE))
            action_send_peer(cluster, peer, message, false);
    }
    cluster_message_release(message);
}

void speak_to_shard(struct cluster *cluster) {
    struct peer *head = peer_shard_head(cluster, cluster->myself);
    if (head == NULL) return;
    struct cluster_message *message = heartbeat_to_several(cluster);
    PEERS_EACH(cluster, peer) {
        if (peer == head || (peer_is(peer, CLUSTER_NODE_REPLICA) && peer->primary == head->index))
            action_send_peer(cluster, peer, message, false);
    }
    cluster_message_release(message);
}

// The replicas of those whose suspicion was not told yet, who gather the reports; and primaries. In a large
// cluster those of the smallest names, so that all reporters tell the same few.
static bool should_hear(struct cluster *cluster, const struct peer *peer, bool replicas) {
    if (peer->link != LINK_UP ||
        peer_is(peer, CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL | CLUSTER_NODE_HANDSHAKE))
        return false;
    if (!replicas) return peer_votes(peer);
    const struct peer *primary = peer_is(peer, CLUSTER_NODE_REPLICA) ? peer_at(cluster, peer->primary) : NULL;
    return primary && peer_set_has(cluster->untold, primary->index);
}

// Keeps the SUSPICION_FANOUT_MAX smallest names.
static uint32_t keep_smallest(struct peer **kept, uint32_t count, struct peer *peer) {
    uint32_t at = count < SUSPICION_FANOUT_MAX ? count : SUSPICION_FANOUT_MAX;
    while (at > 0 && memcmp(peer->id, kept[at - 1]->id, CLUSTER_ID_SIZE) < 0) {
        if (at < SUSPICION_FANOUT_MAX) kept[at] = kept[at - 1];
        at--;
    }
    if (at < SUSPICION_FANOUT_MAX) kept[at] = peer;
    return count < SUSPICION_FANOUT_MAX ? count + 1 : count;
}

static void send_to_those_who_should_hear(struct cluster *cluster, struct cluster_message *message,
                                          bool replicas) {
    struct peer *kept[SUSPICION_FANOUT_MAX];
    uint32_t count = 0;
    PEERS_EACH(cluster, peer) {
        if (should_hear(cluster, peer, replicas)) count = keep_smallest(kept, count, peer);
    }
    for (uint32_t i = 0; i < count; i++)
        action_send_peer(cluster, kept[i], message, false);
}

// Where a network parts, each node of a thousand soon suspects hundreds: each is told of once, in a message
// that speaks of nothing else.
void speak_suspicions(struct cluster *cluster) {
    if (peer_votes(cluster->myself) && cluster->suspect_count > 0) {
        struct heartbeat what = {.type = PACKET_PONG, .brief = true};
        struct cluster_message *message = heartbeat(cluster, &what);
        send_to_those_who_should_hear(cluster, message, true);
        send_to_those_who_should_hear(cluster, message, false);
        cluster_message_release(message);
    }
    memset(cluster->untold, 0, cluster->peers_capacity / PEER_WORD * sizeof(*cluster->untold));
}

// ---- The rest ----

void speak_fail(struct cluster *cluster, const struct peer *failed) {
    struct packet packet;
    peer_set_put(cluster->fail_news, failed->index, false);
    fill_header(cluster, &packet, PACKET_FAIL, NULL);
    struct cluster_message *message = compose(cluster, &packet, CLUSTER_ID_SIZE);
    memcpy(message->data + PACKET_HEADER_SIZE, failed->id, CLUSTER_ID_SIZE);
    broadcast(cluster, message, false);
}

void speak_update(struct cluster *cluster, struct cluster_link link, const struct peer *owner) {
    struct packet packet;
    struct packet_update update;
    uint8_t claimed[PACKET_SLOTS_SIZE];
    const struct spoken *spoken = &cluster->spoken;
    bool myself = owner == cluster->myself;
    // Of ourselves we say what is saved; when that is not newer, the claimer will be told with its next ping.
    if (myself && !(spoken->flags & CLUSTER_NODE_PRIMARY)) return;
    fill_header(cluster, &packet, PACKET_UPDATE, NULL);
    struct cluster_message *message = compose(cluster, &packet, PACKET_UPDATE_SIZE);
    update.config_epoch = myself ? spoken->config_epoch : owner->config_epoch;
    memcpy(update.id, owner->id, CLUSTER_ID_SIZE);
    slots_claimed(cluster, owner, claimed);
    update.slots = myself ? spoken->slots : claimed;
    packet_update_write(message->data + PACKET_HEADER_SIZE, &update);
    action_send(cluster, link, message, false);
}

void speak_auth_request(struct cluster *cluster, bool force) {
    struct packet packet;
    struct spoken now;
    now.slots_version = 0;
    describe(cluster, &now);
    fill_header(cluster, &packet, PACKET_AUTH_REQUEST, &now);
    if (force) packet.message_flags[0] |= PACKET_FORCE_ACK;
    broadcast(cluster, compose(cluster, &packet, 0), true);
}

void speak_auth_ack(struct cluster *cluster, struct peer *candidate) {
    struct packet packet;
    struct spoken now;
    now.slots_version = 0;
    describe(cluster, &now);
    fill_header(cluster, &packet, PACKET_AUTH_ACK, &now);
    struct cluster_message *message = compose(cluster, &packet, 0);
    action_send_peer(cluster, candidate, message, true);
    cluster_message_release(message);
}

void speak_mfstart(struct cluster *cluster, struct peer *primary) {
    struct packet packet;
    if (primary == NULL) return;
    fill_header(cluster, &packet, PACKET_MFSTART, NULL);
    struct cluster_message *message = compose(cluster, &packet, 0);
    action_send_peer(cluster, primary, message, false);
    cluster_message_release(message);
}
