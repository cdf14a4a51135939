// statistics: sums of the workers' counters, less what they were at CONFIG RESETSTAT, and rates over the last seconds.
// Thread: worker 0's cron samples; the rest in exclusive mode.
#ifndef SHOAL_SERVER_STATISTICS_H
#define SHOAL_SERVER_STATISTICS_H

#include <stdint.h>

#include "call/dispatch.h"
#include "server/worker.h"

// The counters that INFO shows.
struct statistics {
    struct dispatch_counters calls; // by_command: see statistics_command
    struct network_counters network;
    uint64_t rejected;
};

void statistics_start(void);
void statistics_sum(struct statistics *sum);
// Of one command, over all workers.
void statistics_command(unsigned number, struct command_counter *sum);
// Keys changed since the process started: never reset. Thread: any (a little blurred).
uint64_t statistics_changes(void);

// Rates; sampled every STATISTICS_SAMPLE_MS.
enum { STATISTICS_SAMPLES = 16, STATISTICS_SAMPLE_MS = 100 };
void statistics_sample(int64_t mono_ms);
struct statistics_rates {
    uint64_t commands, bytes_in, bytes_out, replica_bytes_out; // a second
};
void statistics_rates(struct statistics_rates *rates);

void statistics_reset(void);

// Highest use of the heap so far, sampled by the cron; bytes.
uint64_t statistics_peak_memory(void);
uint64_t statistics_startup_memory(void);

// Errors replied, by code, in the order of their first appearance.
enum { ERROR_CODES_MAX = 128, ERROR_CODE_SIZE = 32 };
struct error_count {
    char code[ERROR_CODE_SIZE];
    uint64_t count;
};
void statistics_error(const char *code, unsigned size); // any thread
unsigned statistics_errors(struct error_count out[ERROR_CODES_MAX]);

#endif
