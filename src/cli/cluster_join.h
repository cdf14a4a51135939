// cluster_join: introducing nodes, waiting until they know each other, and making one a replica. Belongs
// to the main thread.
#ifndef SHOAL_CLI_CLUSTER_JOIN_H
#define SHOAL_CLI_CLUSTER_JOIN_H

#include <stdbool.h>

#include "cli/cluster_nodes.h"

// Has the node meet another one. False with the error said.
bool cluster_join_meet(const struct cluster_node *node, const struct cluster_node *other);

// Waits until each of the nodes has a link to all others and all agree about the slots, with a dot each
// second; says after a while who is not reached. Without `needs_links` it is enough after 5 s that they agree: a
// node that was removed a moment ago is kept out for a minute by those who removed it. False when the nodes don't
// answer or it takes too long.
bool cluster_join_wait(struct cluster_nodes *nodes, bool needs_links);

// Makes the node a replica. It may need a moment to learn that its primary is one. False with the error said.
bool cluster_join_replicate(const struct cluster_node *node, const char *primary_id);

#endif
