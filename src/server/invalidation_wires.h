// invalidation_wires: connects call/invalidation.h to the workers.
#ifndef SHOAL_SERVER_INVALIDATION_WIRES_H
#define SHOAL_SERVER_INVALIDATION_WIRES_H

struct keyspace;

// Once, before the workers run. Thread: the first.
void invalidation_connect(struct keyspace *keyspace);

#endif
