// cluster: `shoal-cli --cluster ...`. Each command returns the exit status. Belongs to the main thread.
#ifndef SHOAL_CLI_CLUSTER_H
#define SHOAL_CLI_CLUSTER_H

#include <stdbool.h>

#include "cli/cluster_nodes.h"
#include "cli/options.h"

int cluster_run(const struct options *options);

// The commands; the caller has counted their arguments.
int cluster_create(const struct options *options);
int cluster_check(const struct options *options);
int cluster_info(const struct options *options);
int cluster_fix(const struct options *options);
int cluster_reshard(const struct options *options);
int cluster_rebalance(const struct options *options);
int cluster_add_node(const struct options *options);
int cluster_del_node(const struct options *options);
int cluster_call(const struct options *options);
int cluster_set_timeout(const struct options *options);
int cluster_import(const struct options *options);
int cluster_backup(const struct options *options);

// Splits argument `index`, "host:port", into a host on the heap and a port; false, with the reason said, when
// it is none.
bool cluster_address(const struct options *options, int index, char **host, uint16_t *port);

// Loads the cluster of which the command's arguments name a node: "host:port", or "host" "port" (what follows
// those is passed over, as redis-cli does). False, with the reason said, when that fails.
bool cluster_load(struct cluster_nodes *nodes, const struct options *options);

// The same where more arguments follow; *taken: how many named the node.
bool cluster_load_before(struct cluster_nodes *nodes, const struct options *options, int *taken);

// The same for argument `index`, which must be "host:port".
bool cluster_load_address(struct cluster_nodes *nodes, const struct options *options, int index);

#endif
