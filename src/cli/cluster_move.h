// cluster_move: moves slots with their keys from one node to another while clients read and write. Belongs to
// the main thread.
//
// Slots move in batches: the round trips of a batch share their waiting. For each slot the order is the safe
// one: the target learns that it imports before the source learns that it migrates, and when the slot is
// empty the target owns it before the source gives it up.
#ifndef SHOAL_CLI_CLUSTER_MOVE_H
#define SHOAL_CLI_CLUSTER_MOVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/cluster_nodes.h"

struct slot_move {
    uint16_t slot;
    struct cluster_node *source;
};

struct move_progress {
    size_t slots_moved;
    uint64_t keys_moved;
};

// Told after each batch, and after each wave of keys within it (`finished` is NULL then). `finished` are the
// moves that are through, with the number of keys of each.
typedef void move_listener(void *context, const struct move_progress *progress,
                           const struct slot_move *finished, const uint64_t *keys, size_t count);

struct slot_mover {
    const struct options *options;
    const struct cluster_nodes *nodes;
    struct cluster_node *target;
    move_listener *listener;
    void *context;
    struct move_progress progress;
};

enum move_result { MOVE_DONE, MOVE_INTERRUPTED, MOVE_FAILED };

// Moves the slots in the order given; begins no further batch once an interrupt is noted. MOVE_FAILED: what
// went wrong, and which slots are left open, has been said.
enum move_result slot_mover_run(struct slot_mover *mover, const struct slot_move *moves, size_t count);

#endif
