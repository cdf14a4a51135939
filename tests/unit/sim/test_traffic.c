// The report of what clusters send repeats itself, and its figures fit together.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/traffic.h"

enum { HEADER = 2256, GOSSIP = 104, EXTENSIONS_MAX = 64, TIMEOUT_MS = 2000 };

static const struct options two_sizes = {
    .replicas = 1, .seed = 1, .timeout_ms = TIMEOUT_MS, .json = true, .size_count = 2, .sizes = {6, 80}};

static char *report_of(const struct options *options) {
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    assert_true(traffic_report(options, to));
    fclose(to);
    return text;
}

// The number behind `"key": ` in the object that begins at `at`.
static double number(const char *at, const char *key) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\": ", key);
    const char *found = strstr(at, quoted);
    assert_non_null(found);
    return strtod(found + strlen(quoted), NULL);
}

static const char *cluster_of(const char *report, const char *nodes) {
    const char *at = strstr(report, nodes);
    assert_non_null(at);
    return at;
}

static void figures_fit_together(const char *cluster) {
    double message = number(cluster, "bytes_per_second") / number(cluster, "messages_per_second");
    double gossip = number(cluster, "gossip_entries") * GOSSIP;
    assert_true(message > HEADER + gossip - 1 && message < HEADER + gossip + EXTENSIONS_MAX);
    double share = number(cluster, "gossip_share");
    assert_true(share > gossip / message - 0.001 && share < gossip / message + 0.001);
    assert_true(number(cluster, "all_met_ms") > 0);
    // A process that is gone is known to be at once, a machine only by its silence.
    assert_true(number(cluster, "process_died_ms") > 0);
    assert_true(number(cluster, "process_died_ms") < TIMEOUT_MS / 2);
    assert_true(number(cluster, "machine_died_ms") > TIMEOUT_MS / 2);
}

static void a_larger_cluster_gossips_more(void **state) {
    char *report = report_of(&two_sizes);
    const char *small = cluster_of(report, "\"nodes\": 6,"), *large = cluster_of(report, "\"nodes\": 80,");
    figures_fit_together(small);
    figures_fit_together(large);
    assert_true(number(small, "gossip_entries") <= 3);
    assert_true(number(large, "gossip_entries") > 7.9 && number(large, "gossip_entries") <= 8);
    free(report);
}

static void the_same_seed_gives_the_same_report(void **state) {
    struct options options = two_sizes;
    options.size_count = 1;
    char *one = report_of(&options), *again = report_of(&options);
    options.seed = 2;
    char *other = report_of(&options);
    assert_string_equal(one, again);
    assert_string_not_equal(one, other);
    free(one);
    free(again);
    free(other);
}

static void a_table_has_a_row_for_each_size(void **state) {
    struct options options = two_sizes;
    options.json = false;
    char *report = report_of(&options);
    assert_non_null(strstr(report, "\n     6 "));
    assert_non_null(strstr(report, "\n    80 "));
    free(report);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_larger_cluster_gossips_more),
        cmocka_unit_test(the_same_seed_gives_the_same_report),
        cmocka_unit_test(a_table_has_a_row_for_each_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
