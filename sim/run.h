// run: one seed from start to end: build the cluster, make trouble, heal, settle, check; and what came of it.
// Thread: a run belongs to the thread that calls; runs share nothing.
#ifndef SHOAL_SIM_RUN_H
#define SHOAL_SIM_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/options.h"

struct run_result {
    uint64_t seed;
    uint64_t steps;
    uint64_t virtual_ms;
    uint64_t messages;
    uint64_t bytes;
    uint64_t saves;
    uint64_t elections; // won
    uint64_t hash;      // of the trace
    uint64_t settle_ms; // from the end of the troubles until all views were equal
    uint32_t faults[FAULT_KINDS];
    bool failed;
};

// Runs one seed. A failure is told to `report`: the checker, the replay command and the tail of the trace.
void run_seed(const struct options *options, uint64_t seed, struct run_result *result, FILE *report);

#endif
