// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "commands/expire_options.h"
#include "keyspace/entry.h"

static void refuses_what_contradicts(void **state) {
    static const char nx[] = "NX and XX, GT or LT options at the same time are not compatible";
    assert_null(expire_options_conflict(0));
    assert_null(expire_options_conflict(EXPIRE_XX | EXPIRE_GT));
    assert_null(expire_options_conflict(EXPIRE_XX | EXPIRE_LT));
    assert_string_equal(expire_options_conflict(EXPIRE_NX | EXPIRE_XX), nx);
    assert_string_equal(expire_options_conflict(EXPIRE_NX | EXPIRE_GT | EXPIRE_LT), nx);
    assert_string_equal(expire_options_conflict(EXPIRE_GT | EXPIRE_LT),
                        "GT and LT options at the same time are not compatible");
}

static void keeps_to_its_conditions(void **state) {
    static const struct {
        unsigned options;
        int64_t now, wanted;
        bool allowed;
    } cases[] = {
        {0, NO_EXPIRY, 5, true},
        {0, 9, 5, true},
        {EXPIRE_NX, NO_EXPIRY, 5, true},
        {EXPIRE_NX, 9, 5, false},
        {EXPIRE_XX, NO_EXPIRY, 5, false},
        {EXPIRE_XX, 9, 5, true},
        {EXPIRE_GT, NO_EXPIRY, 5, false},
        {EXPIRE_GT, 5, 5, false},
        {EXPIRE_GT, 5, 6, true},
        {EXPIRE_LT, NO_EXPIRY, 5, true},
        {EXPIRE_LT, 5, 5, false},
        {EXPIRE_LT, 5, 4, true},
        {EXPIRE_XX | EXPIRE_LT, NO_EXPIRY, 5, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(expire_options_allow(cases[i].options, cases[i].now, cases[i].wanted),
                         cases[i].allowed);
}

static void counts_moments_without_overflow(void **state) {
    int64_t moment = 7;
    assert_true(expire_moment(10, true, 500, &moment));
    assert_int_equal(moment, 10500);
    assert_true(expire_moment(-10, false, 500, &moment));
    assert_int_equal(moment, 490);
    assert_false(expire_moment(INT64_MAX / 1000 + 1, true, 0, &moment));
    assert_false(expire_moment(INT64_MIN, true, 0, &moment));
    assert_false(expire_moment(INT64_MAX, false, 1, &moment));
    assert_int_equal(moment, 490);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_contradicts),
        cmocka_unit_test(keeps_to_its_conditions),
        cmocka_unit_test(counts_moments_without_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
