// cluster_progress: what is shown while slots move: a bar in a terminal, else redis-cli's lines.
#ifndef SHOAL_CLI_CLUSTER_PROGRESS_H
#define SHOAL_CLI_CLUSTER_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

#include "cli/cluster_move.h"

struct progress_display {
    const struct cluster_node *target;
    bool bar;
    size_t slots_total;
    uint64_t keys_total; // as counted before the move; 0: not known
    int64_t started_ms;
    int64_t shown_ms;
};

// Counts the keys to come, when a bar will be shown.
void progress_begin(struct progress_display *display, const struct slot_move *moves, size_t count,
                    const struct cluster_node *target);

// A move_listener whose context is the display.
void progress_note(void *display, const struct move_progress *progress, const struct slot_move *finished,
                   const uint64_t *keys, size_t count);

// Leaves the bar behind with a line that sums up.
void progress_end(struct progress_display *display, const struct move_progress *progress);

#endif
