// plan: who gets which slots and replicas when a cluster is created, and which slots a reshard moves. Pure;
// includes base only, so that the command line can use it.
#ifndef SHOAL_CLUSTER_PLAN_H
#define SHOAL_CLUSTER_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PLAN_SLOTS = 16384,
    PLAN_PRIMARIES_MIN = 3 // a cluster of fewer can't agree on a failure
};

// No node.
#define PLAN_NONE ((size_t)-1)

// ---- Creating a cluster ----

// A node to be, in the order in which the administrator named it.
struct plan_node {
    const char *host;     // nodes of the same host die together
    bool primary;         // out: gets slots first..last
    uint16_t first, last; // out
    size_t replicates;    // out: the index of its primary; PLAN_NONE for a primary
    size_t order; // out: its place among the primaries, or in the order in which replicas were handed out
    bool extra;   // out: a replica beyond what was asked for
};

// How many primaries `count` nodes make with `replicas` replicas each.
size_t plan_primaries(size_t count, size_t replicas);

// Allocates: primaries are taken from the hosts in turn, slots in equal shares, replicas from other hosts
// where there are some, nodes left over as extra replicas. False, and nothing written, when that makes fewer
// than PLAN_PRIMARIES_MIN primaries.
bool plan_create(struct plan_node *nodes, size_t count, size_t replicas);

// How bad the allocation is should a host die: 10000 for a replica on its primary's host, 1 for two replicas
// of one primary on the same host. `same_host` (may be NULL): how many replicas share their primary's host.
size_t plan_affinity_score(const struct plan_node *nodes, size_t count, size_t *same_host);

// Swaps the primaries of replicas as long as that lowers the score. Returns the score that remains.
size_t plan_optimise(struct plan_node *nodes, size_t count);

// ---- Resharding ----

// A primary that gives slots: bit s & 7 of byte s / 8 says whether it owns slot s.
struct plan_source {
    const uint8_t *slots; // PLAN_SLOTS / 8 bytes
    size_t count;         // how many it owns
};

struct plan_move {
    size_t source; // index into the sources
    uint16_t slot;
};

// Chooses `wanted` slots of all sources in proportion to what they own: of the greatest first, rounded up, of
// the others rounded down, the lowest slots of each. Writes at most `wanted` moves; returns how many.
size_t plan_reshard(const struct plan_source *sources, size_t count, size_t wanted, struct plan_move *moves);

#endif
