// migration: a replica of a shard that has some to spare goes to a shard that has none. Part of the core.
#ifndef SHOAL_CLUSTER_MIGRATION_H
#define SHOAL_CLUSTER_MIGRATION_H

#include "cluster/state.h"

// Goes where this node is needed more. Called about once a second.
void migration_consider(struct cluster *cluster);

#endif
