// Plans: the layouts are those that redis-cli 7.0.15 printed for the same nodes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bitset.h"
#include "base/memory.h"
#include "cluster/plan.h"

static void seven_nodes_on_one_host(void **state) {
    struct plan_node nodes[7];
    for (size_t i = 0; i < 7; i++)
        nodes[i] = (struct plan_node){.host = "127.0.0.1"};
    assert_true(plan_create(nodes, 7, 1));
    assert_int_equal(nodes[0].last, 5460);
    assert_int_equal(nodes[1].first, 5461);
    assert_int_equal(nodes[1].last, 10922);
    assert_int_equal(nodes[2].first, 10923);
    assert_int_equal(nodes[2].last, 16383);
    // Adding replica :27305 to :27301, :27306 to :27302, :27307 to :27303; extra: :27304 to :27301
    assert_int_equal(nodes[4].replicates, 0);
    assert_int_equal(nodes[5].replicates, 1);
    assert_int_equal(nodes[6].replicates, 2);
    assert_int_equal(nodes[3].replicates, 0);
    assert_true(nodes[3].extra);
    assert_false(nodes[4].extra);
    size_t same;
    assert_int_equal(plan_affinity_score(nodes, 7, &same), 40001);
    assert_int_equal(same, 4);
}

static void hosts_are_kept_apart(void **state) {
    const char *hosts[] = {"10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.3", "10.0.0.3"};
    struct plan_node nodes[6];
    for (size_t i = 0; i < 6; i++)
        nodes[i] = (struct plan_node){.host = hosts[i]};
    assert_true(plan_create(nodes, 6, 1));
    assert_int_equal(plan_optimise(nodes, 6), 0);
    size_t primaries = 0;
    for (size_t i = 0; i < 6; i++)
        primaries += nodes[i].primary;
    assert_int_equal(primaries, 3);
    assert_true(nodes[0].primary && nodes[2].primary && nodes[4].primary);
}

static void two_are_not_enough(void **state) {
    struct plan_node nodes[5];
    for (size_t i = 0; i < 5; i++)
        nodes[i] = (struct plan_node){.host = "h"};
    assert_false(plan_create(nodes, 5, 1));
}

// 1001 slots from two primaries of 5462 and 5461: redis-cli took 501 and 500, the lowest of each.
static void reshard_in_proportion(void **state) {
    uint8_t first[PLAN_SLOTS / 8] = {0}, second[PLAN_SLOTS / 8] = {0};
    for (unsigned slot = 5461; slot <= 10922; slot++)
        bitset_set(first, slot);
    for (unsigned slot = 10923; slot <= 16383; slot++)
        bitset_set(second, slot);
    struct plan_source sources[] = {{second, 5461}, {first, 5462}};
    struct plan_move *moves = mem_alloc(1001 * sizeof(*moves));
    assert_int_equal(plan_reshard(sources, 2, 1001, moves), 1001);
    assert_int_equal(moves[0].source, 1);
    assert_int_equal(moves[0].slot, 5461);
    assert_int_equal(moves[500].slot, 5961);
    assert_int_equal(moves[501].source, 0);
    assert_int_equal(moves[501].slot, 10923);
    assert_int_equal(moves[1000].slot, 11422);
    struct plan_source nothing[] = {{first, 0}};
    assert_int_equal(plan_reshard(nothing, 1, 10, moves), 0);
    mem_free(moves);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seven_nodes_on_one_host),
        cmocka_unit_test(hosts_are_kept_apart),
        cmocka_unit_test(two_are_not_enough),
        cmocka_unit_test(reshard_in_proportion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
