// cluster_setup: hands the configuration of the cluster to the bus, and starts and stops it.
#ifndef SHOAL_SERVER_CLUSTER_SETUP_H
#define SHOAL_SERVER_CLUSTER_SETUP_H

#include <stdbool.h>

#include "base/buffer.h"
#include "call/gate.h"
#include "keyspace/keyspace.h"

// In cluster mode, before the workers run. False: `error` says why.
bool cluster_start(struct keyspace *keyspace, struct gate *gate, struct buffer *error);

// cluster-* changed. Exclusive mode.
void cluster_configure(void);

void cluster_stop(void);

#endif
