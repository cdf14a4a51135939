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

// Nobody is left over, however many there are beyond what was asked for.
static void extra_replicas_go_round(void **state) {
    for (size_t count = 3; count <= 40; count++) {
        struct plan_node nodes[40];
        size_t replicas[40] = {0}, primaries = 0, least = SIZE_MAX, most = 0;
        for (size_t i = 0; i < count; i++)
            nodes[i] = (struct plan_node){.host = i % 3 ? "a" : "b", .replicates = PLAN_NONE};
        for (size_t each = 0; plan_primaries(count, each) >= PLAN_PRIMARIES_MIN; each++) {
            memset(replicas, 0, sizeof replicas);
            primaries = most = 0;
            least = SIZE_MAX;
            assert_true(plan_create(nodes, count, each));
            for (size_t i = 0; i < count; i++) {
                primaries += nodes[i].primary;
                if (nodes[i].primary) continue;
                assert_true(nodes[i].replicates < count && nodes[nodes[i].replicates].primary);
                replicas[nodes[i].replicates]++;
            }
            assert_int_equal(primaries, plan_primaries(count, each));
            for (size_t i = 0; i < count; i++) {
                if (!nodes[i].primary) continue;
                if (replicas[i] < least) least = replicas[i];
                if (replicas[i] > most) most = replicas[i];
            }
            assert_true(least >= each && most - least <= 1);
        }
    }
}

// ---- Rebalancing ----

// Four primaries, one of them empty: redis-cli 7.0.15 moved 1366 from the second, then 1365 from the third
// and the first.
static void rebalance_fills_an_empty_one(void **state) {
    struct plan_share shares[] = {{5461, 1, 0}, {5462, 1, 0}, {5461, 1, 0}, {0, 1, 0}};
    struct plan_transfer transfers[4];
    assert_int_equal(plan_rebalance(shares, 4, 2, transfers), 3);
    const struct plan_transfer expected[] = {{1, 3, 1366}, {2, 3, 1365}, {0, 3, 1365}};
    assert_memory_equal(transfers, expected, sizeof(expected));
}

static void rebalance_within_the_threshold(void **state) {
    struct plan_share shares[] = {{5400, 1, 0}, {5500, 1, 0}, {5484, 1, 0}};
    struct plan_transfer transfers[3];
    assert_int_equal(plan_rebalance(shares, 3, 2, transfers), 0);
    assert_int_equal(plan_rebalance(shares, 3, 1, transfers), 2); // 5400 is 1.13 percent off
    assert_int_equal(plan_rebalance(shares, 3, 0, transfers), 0);
    struct plan_share weightless[] = {{5400, 0, 0}, {5500, 0, 0}};
    assert_int_equal(plan_rebalance(weightless, 2, 2, transfers), 0);
}

