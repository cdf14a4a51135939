// eviction: makes room when the heap has reached maxmemory, by the eight policies of Redis. Keys are sampled, and the
// best of what was seen lately is removed. Source: Redis documentation, "Key eviction".
#ifndef SHOAL_SERVER_EVICTION_H
#define SHOAL_SERVER_EVICTION_H

#include <stdbool.h>

#include "call/dispatch.h"

// Evicts until the heap is below the limit, or for a bounded while. False: the limit is exceeded and the policy allows no
// key to go. Thread: a worker, inside the gate, with no slot locked.
bool eviction_make_room(struct dispatcher *dispatcher);

// Bytes that count against maxmemory.
size_t eviction_memory(const struct dispatcher *dispatcher);

#endif
