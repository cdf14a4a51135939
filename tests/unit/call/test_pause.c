// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "call/pause.h"

static int end_all(void **state) {
    for (int asker = 0; asker < PAUSE_ASKERS; asker++)
        pause_end((enum pause_asker)asker);
    return 0;
}

static void stops_what_it_says(void **state) {
    assert_false(pause_applies(100, true));
    pause_start(PAUSE_BY_CLIENT, 100, 200, true);
    assert_true(pause_applies(100, true));
    assert_false(pause_applies(100, false));
    assert_false(pause_applies(200, true));
    pause_start(PAUSE_BY_CLIENT, 100, 200, false);
    assert_true(pause_applies(199, false));
    pause_end(PAUSE_BY_CLIENT);
    assert_false(pause_applies(150, true));
}

static void is_neither_shortened_nor_loosened(void **state) {
    pause_start(PAUSE_BY_CLIENT, 100, 300, false);
    pause_start(PAUSE_BY_CLIENT, 150, 200, true);
    assert_true(pause_applies(250, false));
    assert_int_equal(pause_until(250, false), 300);
    // Once it is over, a new one starts afresh.
    pause_start(PAUSE_BY_CLIENT, 300, 400, true);
    assert_false(pause_applies(350, false));
    assert_true(pause_applies(350, true));
}

static void askers_do_not_end_each_others(void **state) {
    pause_start(PAUSE_BY_CLIENT, 0, 500, true);
    pause_start(PAUSE_BY_FAILOVER, 0, 300, false);
    assert_int_equal(pause_until(10, true), 500);
    assert_int_equal(pause_until(10, false), 300);
    pause_end(PAUSE_BY_CLIENT);
    assert_int_equal(pause_until(10, true), 300);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(stops_what_it_says, end_all),
        cmocka_unit_test_teardown(is_neither_shortened_nor_loosened, end_all),
        cmocka_unit_test_teardown(askers_do_not_end_each_others, end_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
