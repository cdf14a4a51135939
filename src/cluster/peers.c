#include "cluster/peers.h"

#include <string.h>

#include "base/memory.h"
#include "cluster/actions.h"
#include "cluster/failure.h"
#include "cluster/slots.h"

enum { INDEX_SMALLEST = 16 };

static const uint32_t INDEX_GAP = UINT32_MAX; // no peer has the index 0xffff

// ---- The index: open addressing, at most half full ----

// Names are random already, and the same seed must give the same order everywhere.
static uint32_t id_hash(const char *id) {
    uint64_t words[CLUSTER_ID_SIZE / sizeof(uint64_t)];
    memcpy(words, id, sizeof(words));
    uint64_t hash = words[0] * 0x9e3779b97f4a7c15u + words[1] * 0xc2b2ae3d27d4eb4fu +
                    words[2] * 0x165667b19e3779f9u + words[3] * 0x27d4eb2f165667c5u +
                    words[4] * 0xd6e8feb86659fd93u;
    return (uint32_t)((hash ^ hash >> 29) * 0x9e3779b97f4a7c15u >> 32);
}

static uint32_t index_entry(uint32_t hash, uint32_t index) {
    return (hash & 0xffff0000) | index;
}

static void index_put(struct cluster *cluster, const struct peer *peer) {
    uint32_t hash = id_hash(peer->id), mask = cluster->index_size - 1, at = hash & mask;
    while (cluster->index[at] != INDEX_GAP)
        at = (at + 1) & mask;
    cluster->index[at] = index_entry(hash, peer->index);
}

static void index_build(struct cluster *cluster, uint32_t size) {
    if (size != cluster->index_size) {
        cluster->index = mem_realloc(cluster->index, size * sizeof(*cluster->index));
        cluster->index_size = size;
    }
    memset(cluster->index, 0xff, size * sizeof(*cluster->index));
    PEERS_EACH(cluster, peer) index_put(cluster, peer);
}

void peers_init(struct cluster *cluster) {
    index_build(cluster, INDEX_SMALLEST);
}

static void index_add(struct cluster *cluster, const struct peer *peer) {
    uint32_t size = cluster->index_size;
    while (cluster->peers_count * 2 > size)
        size *= 2;
    if (size != cluster->index_size)
        index_build(cluster, size);
    else
        index_put(cluster, peer);
}

// Takes a name out and closes the gap behind it.
static void index_remove(struct cluster *cluster, const struct peer *peer) {
    uint32_t hash = id_hash(peer->id), mask = cluster->index_size - 1, at = hash & mask;
    while (cluster->index[at] != index_entry(hash, peer->index))
        at = (at + 1) & mask;
    cluster->index[at] = INDEX_GAP;
    for (uint32_t next = (at + 1) & mask; cluster->index[next] != INDEX_GAP; next = (next + 1) & mask) {
        uint32_t moved = cluster->index[next] & 0xffff;
        cluster->index[next] = INDEX_GAP;
        index_put(cluster, cluster->peers[moved]);
    }
}

static struct peer *find(const struct cluster *cluster, uint32_t hash, const char *id) {
    uint32_t mask = cluster->index_size - 1, entry;
    for (uint32_t at = hash & mask; (entry = cluster->index[at]) != INDEX_GAP; at = (at + 1) & mask) {
        if ((entry ^ hash) >> 16) continue;
        struct peer *peer = cluster->peers[entry & 0xffff];
        if (memcmp(peer->id, id, CLUSTER_ID_SIZE) == 0) return peer;
    }
    return NULL;
}

uint32_t peer_find_expect(const struct cluster *cluster, const char *id) {
    uint32_t hash = id_hash(id);
    __builtin_prefetch(&cluster->index[hash & (cluster->index_size - 1)]);
    return hash;
}

// Where the name most likely is. Its place can be told without looking at peers[].
void peer_find_fetch(const struct cluster *cluster, uint32_t expected) {
    uint32_t mask = cluster->index_size - 1, entry;
    for (uint32_t at = expected & mask; (entry = cluster->index[at]) != INDEX_GAP; at = (at + 1) & mask) {
        if ((entry ^ expected) >> 16) continue;
        uint32_t index = entry & 0xffff;
        __builtin_prefetch(cluster->blocks[index / PEER_WORD] + index % PEER_WORD);
        return;
    }
}

struct peer *peer_find_expected(const struct cluster *cluster, uint32_t expected, const char *id) {
    return find(cluster, expected, id);
}

struct peer *peer_find(const struct cluster *cluster, const char *id) {
    return find(cluster, id_hash(id), id);
}

// ---- Peers ----

void peer_random_id(struct cluster *cluster, char *id) {
    for (size_t i = 0; i < CLUSTER_ID_SIZE; i++)
        id[i] = "0123456789abcdef"[prng_below(&cluster->prng, 16)];
}

