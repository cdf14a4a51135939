// cluster_fix: the repairs of --cluster fix; each says what it does. Belongs to the main thread.
#ifndef SHOAL_CLI_CLUSTER_FIX_H
#define SHOAL_CLI_CLUSTER_FIX_H

#include <stdbool.h>

#include "cli/cluster_check.h"
#include "cli/cluster_nodes.h"

// Closes the open slots, one after the other, until one can't be. Slots whose owner changes are noted in
// `nodes`.
bool cluster_fix_open(struct cluster_nodes *nodes, const struct cluster_health *health);

// Gives the uncovered slots to primaries, after having asked. False when the answer was not yes or an order
// failed.
bool cluster_fix_coverage(struct cluster_nodes *nodes, const struct cluster_health *health);

// Leaves each contested slot to one of its owners, which gets the keys of the others.
bool cluster_fix_contested(struct cluster_nodes *nodes, const struct cluster_health *health);

#endif
