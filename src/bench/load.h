// load: one test: connections on one or more threads that send a request until enough of them were answered.
// The struct load is shared by the workers: what is not atomic is set before they start and then only read,
// but for `error`, which `guard` protects.
#ifndef SHOAL_BENCH_LOAD_H
#define SHOAL_BENCH_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "bench/histogram.h"
#include "bench/options.h"
#include "bench/request.h"
#include "os/thread.h"

enum { LOAD_ERROR_MAX = 512, LOAD_PROGRESS_MS = 250 };

struct load {
    const struct options *options;
    const struct request_shape *shape;
    const char (*tag_of_slot)[REQUEST_TAG_SIZE]; // in a cluster
    struct buffer greeting;
    unsigned greeting_replies;
    uint64_t seed;
    _Atomic int64_t todo;     // requests that nobody has taken yet
    _Atomic unsigned running; // workers that have not finished
    atomic_bool stop;
    struct monitor guard; // also notified when a worker ends
    char error[LOAD_ERROR_MAX];
};

// What came of it.
struct load_result {
    struct histogram latency; // us
    uint64_t requests;
    int64_t elapsed_us;
    uint64_t moved;             // MOVED replies, followed
    uint64_t asked;             // ASK replies, tried again
    uint64_t retried;           // TRYAGAIN, CLUSTERDOWN, LOADING, MASTERDOWN, READONLY: tried again
    uint64_t lost;              // connections lost and made anew
    char error[LOAD_ERROR_MAX]; // empty when all went well
};

// Told every LOAD_PROGRESS_MS: time since the start, requests answered and the sum of their latencies so far.
typedef void load_progress(void *context, int64_t elapsed_us, uint64_t requests, uint64_t latency_us);

// Runs options->requests requests of `shape`. False when the run was ended by result->error.
bool load_run(const struct options *options, const struct request_shape *shape,
              const char (*tag_of_slot)[REQUEST_TAG_SIZE], uint64_t seed, load_progress *progress,
              void *context, struct load_result *result);

// Opens the connections, greets on them and holds them until the process is ended. Returns only on failure.
void load_idle(const struct options *options, char error[LOAD_ERROR_MAX]);

// Called by a worker that cannot go on: the first error is kept, all workers stop. Thread: any.
void load_fail(struct load *load, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
