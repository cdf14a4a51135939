#include "cluster/peers.h"

#include <string.h>

#include "base/memory.h"
#include "cluster/actions.h"
#include "cluster/reports.h"
#include "cluster/slots.h"

// ---- Names ----

static void name_give(struct cluster *cluster, struct peer *peer, const char *id) {
    struct directory_name *name = directory_take_name(cluster->directory, id);
    if (name->number >= cluster->by_name_size) {
        uint32_t size = (name->number / PEER_WORD + 1) * PEER_WORD;
        cluster->by_name = mem_realloc(cluster->by_name, size * sizeof(*cluster->by_name));
        for (uint32_t i = cluster->by_name_size; i < size; i++)
            cluster->by_name[i] = NO_PEER;
        cluster->by_name_size = size;
    }
    cluster->by_name[name->number] = peer->index;
    peer->name = name;
    peer->id = name->id;
}

static void name_take(struct cluster *cluster, struct peer *peer) {
    cluster->by_name[peer->name->number] = NO_PEER;
    directory_drop_name(cluster->directory, peer->name);
}

struct peer *peer_find(const struct cluster *cluster, const char *id) {
    int64_t number = directory_find_name(cluster->directory, id);
    if (number < 0 || number >= (int64_t)cluster->by_name_size) return NULL;
    uint16_t index = cluster->by_name[number];
    return index == NO_PEER ? NULL : cluster->peers[index];
}

void peers_find(const struct cluster *cluster, uint32_t count, const char *const *ids, struct peer **found) {
    int64_t numbers[PEERS_FIND_MAX];
    for (uint32_t i = 0; i < count; i++) {
        numbers[i] = directory_find_name(cluster->directory, ids[i]);
        if (numbers[i] >= (int64_t)cluster->by_name_size) numbers[i] = -1;
        if (numbers[i] >= 0) __builtin_prefetch(&cluster->by_name[numbers[i]]);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint16_t index = numbers[i] < 0 ? NO_PEER : cluster->by_name[numbers[i]];
        found[i] = index == NO_PEER ? NULL : peer_place(cluster, index);
        if (found[i]) __builtin_prefetch(found[i]);
    }
}

// ---- Addresses ----

void peer_address_changed(struct cluster *cluster, struct peer *peer) {
    struct directory_place place = {
        .port = peer->port, .bus_port = peer->bus_port, .other_port = peer->other_port};
    struct directory_address *old = peer->address;
    memcpy(place.ip, peer->ip, strnlen(peer->ip, sizeof(place.ip) - 1));
    peer->address = directory_take_address(cluster->directory, &place);
    directory_drop_address(cluster->directory, old);
}

// ---- Peers ----

void peer_random_id(struct cluster *cluster, char *id) {
    for (size_t i = 0; i < CLUSTER_ID_SIZE; i++)
        id[i] = "0123456789abcdef"[prng_below(&cluster->prng, 16)];
}

static uint64_t *grow_set(uint64_t *set, uint32_t old, uint32_t capacity) {
    set = mem_realloc(set, capacity / PEER_WORD * sizeof(*set));
    memset(set + old / PEER_WORD, 0, (capacity - old) / PEER_WORD * sizeof(*set));
    return set;
}