// A stream of numbers that is the same each time.
static uint32_t next_number(uint32_t *state) {
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

// Whatever the weights: afterwards everyone has its part, rounded, and no more was moved than had to be.
static void rebalance_reaches_the_parts(void **state) {
    uint32_t numbers = 7;
    for (int round = 0; round < 2000; round++) {
        struct plan_share shares[12] = {0};
        struct plan_transfer transfers[12];
        size_t count = 2 + next_number(&numbers) % 11, left = PLAN_SLOTS, have[12], moved = 0, excess = 0;
        double total = 0;
        for (size_t i = 0; i < count; i++) {
            size_t slots = i + 1 == count ? left : next_number(&numbers) % (left + 1);
            left -= slots;
            have[i] = slots;
            shares[i] = (struct plan_share){slots, (float)(next_number(&numbers) % 5), 0};
            total += (double)shares[i].weight;
        }
        size_t planned = plan_rebalance(shares, count, 0.001f, transfers);
        assert_true(planned < count);
        for (size_t i = 0; i < planned; i++) {
            assert_true(transfers[i].slots > 0 && have[transfers[i].source] >= transfers[i].slots);
            have[transfers[i].source] -= transfers[i].slots;
            have[transfers[i].target] += transfers[i].slots;
            moved += transfers[i].slots;
        }
        if (!planned) continue;
        for (size_t i = 0; i < count; i++) {
            double part = PLAN_SLOTS * (double)shares[i].weight / total;
            assert_true((double)have[i] > part - 1.01 && (double)have[i] < part + 1.01 + (double)count);
            if (shares[i].slots > have[i]) excess += shares[i].slots - have[i];
            assert_true(shares[i].weight > 0 || have[i] <= count);
        }
        assert_int_equal(moved, excess); // nothing passes through a third one
    }
}

// ---- Fixing; what redis-cli 7.0.15 did in the same situation ----

static struct plan_fix judge(struct plan_claim *claims) {
    return plan_fix_slot(claims, 3);
}

static void fix_migrating_alone(void **state) {
    struct plan_claim claims[3] = {{.owner = true, .migrating = true, .migrating_to = 1, .keys = 2}};
    struct plan_fix fix = judge(claims);
    assert_int_equal(fix.what, PLAN_FIX_CLOSE);
    assert_int_equal(fix.source, 0);
    assert_int_equal(fix.owner, 0);
    assert_false(fix.elected);
}

static void fix_importing_alone(void **state) {
    struct plan_claim claims[3] = {{.owner = true, .keys = 0}, {.importing = true}};
    struct plan_fix fix = judge(claims);
    assert_int_equal(fix.what, PLAN_FIX_GATHER);
    assert_int_equal(fix.owner, 0);
    assert_true(claims[1].importing && !claims[1].found && !claims[1].stray);
}

static void fix_a_move(void **state) {
    struct plan_claim claims[3] = {{.owner = true, .migrating = true, .migrating_to = 1, .keys = 3},
                                   {.importing = true}};
    struct plan_fix fix = judge(claims);
    assert_int_equal(fix.what, PLAN_FIX_MOVE);
    assert_int_equal(fix.source, 0);
    assert_int_equal(fix.target, 1);
}

// Half of the keys have moved: the one with more of them gets the rest.
static void fix_half_a_move(void **state) {
    struct plan_claim claims[3] = {{.owner = true, .migrating = true, .migrating_to = 1, .keys = 1},
                                   {.importing = true, .keys = 2}};
    struct plan_fix fix = judge(claims);
    assert_true(fix.elected && claims[1].stray);
    assert_int_equal(fix.owner, 1);
    assert_int_equal(fix.what, PLAN_FIX_GATHER);
    assert_true(claims[0].yield && claims[0].importing && !claims[0].migrating);
    assert_false(claims[1].importing);
}

static void fix_keys_that_nobody_expected(void **state) {
    struct plan_claim claims[3] = {{.owner = true, .keys = 1}, {.importing = true, .keys = 1}};
    struct plan_fix fix = judge(claims);
    assert_true(fix.elected && claims[1].stray && claims[0].found);
    assert_int_equal(fix.owner, 0); // the first of equals
    assert_int_equal(fix.what, PLAN_FIX_GATHER);
    assert_true(claims[1].importing && !claims[0].importing && !claims[0].yield);
}

static void fix_two_importing(void **state) {
    struct plan_claim claims[3] = {
        {.owner = true, .migrating = true, .migrating_to = 2}, {.importing = true}, {.importing = true}};
    struct plan_fix fix = judge(claims);
    assert_int_equal(fix.what, PLAN_FIX_MOVE_AND_CLOSE);
    assert_int_equal(fix.source, 0);
    assert_int_equal(fix.target, 2);
}

static void fix_without_an_owner(void **state) {
    struct plan_claim nothing[3] = {{.keys = 0}, {.keys = 0}, {.importing = true}};
    struct plan_fix none = judge(nothing);
    assert_true(none.elected);
    assert_int_equal(none.owner, 0);
    assert_int_equal(none.what, PLAN_FIX_GATHER);
    struct plan_claim held[3] = {{.importing = true, .keys = 4}};
    struct plan_fix fix = judge(held);
    assert_true(fix.elected);
    assert_int_equal(fix.owner, 0);
    assert_int_equal(fix.what, PLAN_FIX_NOTHING);
}

// In every state that three primaries can be in: one owner is left, those with keys give them to it, and a
// key is never left where nobody looks.
static void fix_leaves_no_key_behind(void **state) {
    for (unsigned bits = 0; bits < 1u << 15; bits++) {
        struct plan_claim claims[3] = {0};
        bool any = false;
        for (unsigned i = 0; i < 3; i++) {
            unsigned one = bits >> (5 * i);
            claims[i] = (struct plan_claim){.owner = one & 1,
                                            .migrating = (one & 3) == 3,
                                            .migrating_to = (i + 1) % 3,
                                            .importing = (one & 4) && !(one & 1),
                                            .keys = one >> 3 & 3};
            any |= claims[i].migrating || claims[i].importing;
        }
        if (!any) continue;
        struct plan_fix fix = judge(claims);
        if (fix.what == PLAN_FIX_UNKNOWN) continue;
        assert_true(fix.owner < 3);
        size_t end =
            fix.what == PLAN_FIX_MOVE || fix.what == PLAN_FIX_MOVE_AND_CLOSE ? fix.target : fix.owner;
        for (size_t i = 0; i < 3; i++) {
            bool emptied = fix.what == PLAN_FIX_GATHER ? claims[i].importing
                           : fix.what == PLAN_FIX_MOVE || fix.what == PLAN_FIX_MOVE_AND_CLOSE
                               ? i == fix.source
                               : false;
            if (i != end && claims[i].keys) assert_true(emptied);
            if (i != fix.owner && claims[i].owner) assert_true(claims[i].yield);
        }
    }
}

static void cover_evens_out(void **state) {
    size_t slots[3] = {10, 0, 7}, owners[12];
    plan_cover(slots, 3, 12, owners);
    assert_int_equal(slots[0], 10);
    assert_int_equal(slots[1], 10);
    assert_int_equal(slots[2], 9);
    for (size_t i = 0; i < 12; i++)
        assert_int_equal(owners[i], i < 10 ? 1 : 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extra_replicas_go_round),
        cmocka_unit_test(rebalance_fills_an_empty_one),
        cmocka_unit_test(rebalance_within_the_threshold),
        cmocka_unit_test(rebalance_reaches_the_parts),
        cmocka_unit_test(fix_migrating_alone),
        cmocka_unit_test(fix_importing_alone),
        cmocka_unit_test(fix_a_move),
        cmocka_unit_test(fix_half_a_move),
        cmocka_unit_test(fix_keys_that_nobody_expected),
        cmocka_unit_test(fix_two_importing),
        cmocka_unit_test(fix_without_an_owner),
        cmocka_unit_test(fix_leaves_no_key_behind),
        cmocka_unit_test(cover_evens_out),
        cmocka_unit_test(seven_nodes_on_one_host),
        cmocka_unit_test(hosts_are_kept_apart),
        cmocka_unit_test(two_are_not_enough),
        cmocka_unit_test(reshard_in_proportion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
