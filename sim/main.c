// shoal-sim: runs the cluster protocol over many seeds, or plays scenarios. Seeds are shared out over --jobs
// processes; results are printed in the order of the seeds, so that the output of the same command is the
// same.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "sim/options.h"
#include "sim/run.h"
#include "sim/scenario.h"
#include "sim/traffic.h"

enum { EXIT_USAGE = 2, FAILURES_SHOWN_MAX = 3, REPORT_MAX = 4 << 20 };

struct totals {
    uint64_t runs, failed, steps, virtual_ms, messages, bytes, saves, elections, hash, settle_ms_max;
    uint64_t faults[FAULT_KINDS];
};

// -- one process
// ----------------------------------------------------------------------------------------------------

static void write_all(int file, const void *data, size_t size) {
    const char *at = data;
    while (size) {
        ssize_t written = write(file, at, size);
        if (written <= 0) exit(EXIT_FAILURE);
        at += written;
        size -= (size_t)written;
    }
}

static bool read_all(int file, void *data, size_t size) {
    char *at = data;
    while (size) {
        ssize_t got = read(file, at, size);
        if (got <= 0) return false;
        at += got;
        size -= (size_t)got;
    }
    return true;
}

// Runs every jobs-th seed and writes result and report of each to the pipe.
static void work(const struct options *options, uint32_t job, int to) {
    for (uint64_t i = job; i < options->seeds; i += options->jobs) {
        struct run_result result = {0};
        char *text = NULL;
        size_t size = 0;
        FILE *report = open_memstream(&text, &size);
        run_seed(options, options->seed + i, &result, report);
        fclose(report);
        write_all(to, &result, sizeof result);
        write_all(to, &size, sizeof size);
        write_all(to, text, size);
        free(text);
    }
}

// -- the printer
// -----------------------------------------------------------------------------------------------------

static void print_run(const struct options *options, const struct run_result *result) {
    if (options->quiet && !result->failed) return;
    uint64_t faults = 0;
    for (int i = 0; i < FAULT_KINDS; i++)
        faults += result->faults[i];
    printf("seed %" PRIu64 ": %" PRIu64 " steps, %" PRIu64 " messages, %" PRIu64 " faults, %" PRIu64
           " elections won, settled in %" PRIu64 " ms, trace %016" PRIx64 "%s\n",
           result->seed, result->steps, result->messages, faults, result->elections, result->settle_ms,
           result->hash, result->failed ? ", FAILED" : "");
    fflush(stdout);
}

static void count(struct totals *totals, const struct run_result *result) {
    totals->runs++;
    totals->failed += result->failed;
    totals->steps += result->steps;
    totals->virtual_ms += result->virtual_ms;
    totals->messages += result->messages;
    totals->bytes += result->bytes;
    totals->saves += result->saves;
    totals->elections += result->elections;
    totals->hash = (totals->hash ^ result->hash) * 0x9e3779b97f4a7c15u;
    if (result->settle_ms > totals->settle_ms_max) totals->settle_ms_max = result->settle_ms;
    for (int i = 0; i < FAULT_KINDS; i++)
        totals->faults[i] += result->faults[i];
}