static void grow(struct cluster *cluster) {
    uint32_t old = cluster->peers_capacity, capacity = old ? old * 2 : PEER_WORD;
    cluster->peers = mem_realloc(cluster->peers, capacity * sizeof(*cluster->peers));
    reports_grow(cluster, old, capacity);
    cluster->blocks = mem_realloc(cluster->blocks, capacity / PEER_WORD * sizeof(*cluster->blocks));
    for (uint32_t block = old / PEER_WORD; block < capacity / PEER_WORD; block++)
        cluster->blocks[block] = NULL;
    cluster->inbound = mem_realloc(cluster->inbound, capacity * sizeof(*cluster->inbound));
    cluster->look_at = mem_realloc(cluster->look_at, capacity * sizeof(*cluster->look_at));
    cluster->linkless = grow_set(cluster->linkless, old, capacity);
    cluster->suspects = grow_set(cluster->suspects, old, capacity);
    cluster->untold = grow_set(cluster->untold, old, capacity);
    cluster->fail_news = grow_set(cluster->fail_news, old, capacity);
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

void peer_set_link(struct cluster *cluster, struct peer *peer, enum link_state link) {
    peer->link = (uint8_t)link;
    peer->pings_out = peer->pings_crossed = 0;
    peer_set_put(cluster->linkless, peer->index, link == LINK_NONE);
    peer_look_again(cluster, peer);
}

void peer_set_suspect(struct cluster *cluster, struct peer *peer, bool suspect) {
    if (suspect && !peer_is(peer, CLUSTER_NODE_PFAIL)) cluster->suspect_count++;
    if (!suspect && peer_is(peer, CLUSTER_NODE_PFAIL)) cluster->suspect_count--;
    peer->flags = (uint16_t)((peer->flags & ~CLUSTER_NODE_PFAIL) | (suspect ? CLUSTER_NODE_PFAIL : 0));
    peer_set_put(cluster->suspects, peer->index, suspect);
    peer_set_put(cluster->untold, peer->index, suspect);
    peer_look_again(cluster, peer);
}

// ---- Birth and death ----

struct peer *peer_create(struct cluster *cluster, const char *id, unsigned flags) {
    if (cluster->peers_count == PEERS_MAX) return NULL;
    uint32_t index = free_index(cluster);
    struct peer **block = &cluster->blocks[index / PEER_WORD];
    if (*block == NULL) *block = mem_aligned_alloc(CACHE_LINE, PEER_WORD * sizeof(**block));
    struct peer *peer = *block + index % PEER_WORD;
    memset(peer, 0, sizeof(*peer));
    cluster->peers[index] = peer;
    cluster->inbound[index] = 0;
    cluster->peers_count++;
    peer->index = (uint16_t)index;
    peer->generation = ++cluster->generation;
    peer->flags = (uint16_t)(flags & ~CLUSTER_NODE_PFAIL);
    peer_set_link(cluster, peer, LINK_NONE);
    peer_set_suspect(cluster, peer, (flags & CLUSTER_NODE_PFAIL) != 0);
    peer->primary = NO_PEER;
    peer->created = cluster->now;
    peer->slots_changed = ++cluster->slots_version;
    char drawn[CLUSTER_ID_SIZE];
    if (id == NULL) peer_random_id(cluster, drawn);
    name_give(cluster, peer, id ? id : drawn);
    peer_random_id(cluster, peer->shard_id);
    peer_address_changed(cluster, peer);
    return peer;
}

static void peer_free(struct cluster *cluster, struct peer *peer) {
    name_take(cluster, peer);
    directory_drop_address(cluster->directory, peer->address);
    mem_free(peer->hostname);
    mem_free(peer->human_nodename);
    peer->id = NULL;
}

void peer_delete(struct cluster *cluster, struct peer *peer) {
    action_disconnect(cluster, peer);
    slots_abandon(cluster, peer);
    slots_forget_moves(cluster, peer->index);
    reports_forget(cluster, peer);
    peer_set_put(cluster->fail_news, peer->index, false);
    PEERS_EACH(cluster, other) {
        if (other->primary == peer->index) other->primary = NO_PEER;
    }
    if (cluster->election.primary == peer->index)
        cluster->election.primary = NO_PEER, cluster->election.at = 0;
    // It may not know that it was forgotten: a pause that it asked for lasts its time.
    if (cluster->manual.replica == peer->index) cluster->manual.replica = NO_PEER;
    peer_set_suspect(cluster, peer, false);
    peer_set_put(cluster->linkless, peer->index, false);
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
    reports_free(cluster);
    mem_free(cluster->peers);
    mem_free(cluster->inbound);
    mem_free(cluster->look_at);
    mem_free(cluster->linkless);
    mem_free(cluster->suspects);
    mem_free(cluster->untold);
    mem_free(cluster->fail_news);
    mem_free(cluster->by_name);
}

struct peer *peer_of_handle(const struct cluster *cluster, cluster_node handle) {
    if (handle == 0) return NULL;
    struct peer *peer = peer_at(cluster, (handle - 1) & 0xffff);
    return peer && peer_handle(peer) == handle ? peer : NULL;
}

void peer_rename(struct cluster *cluster, struct peer *peer, const char *id) {
    name_take(cluster, peer);
    name_give(cluster, peer, id);
}

static void role_changed(struct cluster *cluster, struct peer *peer) {
    peer->slots_changed = ++cluster->slots_version;
    peer->pings_crossed = peer->pings_out;
    cluster->todo |= TODO_SAVE | TODO_ROUTES | TODO_STATE;
    if (peer == cluster->myself) promise(cluster);
}

void peer_make_primary(struct cluster *cluster, struct peer *peer) {
    if (peer_is(peer, CLUSTER_NODE_PRIMARY)) return;
    peer->primary = NO_PEER;
    peer->flags = (uint16_t)((peer->flags & ~CLUSTER_NODE_REPLICA) | CLUSTER_NODE_PRIMARY);
    // Whom we elected in its place has had its time: one of its replicas may be elected again.
    peer->voted_time = 0;
    peer->voted_for = 0;
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