static void grow(struct cluster *cluster) {
    uint32_t old = cluster->peers_capacity, capacity = old ? old * 2 : PEER_WORD;
    cluster->peers = mem_realloc(cluster->peers, capacity * sizeof(*cluster->peers));
    cluster->reports = mem_realloc(cluster->reports, capacity * sizeof(*cluster->reports));
    cluster->blocks = mem_realloc(cluster->blocks, capacity / PEER_WORD * sizeof(*cluster->blocks));
    for (uint32_t block = old / PEER_WORD; block < capacity / PEER_WORD; block++)
        cluster->blocks[block] = NULL;
    cluster->look_at = mem_realloc(cluster->look_at, capacity * sizeof(*cluster->look_at));
    cluster->linkless = mem_realloc(cluster->linkless, capacity / PEER_WORD * sizeof(uint64_t));
    cluster->suspects = mem_realloc(cluster->suspects, capacity / PEER_WORD * sizeof(uint64_t));
    memset(cluster->linkless + old / PEER_WORD, 0, (capacity - old) / PEER_WORD * sizeof(uint64_t));
    memset(cluster->suspects + old / PEER_WORD, 0, (capacity - old) / PEER_WORD * sizeof(uint64_t));
    cluster->peers_capacity = capacity;
}

static uint32_t free_index(struct cluster *cluster) {
    if (cluster->peers_count < cluster->peers_end)
        for (uint32_t i = 0; i < cluster->peers_end; i++)
            if (cluster->peers[i] == NULL) return i;
    if (cluster->peers_end == cluster->peers_capacity) grow(cluster);
    return cluster->peers_end++;
}

// ---- What ticks go by ----

void peers_look_again(struct cluster *cluster) {
    memset(cluster->look_at, 0, cluster->peers_end * sizeof(*cluster->look_at));
}

static void set_member(uint64_t *set, uint32_t index, bool member) {
    uint64_t bit = (uint64_t)1 << index % PEER_WORD;
    set[index / PEER_WORD] = member ? set[index / PEER_WORD] | bit : set[index / PEER_WORD] & ~bit;
}

void peer_set_link(struct cluster *cluster, struct peer *peer, enum link_state link) {
    peer->link = (uint8_t)link;
    set_member(cluster->linkless, peer->index, link == LINK_NONE);
    peer_look_again(cluster, peer);
}

void peer_set_suspect(struct cluster *cluster, struct peer *peer, bool suspect) {
    if (suspect && !peer_is(peer, CLUSTER_NODE_PFAIL)) cluster->suspect_count++;
    if (!suspect && peer_is(peer, CLUSTER_NODE_PFAIL)) cluster->suspect_count--;
    peer->flags = (uint16_t)((peer->flags & ~CLUSTER_NODE_PFAIL) | (suspect ? CLUSTER_NODE_PFAIL : 0));
    set_member(cluster->suspects, peer->index, suspect);
    peer_look_again(cluster, peer);
}

// ---- Birth and death ----

struct peer *peer_create(struct cluster *cluster, const char *id, unsigned flags) {
    if (cluster->peers_count == PEERS_MAX) return NULL;
    uint32_t index = free_index(cluster);
    struct peer **block = &cluster->blocks[index / PEER_WORD];
    if (*block == NULL) *block = mem_alloc(PEER_WORD * sizeof(**block));
    struct peer *peer = *block + index % PEER_WORD;
    memset(peer, 0, sizeof(*peer));
    cluster->peers[index] = peer;
    cluster->reports[index] = NULL;
    cluster->peers_count++;
    peer->index = (uint16_t)index;
    peer->generation = ++cluster->generation;
    peer->flags = (uint16_t)(flags & ~CLUSTER_NODE_PFAIL);
    peer_set_link(cluster, peer, LINK_NONE);
    peer_set_suspect(cluster, peer, (flags & CLUSTER_NODE_PFAIL) != 0);
    peer->primary = NO_PEER;
    peer->created = cluster->now;
    peer->slots_changed = ++cluster->slots_version;
    if (id)
        memcpy(peer->id, id, CLUSTER_ID_SIZE);
    else
        peer_random_id(cluster, peer->id);
    peer_random_id(cluster, peer->shard_id);
    index_add(cluster, peer);
    return peer;
}

static void peer_free(struct cluster *cluster, struct peer *peer) {
    mem_free(cluster->reports[peer->index]);
    mem_free(peer->hostname);
    mem_free(peer->human_nodename);
}

void peer_delete(struct cluster *cluster, struct peer *peer) {
    action_disconnect(cluster, peer);
    slots_abandon(cluster, peer);
    slots_forget_moves(cluster, peer->index);
    index_remove(cluster, peer);
    PEERS_EACH(cluster, other) {
        if (other->primary == peer->index) other->primary = NO_PEER;
        failure_forget_report(cluster, other, peer->index);
    }
    if (cluster->election.primary == peer->index)
        cluster->election.primary = NO_PEER, cluster->election.at = 0;
    // It may not know that it was forgotten: a pause that it asked for lasts its time.
    if (cluster->manual.replica == peer->index) cluster->manual.replica = NO_PEER;
    peer_set_suspect(cluster, peer, false);
    set_member(cluster->linkless, peer->index, false);
    cluster->peers[peer->index] = NULL;
    cluster->peers_count--;
    cluster->slots_version++;
    if (!peer_is(peer, CLUSTER_NODE_HANDSHAKE)) cluster->todo |= TODO_SAVE | TODO_ROUTES | TODO_STATE;
    peer_free(cluster, peer);
}

