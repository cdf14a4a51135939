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
int cluster_reshard(const struct options *options);
int cluster_call(const struct options *options);

// Checks that nodes agree, no slot is open and all slots are served, printing as it goes. True when all is
// well.
bool cluster_check_nodes(const struct cluster_nodes *nodes);

// Loads the cluster of which the command's first arguments name a node ("host:port" or "host" "port"); false,
// with the reason said, when that fails. *taken: how many arguments that were.
bool cluster_load_named(struct cluster_nodes *nodes, const struct options *options, int *taken);

#endif
