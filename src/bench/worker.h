// worker: a thread of the load and its connections. Created and read by the thread that runs the load;
// between worker_start and worker_join the worker's own thread owns everything but the two counters of
// progress.
#ifndef SHOAL_BENCH_WORKER_H
#define SHOAL_BENCH_WORKER_H

#include <stdint.h>

#include "bench/load.h"

struct worker;

// `clients` connections, of which the first is number `first` of the whole load.
struct worker *worker_create(struct load *load, unsigned first, unsigned clients);

// 0 or an errno.
int worker_start(struct worker *worker);
void worker_join(struct worker *worker);

// Requests answered so far and the sum of their latencies, us. Thread: any.
void worker_progress(const struct worker *worker, uint64_t *requests, uint64_t *latency_us);

// Adds what the worker has counted. Called after worker_join.
void worker_collect(const struct worker *worker, struct load_result *result);
void worker_destroy(struct worker *worker);

#endif
