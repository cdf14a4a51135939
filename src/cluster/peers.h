// peers: the nodes that we know. Part of the core.
#ifndef SHOAL_CLUSTER_PEERS_H
#define SHOAL_CLUSTER_PEERS_H

#include "cluster/state.h"

// A peer named `id` (40 characters), or of a random name when that is NULL; not linked, with `flags`.
// NULL when PEERS_MAX are known.
struct peer *peer_create(struct cluster *cluster, const char *id, unsigned flags);

// Forgets a peer: its link, its slots, its reports and what it reported, its replicas' tie to it. Not for
// myself.
void peer_delete(struct cluster *cluster, struct peer *peer);

// Frees all of them (the end of the core).
void peers_free(struct cluster *cluster);

// NULL when nobody has this name (40 characters).
struct peer *peer_find(const struct cluster *cluster, const char *id);

// Finds `count` names, at most PEERS_FIND_MAX: faster than one by one, as the memory is asked for all at
// once.
enum { PEERS_FIND_MAX = 64 };
void peers_find(const struct cluster *cluster, uint32_t count, const char *const *ids, struct peer **found);

// Is, or becomes, a member of a set of peers.
static inline bool peer_set_has(const uint64_t *set, uint32_t index) {
    return set[index / PEER_WORD] >> index % PEER_WORD & 1;
}
static inline void peer_set_put(uint64_t *set, uint32_t index, bool member) {
    uint64_t bit = (uint64_t)1 << index % PEER_WORD;
    set[index / PEER_WORD] = member ? set[index / PEER_WORD] | bit : set[index / PEER_WORD] & ~bit;
}

// Its ip or its ports are others now.
void peer_address_changed(struct cluster *cluster, struct peer *peer);

static inline struct peer *peer_at(const struct cluster *cluster, uint32_t index) {
    return index < cluster->peers_end ? cluster->peers[index] : NULL;
}

// Where the peer of an index below peers_end lies, or lay (its id is NULL then): found without a look at the
// list of peers, which is long, and seldom at hand.
static inline struct peer *peer_place(const struct cluster *cluster, uint32_t index) {
    return cluster->blocks[index / PEER_WORD] + index % PEER_WORD;
}

static inline cluster_node peer_handle(const struct peer *peer) {
    return ((cluster_node)peer->generation << 16 | peer->index) + 1;
}

// NULL for a handle that is out of date.
struct peer *peer_of_handle(const struct cluster *cluster, cluster_node handle);

// Something about the peer has changed that may bring nearer the moment at which the timers must look at it
// (a ping was sent or answered, a link came or went, a flag changed): the next tick looks.
static inline void peer_look_again(struct cluster *cluster, const struct peer *peer) {
    cluster->look_at[peer->index] = 0;
}

void peers_look_again(struct cluster *cluster); // all of them

// The only ways to change a peer's link and its PFAIL, so that the sets of the linkless and of the suspects
// hold.
void peer_set_link(struct cluster *cluster, struct peer *peer, enum link_state link);
void peer_set_suspect(struct cluster *cluster, struct peer *peer, bool suspect);

void peer_rename(struct cluster *cluster, struct peer *peer, const char *id);

// Draws 40 hexadecimal digits.
void peer_random_id(struct cluster *cluster, char *id);

// Gives the peer a role. Its slots are not touched.
void peer_make_primary(struct cluster *cluster, struct peer *peer);
void peer_make_replica(struct cluster *cluster, struct peer *peer, struct peer *primary);

// The primary of a replica, the peer itself otherwise; NULL when it is not known.
struct peer *peer_shard_head(const struct cluster *cluster, struct peer *peer);

// Replicas of `primary`; only those that work when `working`.
uint32_t peer_replicas(const struct cluster *cluster, const struct peer *primary, bool working);

// Takes a text over (NULL or empty for none); true when it differed.
bool peer_set_text(char **to, struct bytes text);

// A node that was forgotten on purpose may not come back by gossip for a while.
// Cluster spec, "Removing nodes from the cluster" (CLUSTER FORGET): the node is banned for 60 seconds.
void blacklist_add(struct cluster *cluster, const char *id, uint64_t ttl);
bool blacklist_has(struct cluster *cluster, const char *id);

#endif
