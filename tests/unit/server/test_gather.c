// Gathering: it pays only for a busy worker with far more clients at work than each turn serves.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "server/gather.h"

enum { WINDOW = 1000, TURNS = 10 };

// A window of ten turns. Of `clients` at work each turn serves `served`, and waits for `idle` of its hundred parts.
static void live_a_window(struct gather *gather, uint64_t *now, unsigned clients, unsigned served, unsigned idle) {
    gather_next_window(gather, *now);
    unsigned seen = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        uint64_t since = *now;
        *now += idle;
        gather_begin_turn(gather, since, *now);
        for (unsigned i = 0; i < served; i++, seen++)
            gather_count(gather, seen < clients);
        *now += WINDOW / TURNS - idle;
    }
}

static bool pays(unsigned clients, unsigned served, unsigned idle) {
    struct gather gather = {0};
    uint64_t now = 12345;
    live_a_window(&gather, &now, clients, served, idle);
    live_a_window(&gather, &now, clients, served, idle);
    return gather_pays(&gather);
}

static void many_clients_of_a_busy_worker_are_gathered(void **state) {
    assert_true(pays(50, 5, 20));
    assert_true(pays(8, 1, 50));
}

static void few_clients_never_wait(void **state) {
    assert_false(pays(1, 1, 0));
    assert_false(pays(7, 1, 0));
    assert_false(pays(50, 7, 0)); // each turn serves a good part of them as it is
}

static void an_idle_worker_makes_nobody_wait(void **state) {
    assert_false(pays(50, 5, 51));
    assert_false(pays(50, 5, 99));
}

static void a_turn_that_served_nobody_is_no_reason(void **state) {
    struct gather gather = {0};
    uint64_t now = 1;
    live_a_window(&gather, &now, 50, 5, 20);
    live_a_window(&gather, &now, 50, 5, 20);
    gather_begin_turn(&gather, now, now + 20);
    assert_false(gather_pays(&gather));
}

static void what_was_before_the_last_window_is_forgotten(void **state) {
    struct gather gather = {0};
    uint64_t now = 1;
    assert_false(gather_pays(&gather));
    live_a_window(&gather, &now, 50, 5, 20);
    live_a_window(&gather, &now, 50, 5, 20);
    live_a_window(&gather, &now, 2, 1, 20);
    live_a_window(&gather, &now, 2, 1, 20);
    assert_false(gather_pays(&gather));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_clients_of_a_busy_worker_are_gathered),
        cmocka_unit_test(few_clients_never_wait),
        cmocka_unit_test(an_idle_worker_makes_nobody_wait),
        cmocka_unit_test(a_turn_that_served_nobody_is_no_reason),
        cmocka_unit_test(what_was_before_the_last_window_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
