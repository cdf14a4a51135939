// slot_stats: CLUSTER SLOT-STATS, what the slots of this shard hold and cost. Answered by the worker in
// place, from the routes, the keyspace and call/slot_stats.h; a moment old. Thread: the worker of the call,
// inside the gate.
#ifndef SHOAL_BUS_SLOT_STATS_H
#define SHOAL_BUS_SLOT_STATS_H

#include "call/call.h"

void cluster_slot_stats(struct call *call);

#endif