static double seconds_of(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void print_totals(const struct options *options, const struct totals *totals, double seconds) {
    struct rusage own, children;
    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    double cpu = seconds_of(own.ru_utime) + seconds_of(own.ru_stime) + seconds_of(children.ru_utime) +
                 seconds_of(children.ru_stime);
    long memory = own.ru_maxrss > children.ru_maxrss ? own.ru_maxrss : children.ru_maxrss;
    printf("%u nodes, %" PRIu64 " seeds of %u virtual minutes: %" PRIu64 " steps, %" PRIu64
           " messages (%" PRIu64 " MB), %" PRIu64 " saves, %" PRIu64 " elections won\n",
           options->nodes, totals->runs, options->minutes, totals->steps, totals->messages,
           totals->bytes >> 20, totals->saves, totals->elections);
    printf("faults tried:");
    uint64_t sum = 0;
    for (int i = 0; i < FAULT_KINDS; i++) {
        sum += totals->faults[i];
        if (totals->faults[i]) printf(" %s %" PRIu64 ",", fault_names[i], totals->faults[i]);
    }
    printf(" together %" PRIu64 "\n", sum);
    printf("slowest settling %" PRIu64 " ms, a node sends %" PRIu64
           " bytes a virtual second, trace of all seeds %016" PRIx64 "\n",
           totals->settle_ms_max,
           totals->virtual_ms ? totals->bytes * 1000 / totals->virtual_ms / options->nodes : 0, totals->hash);
    printf("%.1f s, %.1f s of CPU, %.0f steps a second of CPU, %ld MiB at most in a process\n", seconds, cpu,
           cpu > 0 ? (double)totals->steps / cpu : 0.0, memory / 1024);
    printf("%" PRIu64 " seeds passed, %" PRIu64 " failed\n", totals->runs - totals->failed, totals->failed);
}

// -- all processes
// ---------------------------------------------------------------------------------------------------

static bool collect(const struct options *options, int from, uint64_t seed, struct totals *totals) {
    struct run_result result;
    size_t size;
    if (!read_all(from, &result, sizeof result) || !read_all(from, &size, sizeof size) || size > REPORT_MAX) {
        printf("seed %" PRIu64 ": the simulator's own process died; run it again with\n", seed);
        options_print_replay(stdout, options, seed);
        totals->failed++;
        totals->runs++;
        return false;
    }
    char *text = mem_alloc(size + 1);
    if (!read_all(from, text, size)) size = 0;
    count(totals, &result);
    print_run(options, &result);
    if (totals->failed <= FAILURES_SHOWN_MAX) fwrite(text, 1, size, stdout);
    mem_free(text);
    return true;
}

static bool run_in_jobs(const struct options *options, struct totals *totals) {
    int pipes[OPTION_JOBS_MAX][2];
    bool alive[OPTION_JOBS_MAX];
    for (uint32_t job = 0; job < options->jobs; job++) {
        if (pipe(pipes[job]) != 0) return false;
        fflush(stdout);
        pid_t child = fork();
        if (child < 0) return false;
        if (child == 0) {
            close(pipes[job][0]);
            work(options, job, pipes[job][1]);
            _exit(EXIT_SUCCESS);
        }
        close(pipes[job][1]);
        alive[job] = true;
    }
    for (uint64_t i = 0; i < options->seeds; i++) {
        uint32_t job = (uint32_t)(i % options->jobs);
        if (alive[job]) alive[job] = collect(options, pipes[job][0], options->seed + i, totals);
    }
    for (uint32_t job = 0; job < options->jobs; job++)
        close(pipes[job][0]);
    while (wait(NULL) > 0) {
    }
    return true;
}

static void run_here(const struct options *options, struct totals *totals) {
    for (uint64_t i = 0; i < options->seeds; i++) {
        struct run_result result = {0};
        run_seed(options, options->seed + i, &result, stdout);
        count(totals, &result);
        print_run(options, &result);
    }
}

static int run_seeds(const struct options *options) {
    struct timespec begin, end;
    struct totals totals = {0};
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (options->jobs > 1 && !options->trace) {
        if (!run_in_jobs(options, &totals)) {
            perror("shoal-sim");
            return EXIT_FAILURE;
        }
    } else {
        run_here(options, &totals);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    print_totals(options, &totals,
                 (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
    return totals.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_scenarios(const struct options *options) {
    uint32_t failed = 0;
    for (uint32_t i = 0; i < options->scenario_count; i++) {
        bool passed = scenario_play(options->scenarios[i], options, stdout);
        printf("%s: %s\n", options->scenarios[i], passed ? "ok" : "FAILED");
        failed += !passed;
    }
    printf("%u scenarios passed, %u failed\n", options->scenario_count - failed, failed);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        options_usage(stdout);
        return EXIT_SUCCESS;
    }
    struct options options;
    if (!options_parse(&options, argc, argv)) return EXIT_USAGE;
    if (options.report == REPORT_TRAFFIC)
        return traffic_report(&options, stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
    return options.scenario_count ? run_scenarios(&options) : run_seeds(&options);
}
