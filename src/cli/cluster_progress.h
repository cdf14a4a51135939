// cluster_progress: what is shown while slots move: a bar in a terminal, else redis-cli's lines; and the
// events of
// --json. Belongs to the main thread.
#ifndef SHOAL_CLI_CLUSTER_PROGRESS_H
#define SHOAL_CLI_CLUSTER_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

#include "cli/cluster_bar.h"
#include "cli/cluster_move.h"

enum progress_style {
    PROGRESS_LINES, // reshard: a line a slot, with a dot a key
    PROGRESS_MARKS, // rebalance: a mark a slot
};

struct progress_display {
    const struct cluster_node *target;
    enum progress_style style;
    struct bar bar; // its total: keys as counted before the move; 0: not known
    size_t slots_total;
};

// Counts the keys to come, when a bar will be shown.
void progress_begin(struct progress_display *display, enum progress_style style,
                    const struct slot_move *moves, size_t count, const struct cluster_node *target);

// A move_listener whose context is the display.
void progress_note(void *display, const struct move_progress *progress, const struct slot_move *finished,
                   const uint64_t *keys, size_t count);

// Leaves the bar behind with a line that sums up.
void progress_end(struct progress_display *display, const struct move_progress *progress);

#endif
