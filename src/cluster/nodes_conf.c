#include "cluster/nodes_conf.h"

#include <string.h>

#include "base/memory.h"
#include "cluster/handshake.h"
#include "cluster/peers.h"
#include "cluster/slots.h"

// ---- Reading ----

enum {
    FLAGS_LOADED = CLUSTER_NODE_PRIMARY | CLUSTER_NODE_REPLICA | CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL |
                   CLUSTER_NODE_MYSELF | CLUSTER_NODE_NOADDR | CLUSTER_NODE_NOFAILOVER
};

static bool wrong(struct buffer *error, const struct nodes_text_node *node, const char *what) {
    buffer_appendf(error, "node %s: %s", node->id, what);
    return false;
}

static bool load_peer(struct cluster *cluster, const struct nodes_text_node *node, struct buffer *error) {
    if (!name_is_good(node->id)) return wrong(error, node, "the name is not 40 hexadecimal digits");
    if (peer_find(cluster, node->id)) return wrong(error, node, "it stands there twice");
    struct peer *peer = peer_create(cluster, node->id, node->flags & FLAGS_LOADED);
    if (peer == NULL) return wrong(error, node, "too many nodes");
    peer->created = 0;
    memcpy(peer->ip, node->ip, sizeof(peer->ip));
    peer->port = node->port;
    peer->bus_port = node->bus_port;
    peer->other_port = node->other_port;
    peer_address_changed(cluster, peer);
    peer->config_epoch = node->config_epoch;
    peer_set_text(&peer->hostname, bytes_from_string(node->hostname));
    peer_set_text(&peer->human_nodename, bytes_from_string(node->human_nodename));
    if (node->shard_id[0]) {
        if (!name_is_good(node->shard_id)) return wrong(error, node, "bad shard-id");
        memcpy(peer->shard_id, node->shard_id, CLUSTER_ID_SIZE);
    }
    // Who had failed or was silent before we slept may be back, or somebody else's primary: all are asked
    // anew.
    peer_set_suspect(cluster, peer, false);
    peer->flags = (uint16_t)(peer->flags & ~CLUSTER_NODE_FAIL);
    if (!peer_is(peer, CLUSTER_NODE_MYSELF)) return true;
    if (cluster->myself) return wrong(error, node, "two nodes are called myself");
    cluster->myself = peer;
    return true;
}

static bool load_slots(struct cluster *cluster, const struct nodes_text_node *node, struct buffer *error) {
    struct peer *peer = peer_find(cluster, node->id);
    if (node->range_count && !peer_is(peer, CLUSTER_NODE_PRIMARY))
        return wrong(error, node, "a replica owns slots");
    for (size_t i = 0; i < node->range_count; i++)
        for (unsigned slot = node->ranges[i].first; slot <= node->ranges[i].last; slot++) {
            if (slot_owner(cluster, slot)) return wrong(error, node, "a slot has two owners");
            slot_give(cluster, slot, peer);
        }
    return true;
}

static bool load_moves(struct cluster *cluster, const struct nodes_text_node *node, struct buffer *error) {
    if (node->move_count && peer_find(cluster, node->id) != cluster->myself)
        return wrong(error, node, "slots move that are not mine");
    for (size_t i = 0; i < node->move_count; i++) {
        const struct nodes_text_move *move = &node->moves[i];
        struct peer *other = peer_find(cluster, move->id);
        if (other == NULL) return wrong(error, node, "a slot moves to or from an unknown node");
        if (move->importing)
            slot_set_importing(cluster, move->slot, other);
        else
            slot_set_migrating(cluster, move->slot, other);
    }
    return true;
}

// A replica is of its primary's shard, whatever an old file says.
static bool load_primary(struct cluster *cluster, const struct nodes_text_node *node, struct buffer *error) {
    struct peer *peer = peer_find(cluster, node->id);
    if (!peer_is(peer, CLUSTER_NODE_REPLICA) || node->primary[0] == '\0') return true;
    struct peer *primary = peer_find(cluster, node->primary);
    if (primary == NULL || primary == peer) return wrong(error, node, "its primary is not in the file");
    peer->primary = primary->index;
    primary->flags |= CLUSTER_NODE_MIGRATE_TO;
    memcpy(peer->shard_id, primary->shard_id, CLUSTER_ID_SIZE);
    return true;
}

