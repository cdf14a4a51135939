// What slots cost: sums, and how they begin anew.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "base/crc16.h"
#include "call/slot_stats.h"

static void expect(unsigned slot, uint64_t ticks, uint64_t bytes_in, uint64_t bytes_out) {
    struct slot_stats got = slot_stats_read(slot);
    assert_int_equal(got.ticks, ticks);
    assert_int_equal(got.bytes_in, bytes_in);
    assert_int_equal(got.bytes_out, bytes_out);
}

static void count(unsigned slot, uint64_t ticks, uint64_t bytes_in, uint64_t bytes_out) {
    slot_stats_count(slot, &(struct slot_stats){ticks, bytes_in, bytes_out});
}

static void each_slot_has_its_sums(void **state) {
    expect(0, 0, 0, 0);
    count(0, 1, 20, 300);
    count(0, 4, 50, 600);
    count(HASH_SLOTS - 1, 7, 8, 9);
    expect(0, 5, 70, 900);
    expect(1, 0, 0, 0);
    expect(HASH_SLOTS - 1, 7, 8, 9);
}

static void a_slot_that_is_forgotten_begins_anew(void **state) {
    count(5, 1, 1, 1);
    count(6, 2, 2, 2);
    slot_stats_forget(5);
    expect(5, 0, 0, 0); // before anything is counted again
    expect(6, 2, 2, 2);
    count(5, 10, 11, 12);
    expect(5, 10, 11, 12);
    slot_stats_forget(5);
    slot_stats_forget(5); // twice is once
    count(5, 3, 3, 3);
    count(5, 3, 3, 3);
    expect(5, 6, 6, 6);
    slot_stats_forget_all();
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++)
        expect(slot, 0, 0, 0);
    count(6, 1, 2, 3);
    expect(6, 1, 2, 3);
}

static void only_a_cluster_counts(void **state) {
    settings.cluster_enabled = settings.slot_stats = false;
    assert_false(slot_stats_are_on());
    settings.slot_stats = true;
    assert_false(slot_stats_are_on());
    settings.cluster_enabled = true;
    assert_true(slot_stats_are_on());
    settings.slot_stats = false;
    assert_false(slot_stats_are_on());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_slot_has_its_sums),
        cmocka_unit_test(a_slot_that_is_forgotten_begins_anew),
        cmocka_unit_test(only_a_cluster_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
