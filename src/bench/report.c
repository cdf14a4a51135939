#include "bench/report.h"

#include <stdio.h>

// Ends of the steps of the cumulative distribution, us: a tenth of a millisecond up to FINE_UNTIL, then whole
// ones.
enum { FINE_STEP = 100, FINE_UNTIL = 2000, COARSE_STEP = 1000 };

static double per_second(uint64_t requests, int64_t elapsed_us) {
    return elapsed_us > 0 ? (double)requests * 1e6 / (double)elapsed_us : 0;
}

static double milliseconds(uint64_t us) {
    return (double)us / 1000;
}

static double share(uint64_t part, uint64_t whole) {
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

void report_csv_heading(void) {
    printf("\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\"p95_latency_ms\","
           "\"p99_latency_ms\",\"max_latency_ms\"\n");
    fflush(stdout);
}

void report_clear_line(struct report *report) {
    if (report->line_size) printf("\r%*s\r", (int)report->line_size, "");
    report->line_size = 0;
}

void report_progress(void *context, int64_t elapsed_us, uint64_t requests, uint64_t latency_us) {
    struct report *report = context;
    if (!report->terminal || report->options->csv) return;
    uint64_t fresh = requests - report->seen_requests;
    double average = fresh ? milliseconds(latency_us - report->seen_latency_us) / (double)fresh : 0;
    double overall = requests ? milliseconds(latency_us) / (double)requests : 0;
    report_clear_line(report);
    int size = printf("%s: rps=%.1f (overall: %.1f) avg_msec=%.3f (overall: %.3f)", report->title,
                      per_second(fresh, elapsed_us - report->seen_us), per_second(requests, elapsed_us),
                      average, overall);
    fflush(stdout);
    report->line_size = size > 0 ? (size_t)size : 0;
    report->seen_requests = requests;
    report->seen_latency_us = latency_us;
    report->seen_us = elapsed_us;
}

static void print_heading(const struct report *report, const struct load_result *result) {
    const struct options *options = report->options;
    printf("====== %s ======\n", report->title);
    printf("  %llu requests completed in %.2f seconds\n", (unsigned long long)result->requests,
           (double)result->elapsed_us / 1e6);
    printf("  %u parallel clients\n", options->clients);
    printf("  %zu bytes payload\n", report->payload);
    printf("  keep alive: %d\n", options->keep_alive);
    if (options->cluster) {
        printf("  cluster mode: yes (%u masters)\n", report->server_count);
        for (unsigned i = 0; i < report->server_count; i++)
            printf("  node [%u] configuration:\n    save: %s\n    appendonly: %s\n", i,
                   report->servers[i].save[0] ? report->servers[i].save : "NONE",
                   report->servers[i].appendonly);
    } else {
        printf("  host configuration \"save\": %s\n", report->servers[0].save);
        printf("  host configuration \"appendonly\": %s\n", report->servers[0].appendonly);
    }
    printf("  multi-thread: %s\n", options->threads ? "yes" : "no");
    if (options->threads) printf("  threads: %u\n", options->threads);
    printf("\n");
}

static void print_percentiles(const struct histogram *latency) {
    printf("Latency by percentile distribution:\n");
    uint64_t seen = 0;
    for (double percent = 0, rest = 100; seen < latency->total; rest /= 2, percent = 100 - rest) {
        uint64_t value = histogram_percentile(latency, percent);
        seen = histogram_count_until(latency, value);
        printf("%.3f%% <= %.3f milliseconds (cumulative count %llu)\n", percent, milliseconds(value),
               (unsigned long long)seen);
    }
    printf("100.000%% <= %.3f milliseconds (cumulative count %llu)\n\n", milliseconds(latency->maximum),
           (unsigned long long)latency->total);
}

static void print_distribution(const struct histogram *latency) {
    printf("Cumulative distribution of latencies:\n");
    uint64_t seen = 0;
    for (uint64_t until = FINE_STEP; seen < latency->total;
         until += until < FINE_UNTIL ? FINE_STEP : COARSE_STEP) {
        uint64_t count = histogram_count_until(latency, until);
        if (count == seen && until != FINE_STEP) continue;
        printf("%.3f%% <= %.3f milliseconds (cumulative count %llu)\n", share(count, latency->total),
               milliseconds(until), (unsigned long long)count);
        seen = count;
    }
    printf("\n");
}

static void print_summary(const struct load_result *result) {
    const struct histogram *latency = &result->latency;
    printf("Summary:\n");
    printf("  throughput summary: %.2f requests per second\n",
           per_second(result->requests, result->elapsed_us));
    printf("  latency summary (msec):\n");
    printf("    %9s %9s %9s %9s %9s %9s\n", "avg", "min", "p50", "p95", "p99", "max");
    printf("    %9.3f %9.3f %9.3f %9.3f %9.3f %9.3f\n", histogram_mean(latency) / 1000,
           milliseconds(latency->minimum), milliseconds(histogram_percentile(latency, 50)),
           milliseconds(histogram_percentile(latency, 95)), milliseconds(histogram_percentile(latency, 99)),
           milliseconds(latency->maximum));
}

static void print_csv(const struct report *report, const struct load_result *result) {
    const struct histogram *latency = &result->latency;
    putchar('"');
    for (const char *at = report->title; *at; at++) {
        if (*at == '"') putchar('"');
        putchar(*at);
    }
    printf("\",\"%.2f\",\"%.3f\",\"%.3f\",\"%.3f\",\"%.3f\",\"%.3f\",\"%.3f\"\n",
           per_second(result->requests, result->elapsed_us), histogram_mean(latency) / 1000,
           milliseconds(latency->minimum), milliseconds(histogram_percentile(latency, 50)),
           milliseconds(histogram_percentile(latency, 95)), milliseconds(histogram_percentile(latency, 99)),
           milliseconds(latency->maximum));
}

static void print_followed(const struct load_result *result) {
    if (!(result->moved | result->asked | result->retried | result->lost)) return;
    printf("  followed: %llu MOVED, %llu ASK, %llu to try again, %llu connections made anew\n",
           (unsigned long long)result->moved, (unsigned long long)result->asked,
           (unsigned long long)result->retried, (unsigned long long)result->lost);
}

void report_result(struct report *report, const struct load_result *result) {
    report_clear_line(report);
    if (report->options->csv) {
        print_csv(report, result);
    } else if (report->options->quiet) {
        printf("%s: %.2f requests per second, p50=%.3f msec\n", report->title,
               per_second(result->requests, result->elapsed_us),
               milliseconds(histogram_percentile(&result->latency, 50)));
    } else {
        print_heading(report, result);
        print_percentiles(&result->latency);
        print_distribution(&result->latency);
        print_summary(result);
    }
    if (!report->options->csv) print_followed(result);
    if (!report->options->csv && !report->options->quiet) printf("\n");
    fflush(stdout);
    report->seen_requests = report->seen_latency_us = 0;
    report->seen_us = 0;
}
