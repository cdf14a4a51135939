// Workers that stand still, that are busy, and that slept with the whole process.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/stall.h"

enum { TIMEOUT = 5000, STEP = 100 };

static struct stall_watch watch;
static uint64_t now;

static int begin(void **state) {
    watch = (struct stall_watch){0};
    now = 123456;
    stall_look(&watch, now, 7, false, TIMEOUT);
    return 0;
}

// Looks often for `ms` while nothing changes; returns how often the verdict did.
static unsigned look_for(uint64_t ms, uint64_t progress, bool at_work) {
    unsigned changes = 0;
    for (uint64_t end = now + ms; now < end;) {
        now += STEP;
        changes += stall_look(&watch, now, progress, at_work, TIMEOUT);
    }
    return changes;
}

static void idle_workers_are_not_stalled(void **state) {
    assert_int_equal(look_for(10 * TIMEOUT, 7, false), 0);
    assert_false(watch.stalled);
}

static void a_long_command_is_allowed_its_time(void **state) {
    look_for(TIMEOUT, 7, false);
    assert_int_equal(look_for(TIMEOUT - STEP, 7, true), 0);
    assert_int_equal(look_for(STEP, 8, true), 0);
    assert_int_equal(look_for(TIMEOUT - STEP, 8, true), 0);
    assert_false(watch.stalled);
}

static void who_stands_still_is_stalled_until_it_gets_on(void **state) {
    assert_int_equal(look_for(TIMEOUT, 7, true), 1);
    assert_true(watch.stalled);
    assert_int_equal(look_for(10 * TIMEOUT, 7, true), 0);
    assert_true(watch.stalled);
    assert_int_equal(look_for(STEP, 8, true), 1);
    assert_false(watch.stalled);
    // And anew.
    assert_int_equal(look_for(TIMEOUT - STEP, 8, true), 0);
    assert_int_equal(look_for(STEP, 8, true), 1);
}

static void the_sleep_of_all_is_no_stall(void **state) {
    look_for(STEP, 7, true);
    now += 100 * TIMEOUT;
    assert_int_equal(look_for(TIMEOUT - STEP, 7, true), 0);
    assert_false(watch.stalled);
    assert_int_equal(look_for(2 * STEP, 7, true), 1);
    // Nor does it end one.
    now += 100 * TIMEOUT;
    assert_int_equal(look_for(STEP, 7, true), 0);
    assert_true(watch.stalled);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(idle_workers_are_not_stalled, begin),
        cmocka_unit_test_setup(a_long_command_is_allowed_its_time, begin),
        cmocka_unit_test_setup(who_stands_still_is_stalled_until_it_gets_on, begin),
        cmocka_unit_test_setup(the_sleep_of_all_is_no_stall, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
