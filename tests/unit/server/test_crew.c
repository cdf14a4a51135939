// The crew: places are even and stable, a detained worker is nobody's, and it is as large as load and machine
// ask for.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "server/crew.h"

// Whoever waits got so much less.
static void judge(unsigned periods, double awake, double waiting, double idle) {
    while (periods--)
        crew_judge(&(struct crew_period){awake, awake - waiting, waiting, idle});
}

static unsigned count_at(unsigned worker, unsigned clients) {
    unsigned count = 0;
    for (unsigned number = 0; number < clients; number++)
        count += crew_place(crew_now(), number) == worker;
    return count;
}

static void one_serves_at_first_and_it_is_the_last(void **state) {
    crew_start(4, false);
    assert_int_equal(crew_size(), 1);
    assert_int_equal(count_at(3, 100), 100);
}

static void all_begin_everywhere(void **state) {
    crew_start(4, false);
    unsigned count[4] = {0};
    for (unsigned number = 0; number < 100; number++)
        count[crew_first_place(number)]++;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(count[i], 25);
}

static void a_busy_crew_doubles_while_cores_are_free(void **state) {
    crew_start(8, false);
    judge(1, 0.9, 0, 7);
    assert_int_equal(crew_size(), 2);
    judge(1, 1.8, 0, 6);
    assert_int_equal(crew_size(), 4);
    judge(1, 3.6, 0, 4);
    assert_int_equal(crew_size(), 8);
    judge(1, 7.9, 0, 1);
    assert_int_equal(crew_size(), 8);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(count_at(i, 800), 100);
}

static void it_takes_no_more_than_there_are_cores_for(void **state) {
    crew_start(8, false);
    judge(5, 0.99, 0, 0.4);
    assert_int_equal(crew_size(), 1);
    judge(1, 0.99, 0, 0.6);
    assert_int_equal(crew_size(), 2);
    judge(1, 1.9, 0, 2.2);
    assert_int_equal(crew_size(), 4);
    judge(1, 3.9, 0, 1.2);
    assert_int_equal(crew_size(), 5);
}

static void it_stays_small_while_it_is_not_busy(void **state) {
    crew_start(4, false);
    judge(100, 0.7, 0, 3);
    assert_int_equal(crew_size(), 1);
}

static void calm_for_a_while_makes_it_smaller(void **state) {
    crew_start(2, false);
    judge(1, 0.9, 0, 1);
    assert_int_equal(crew_size(), 2);
    judge(9, 0.3, 0, 1);
    assert_int_equal(crew_size(), 2); // a pause is no calm
    judge(1, 0.6, 0, 1);
    judge(9, 0.3, 0, 1);
    assert_int_equal(crew_size(), 2);
    judge(1, 0.3, 0, 1);
    assert_int_equal(crew_size(), 1);
}

static void who_are_in_each_others_way_become_fewer(void **state) {
    crew_start(4, false);
    judge(2, 3.9, 0, 4);
    assert_int_equal(crew_size(), 4);
    judge(2, 3.0, 1.0, 2); // others have cores to go to: that passes
    assert_int_equal(crew_size(), 4);
    judge(1, 3.0, 1.0, 0);
    assert_int_equal(crew_size(), 4);
    judge(1, 3.0, 1.0, 0);
    assert_int_equal(crew_size(), 3);
    judge(100, 1.5, 0.6, 0);
    assert_int_equal(crew_size(), 1);
}

static void who_get_more_cores_than_fewer_could_use_stay(void **state) {
    crew_start(2, false);
    judge(1, 0.9, 0, 1);
    judge(100, 1.8, 0.5, 0); // a client that takes the rest of two cores, and they 1.3 of them
    assert_int_equal(crew_size(), 2);
}

static void idle_is_asked_for_only_when_it_matters(void **state) {
    crew_start(2, false);
    assert_false(crew_needs_idle(&(struct crew_period){0.7, 0.7, 0, 0}));
    assert_true(crew_needs_idle(&(struct crew_period){0.8, 0.8, 0, 0}));
    judge(1, 0.9, 0, 1);
    assert_false(crew_needs_idle(&(struct crew_period){2, 1.9, 0.1, 0}));
    assert_true(crew_needs_idle(&(struct crew_period){1, 0.5, 0.5, 0}));
}

static void nobodys_place_is_with_a_detained_worker(void **state) {
    crew_start(3, false);
    uint32_t before = crew_now();
    assert_true(crew_detain(2));
    assert_int_not_equal(crew_now(), before);
    assert_int_equal(count_at(2, 90), 0);
    assert_int_equal(count_at(0, 90), 45);
    assert_int_equal(count_at(1, 90), 45);
    for (unsigned number = 0; number < 90; number++)
        assert_int_not_equal(crew_first_place(number), 2);
    assert_true(crew_detain(1));
    assert_int_equal(count_at(0, 90), 90);
    assert_false(crew_detain(0)); // nobody would be left
    crew_release(2);
    crew_release(1);
    assert_int_equal(crew_now(), before);
}

static void only_those_of_the_detained_worker_move(void **state) {
    crew_start(4, true);
    unsigned before[100];
    for (unsigned number = 0; number < 100; number++)
        before[number] = crew_place(crew_now(), number);
    assert_true(crew_detain(1));
    for (unsigned number = 0; number < 100; number++)
        if (before[number] != 1) assert_int_equal(crew_place(crew_now(), number), before[number]);
    assert_in_range(count_at(0, 100), 30, 36); // and these evenly
    crew_release(1);
}

static void always_all_are_always_all(void **state) {
    crew_start(4, true);
    judge(100, 0.01, 0, 4);
    judge(100, 3, 3, 0);
    assert_int_equal(crew_size(), 4);
    for (unsigned number = 0; number < 100; number++) // where it begins is where it stays
        assert_int_equal(crew_place(crew_now(), number), crew_first_place(number));
}

static void a_single_worker_is_all_there_is(void **state) {
    crew_start(1, false);
    judge(100, 1, 1, 8);
    assert_int_equal(crew_size(), 1);
    assert_int_equal(crew_place(crew_now(), 7), 0);
    assert_false(crew_detain(0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_serves_at_first_and_it_is_the_last),
        cmocka_unit_test(all_begin_everywhere),
        cmocka_unit_test(a_busy_crew_doubles_while_cores_are_free),
        cmocka_unit_test(it_takes_no_more_than_there_are_cores_for),
        cmocka_unit_test(it_stays_small_while_it_is_not_busy),
        cmocka_unit_test(calm_for_a_while_makes_it_smaller),
        cmocka_unit_test(who_are_in_each_others_way_become_fewer),
        cmocka_unit_test(who_get_more_cores_than_fewer_could_use_stay),
        cmocka_unit_test(idle_is_asked_for_only_when_it_matters),
        cmocka_unit_test(nobodys_place_is_with_a_detained_worker),
        cmocka_unit_test(only_those_of_the_detained_worker_move),
        cmocka_unit_test(always_all_are_always_all),
        cmocka_unit_test(a_single_worker_is_all_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