typedef bool loader(struct cluster *cluster, const struct nodes_text_node *node, struct buffer *error);

static bool load_all(struct cluster *cluster, const struct nodes_text *text, struct buffer *error) {
    static loader *const passes[] = {load_peer, load_primary, load_slots, load_moves};
    for (size_t pass = 0; pass < sizeof(passes) / sizeof(passes[0]); pass++)
        for (size_t i = 0; i < text->count; i++)
            if (!passes[pass](cluster, &text->nodes[i], error)) return false;
    return true;
}

// Nobody's epoch is newer than the current one; an old file may not say so.
static void load_vars(struct cluster *cluster, const struct nodes_text *text) {
    cluster->current_epoch = text->current_epoch;
    cluster->last_vote_epoch = text->last_vote_epoch;
    PEERS_EACH(cluster, peer) cluster->current_epoch = max64(cluster->current_epoch, peer->config_epoch);
}

bool nodes_conf_load(struct cluster *cluster, struct bytes conf, struct buffer *error) {
    struct nodes_text text;
    if (!nodes_text_parse(conf, &text, error)) return false;
    bool good = false;
    if (!text.has_vars)
        buffer_append_string(
            error,
            "the last line (vars currentEpoch ...) is missing: the file was cut off or is none of a node");
    else
        good = load_all(cluster, &text, error);
    if (good) load_vars(cluster, &text);
    nodes_text_free(&text);
    if (good && cluster->myself == NULL) {
        buffer_append_string(error, "no node is called myself");
        good = false;
    }
    if (good && !peer_is(cluster->myself, CLUSTER_NODE_PRIMARY | CLUSTER_NODE_REPLICA)) {
        buffer_append_string(error, "myself is neither master nor slave");
        good = false;
    }
    if (good && max64(cluster->current_epoch, cluster->last_vote_epoch) > PACKET_EPOCH_MAX) {
        buffer_append_string(error, "an epoch is greater than any that a cluster can have reached");
        good = false;
    }
    return good;
}

// ---- Writing ----

enum { RUNS_FIRST = 64 };

// The ranges of all peers, found in one walk over the slots: ranges[i] stands in the list of its owner, in
// order.
struct all_ranges {
    struct nodes_text_range *items; // grouped by owner
    uint32_t *start;                // of each peer's; start[peers_end] is the end
};

// The last slot of the run that begins at `first`; runs are long, so it looks at four slots at a time.
static unsigned run_end(const struct cluster *cluster, unsigned first) {
    enum { STRIDE = sizeof(uint64_t) / sizeof(uint16_t) };
    uint16_t owner = cluster->owner[first];
    uint64_t four, alike = owner * (uint64_t)0x0001000100010001;
    unsigned last = first;
    for (; last + STRIDE < CLUSTER_SLOTS; last += STRIDE) {
        memcpy(&four, &cluster->owner[last + 1], sizeof(four));
        if (four != alike) break;
    }
    while (last + 1 < CLUSTER_SLOTS && cluster->owner[last + 1] == owner)
        last++;
    return last;
}

static void find_runs(const struct cluster *cluster, struct slot_runs *runs) {
    runs->count = 0;
    runs->version = cluster->slots_version;
    for (unsigned slot = 0; slot < CLUSTER_SLOTS;) {
        unsigned last = run_end(cluster, slot);
        uint16_t owner = cluster->owner[slot];
        if (runs->count == runs->capacity) {
            runs->capacity = runs->capacity ? runs->capacity * 2 : RUNS_FIRST;
            runs->items = mem_realloc(runs->items, runs->capacity * sizeof(*runs->items));
        }
        if (owner != NO_PEER)
            runs->items[runs->count++] = (struct slot_run){owner, (uint16_t)slot, (uint16_t)last};
        slot = last + 1;
    }
}

