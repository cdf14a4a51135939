// plan: who gets which slots and replicas when a cluster is created, which slots a reshard or a rebalance
// moves, and what to do about slots that are open or that nobody owns. Pure; includes base only, so that the
// command line can use it.
//
// Nothing is kept between calls: each function reads its arguments and writes the members marked "out".
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
// where there are some, nodes left over as extra replicas, one to each primary
// and round again. False, and nothing written, when that makes fewer
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

// ---- Rebalancing ----

// A primary among which slots are to be spread.
struct plan_share {
    size_t slots; // that it owns
    float weight; // its part of the whole is weight / sum of weights; 0: it is to own none, below 0: as 0
    long balance; // out: how many it has too many; below 0: too few
};

struct plan_transfer {
    size_t source, target; // indices of shares
    size_t slots;
};

// Chooses the transfers that give each primary its part; between primaries that differ from it by at most
// `threshold` percent nothing is moved unless another one is further off; at 0 or below it never is
// (redis-cli's meaning). `transfers` has room for `count` of them. Returns how many; 0 when none is needed.
size_t plan_rebalance(struct plan_share *shares, size_t count, float threshold,
                      struct plan_transfer *transfers);

// ---- Fixing ----

// What a primary says of one slot.
struct plan_claim {
    bool owner;          // it says that the slot is its own
    bool migrating;      // it is giving the slot away,
    size_t migrating_to; // to this one; PLAN_NONE: to nobody of these
    bool importing;
    size_t keys; // that it holds

    bool stray; // out: holds keys without owning the slot
    bool found; // out: is treated as importing because it holds keys, with no open state to say so
    bool yield; // out: has to stop owning and to import to the chosen owner
};

enum plan_fix_case {
    PLAN_FIX_MOVE,           // the source gives the slot to the target
    PLAN_FIX_GATHER,         // all importing ones give their keys to the owner
    PLAN_FIX_MOVE_AND_CLOSE, // as the first; the other importing ones close it
    PLAN_FIX_CLOSE,          // the source closes it
    PLAN_FIX_NOTHING,        // with the owner in place nothing is open any more
    PLAN_FIX_UNKNOWN,        // beyond what we know to be safe
};

struct plan_fix {
    enum plan_fix_case what;
    size_t owner;
    bool elected;          // it is to be made the owner: nobody was clearly, and it holds the most keys
    size_t source, target; // of the cases that name them
};

// Judges an open slot; count > 0. On return `migrating` and `importing` of the claims say what is left to do:
// for PLAN_FIX_GATHER every importing one is to give its keys to the owner.
struct plan_fix plan_fix_slot(struct plan_claim *claims, size_t count);

// Gives each of `slot_count` slots that nobody owns to the primary that has the fewest by then, neighbours
// together. `slots`: how many each primary owns; written along. `owners[i]`: who gets the i-th slot. count >
// 0.
void plan_cover(size_t *slots, size_t count, size_t slot_count, size_t *owners);

#endif
