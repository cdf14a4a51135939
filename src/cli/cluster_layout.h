// cluster_layout: who becomes primary of which slots and who copies whom, and which slots a reshard takes
// from whom. Pure: numbers in, numbers out.
#ifndef SHOAL_CLI_CLUSTER_LAYOUT_H
#define SHOAL_CLI_CLUSTER_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/crc16.h"

enum { LAYOUT_PRIMARIES_MIN = 3 };

// The place of one node in a new cluster.
struct layout_place {
    bool is_primary;
    unsigned first_slot, last_slot; // of a primary
    size_t primary;                 // of a replica: the index of its primary
    bool is_extra;                  // a replica beyond the number that was asked for
};

enum layout_affinity {
    LAYOUT_APART,                // no replica shares a host with its primary or with another replica of it
    LAYOUT_REPLICAS_TOGETHER,    // two replicas of one primary share a host
    LAYOUT_REPLICA_WITH_PRIMARY, // a replica shares its primary's host
};

// Primaries that `nodes` with `replicas` each make.
size_t layout_primaries(size_t nodes, size_t replicas);

// Gives each of `count` nodes a place, primaries spread over the hosts, replicas apart from their primaries
// where the hosts allow it. `hosts` names each node's host. order[0..count) becomes the nodes' indices:
// primaries in the order of their slots, then replicas in the order in which they were assigned. `improved`
// is set when a better arrangement than the first was looked for.
enum layout_affinity layout_create(const char *const *hosts, size_t count, size_t replicas,
                                   struct layout_place *places, size_t *order, bool *improved);

// A node that gives slots away.
struct layout_source {
    const uint8_t *slots; // HASH_SLOTS bits
    unsigned slot_count;
};

struct layout_move {
    uint16_t slot;
    size_t source; // index in `sources`
};

// Takes `wanted` slots from the sources in proportion to what they have, lowest slots first, the largest
// source first and rounded up. `moves` has room for `wanted`; returns how many there are.
size_t layout_reshard(const struct layout_source *sources, size_t count, unsigned wanted,
                      struct layout_move *moves);

#endif