static void collect_ranges(const struct cluster *cluster, struct all_ranges *all) {
    struct slot_runs *runs = cluster->runs;
    if (runs->version != cluster->slots_version) find_runs(cluster, runs);
    all->start = mem_calloc(cluster->peers_end + 2, sizeof(*all->start));
    all->items = mem_alloc((runs->count + 1) * sizeof(*all->items));
    // Counted two places further on, so that start[owner + 1] can move along as the owner's are filled in.
    uint32_t *start = all->start;
    for (uint32_t i = 0; i < runs->count; i++)
        if (runs->items[i].owner + 2u <= cluster->peers_end) start[runs->items[i].owner + 2]++;
    for (uint32_t i = 1; i <= cluster->peers_end; i++)
        start[i] += start[i - 1];
    for (uint32_t i = 0; i < runs->count; i++) {
        const struct slot_run *run = &runs->items[i];
        all->items[start[run->owner + 1]++] = (struct nodes_text_range){run->first, run->last};
    }
}

static struct nodes_text_move *collect_moves(const struct cluster *cluster, size_t *count) {
    *count = 0;
    if (cluster->moving == 0) return NULL;
    struct nodes_text_move *moves = mem_alloc(cluster->moving * sizeof(*moves));
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot++)
        for (int importing = 0; importing < 2; importing++) {
            uint16_t other = (importing ? cluster->importing : cluster->migrating)[slot];
            if (other == NO_PEER) continue;
            struct nodes_text_move *move = &moves[(*count)++];
            move->slot = (uint16_t)slot;
            move->importing = importing;
            memcpy(move->id, cluster->peers[other]->id, CLUSTER_ID_SIZE);
            move->id[CLUSTER_ID_SIZE] = '\0';
        }
    return moves;
}

static void copy_id(char *to, const char *id) {
    memcpy(to, id, CLUSTER_ID_SIZE);
    to[CLUSTER_ID_SIZE] = '\0';
}

static void describe_peer(const struct cluster *cluster, const struct peer *peer, bool other_port,
                          struct nodes_text_node *node) {
    node->primary[0] = node->hostname[0] = node->human_nodename[0] = '\0';
    struct peer *primary = peer_is(peer, CLUSTER_NODE_REPLICA) ? peer_at(cluster, peer->primary) : NULL;
    copy_id(node->id, peer->id);
    copy_id(node->shard_id, primary ? primary->shard_id : peer->shard_id);
    if (primary) copy_id(node->primary, primary->id);
    memcpy(node->ip, peer->ip, sizeof(node->ip));
    if (peer->hostname) memcpy(node->hostname, peer->hostname, strlen(peer->hostname) + 1);
    if (peer->human_nodename)
        memcpy(node->human_nodename, peer->human_nodename, strlen(peer->human_nodename) + 1);
    node->port = other_port && peer->other_port ? peer->other_port : peer->port;
    node->other_port = peer->other_port;
    node->other_is_tls = true;
    node->bus_port = peer->bus_port;
    node->flags = peer->flags;
    // Cluster spec, "Replica election and promotion": a replica shows its primary's epoch.
    node->config_epoch = primary ? primary->config_epoch : peer->config_epoch;
    bool myself = peer == cluster->myself;
    node->link_up = myself || peer->link == LINK_UP;
    node->ping_sent = myself ? 0 : unix_time(cluster, peer->ping_sent);
    node->pong_received = myself ? 0 : unix_time(cluster, peer->pong_received);
}

void nodes_conf_write(const struct cluster *cluster, enum nodes_text_style style, uint16_t only,
                      bool other_port, struct buffer *out) {
    struct all_ranges all;
    struct nodes_text_node *node = mem_alloc(sizeof(*node));
    collect_ranges(cluster, &all);
    PEERS_EACH(cluster, peer) {
        if (only != NO_PEER && peer->index != only) continue;
        if (style == NODES_TEXT_FILE && peer_is(peer, CLUSTER_NODE_HANDSHAKE)) continue;
        describe_peer(cluster, peer, other_port, node);
        node->ranges = all.items + all.start[peer->index];
        node->range_count = all.start[peer->index + 1] - all.start[peer->index];
        node->moves = peer == cluster->myself ? collect_moves(cluster, &node->move_count) : NULL;
        if (node->moves == NULL) node->move_count = 0;
        nodes_text_write(out, node, style);
        mem_free(node->moves);
    }
    mem_free(all.items);
    mem_free(all.start);
    mem_free(node);
}
