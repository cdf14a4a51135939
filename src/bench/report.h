// report: tells what a test measured, in redis-benchmark's words and columns. Writes to standard output.
// Belongs to the main thread.
#ifndef SHOAL_BENCH_REPORT_H
#define SHOAL_BENCH_REPORT_H

#include <stdint.h>

#include "bench/load.h"
#include "bench/options.h"

enum { REPORT_SETTING_MAX = 256 };

// What the server said of itself, for the heading.
struct server_settings {
    char name[REPORT_SETTING_MAX]; // address:port
    char save[REPORT_SETTING_MAX];
    char appendonly[REPORT_SETTING_MAX];
};

// What the reports of one run share.
struct report {
    const struct options *options;
    const struct server_settings *servers; // one, or one for each primary
    unsigned server_count;
    bool terminal;  // progress is shown
    size_t payload; // bytes
    const char *title;
    uint64_t seen_requests; // of the progress line before
    uint64_t seen_latency_us;
    int64_t seen_us;
    size_t line_size; // columns of the progress line that stand there
};

void report_csv_heading(void);

// A load_progress; the context is the struct report.
void report_progress(void *report, int64_t elapsed_us, uint64_t requests, uint64_t latency_us);

// The result in the form that the options ask for.
void report_result(struct report *report, const struct load_result *result);

// Takes the progress line off the terminal.
void report_clear_line(struct report *report);

#endif
