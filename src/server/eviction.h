// eviction: makes room when memory is over maxmemory, by the policy. Candidates are sampled from random slots, and the best
// are kept in a small pool, each worker its own. Called with no slot locked.
#ifndef SHOAL_SERVER_EVICTION_H
#define SHOAL_SERVER_EVICTION_H

#include <stdbool.h>
#include <stdint.h>

#include "call/dispatch.h"

// Before threads.
void eviction_start(void);

// Evicts until memory is below the limit, or some time has passed (the next command goes on). False: memory is over the
// limit and the policy allows nothing to be evicted. Thread: the dispatcher's.
bool eviction_make_room(struct dispatcher *dispatcher);

// The policy changed: what was thought of candidates holds no longer. Exclusive mode.
void eviction_forget(void);

// Bytes that the limit does not count: what replicas have yet to fetch. Any thread.
uint64_t eviction_not_counted(void);

// Milliseconds spent over the limit in all, and since it was last crossed. Any thread.
uint64_t eviction_exceeded_ms(void), eviction_exceeding_ms(void);

#endif