void peers_free(struct cluster *cluster) {
    PEERS_EACH(cluster, peer) peer_free(cluster, peer);
    for (uint32_t block = 0; block < cluster->peers_capacity / PEER_WORD; block++)
        mem_free(cluster->blocks[block]);
    mem_free(cluster->blocks);
    mem_free(cluster->reports);
    mem_free(cluster->peers);
    mem_free(cluster->look_at);
    mem_free(cluster->linkless);
    mem_free(cluster->suspects);
    mem_free(cluster->index);
}

struct peer *peer_of_handle(const struct cluster *cluster, cluster_node handle) {
    if (handle == 0) return NULL;
    struct peer *peer = peer_at(cluster, (handle - 1) & 0xffff);
    return peer && peer_handle(peer) == handle ? peer : NULL;
}

void peer_rename(struct cluster *cluster, struct peer *peer, const char *id) {
    index_remove(cluster, peer);
    memcpy(peer->id, id, CLUSTER_ID_SIZE);
    index_put(cluster, peer);
}

static void role_changed(struct cluster *cluster, struct peer *peer) {
    peer->slots_changed = ++cluster->slots_version;
    cluster->todo |= TODO_SAVE | TODO_ROUTES | TODO_STATE;
    if (peer == cluster->myself) promise(cluster);
}

void peer_make_primary(struct cluster *cluster, struct peer *peer) {
    if (peer_is(peer, CLUSTER_NODE_PRIMARY)) return;
    peer->primary = NO_PEER;
    peer->flags = (uint16_t)((peer->flags & ~CLUSTER_NODE_REPLICA) | CLUSTER_NODE_PRIMARY);
    // It was reachable by replicas as one: from now on others may send it a replica of theirs.
    if (peer != cluster->myself) peer->flags |= CLUSTER_NODE_MIGRATE_TO;
    role_changed(cluster, peer);
}

void peer_make_replica(struct cluster *cluster, struct peer *peer, struct peer *primary) {
    uint16_t index = primary ? primary->index : NO_PEER;
    if (peer_is(peer, CLUSTER_NODE_REPLICA) && peer->primary == index) return;
    peer->primary = index;
    peer->flags =
        (uint16_t)((peer->flags & ~(CLUSTER_NODE_PRIMARY | CLUSTER_NODE_MIGRATE_TO)) | CLUSTER_NODE_REPLICA);
    if (primary) {
        primary->flags |= CLUSTER_NODE_MIGRATE_TO;
        memcpy(peer->shard_id, primary->shard_id, CLUSTER_ID_SIZE);
    }
    role_changed(cluster, peer);
}

struct peer *peer_shard_head(const struct cluster *cluster, struct peer *peer) {
    return peer_is(peer, CLUSTER_NODE_REPLICA) ? peer_at(cluster, peer->primary) : peer;
}

uint32_t peer_replicas(const struct cluster *cluster, const struct peer *primary, bool working) {
    uint32_t count = 0;
    PEERS_EACH(cluster, peer) {
        if (!peer_is(peer, CLUSTER_NODE_REPLICA) || peer->primary != primary->index) continue;
        if (!working || !peer_is(peer, CLUSTER_NODE_FAIL)) count++;
    }
    return count;
}

bool peer_set_text(char **to, struct bytes text) {
    struct bytes old = *to ? bytes_from_string(*to) : BYTES("");
    if (bytes_equal(old, text)) return false;
    mem_free(*to);
    *to = text.size ? bytes_to_string(text) : NULL;
    return true;
}

// ---- The blacklist ----

static void blacklist_tidy(struct cluster *cluster) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < cluster->forgotten_count; i++)
        if (cluster->forgotten[i].until > cluster->now) cluster->forgotten[kept++] = cluster->forgotten[i];
    cluster->forgotten_count = kept;
}

void blacklist_add(struct cluster *cluster, const char *id, uint64_t ttl) {
    blacklist_tidy(cluster);
    uint32_t at = 0;
    while (at < cluster->forgotten_count && memcmp(cluster->forgotten[at].id, id, CLUSTER_ID_SIZE) != 0)
        at++;
    if (at == BLACKLIST_MAX) { // full: the oldest goes
        memmove(cluster->forgotten, cluster->forgotten + 1,
                (BLACKLIST_MAX - 1) * sizeof(cluster->forgotten[0]));
        at--;
    } else if (at == cluster->forgotten_count) {
        cluster->forgotten_count++;
    }
    memcpy(cluster->forgotten[at].id, id, CLUSTER_ID_SIZE);
    cluster->forgotten[at].until = cluster->now + ttl;
}

bool blacklist_has(struct cluster *cluster, const char *id) {
    if (cluster->forgotten_count == 0) return false;
    blacklist_tidy(cluster);
    for (uint32_t i = 0; i < cluster->forgotten_count; i++)
        if (memcmp(cluster->forgotten[i].id, id, CLUSTER_ID_SIZE) == 0) return true;
    return false;
}
