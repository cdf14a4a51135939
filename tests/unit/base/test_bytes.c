// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"

static void test_equal(void **state) {
    assert_true(bytes_equal(BYTES("abc"), BYTES("abc")));
    assert_false(bytes_equal(BYTES("abc"), BYTES("abC")));
    assert_false(bytes_equal(BYTES("abc"), BYTES("abcd")));
    assert_true(bytes_equal((struct bytes){NULL, 0}, BYTES("")));
    assert_true(bytes_equal(BYTES("a\0b"), BYTES("a\0b")));
    assert_false(bytes_equal(BYTES("a\0b"), BYTES("a\0c")));
}

static void test_short_equal(void **state) {
    char a[BYTES_SHORT_MAX], b[BYTES_SHORT_MAX];
    memset(a, 'x', sizeof a);
    for (size_t size = BYTES_SHORT_MIN; size <= BYTES_SHORT_MAX; size++) {
        memcpy(b, a, sizeof b);
        memset(b + size, 'y', sizeof b - size); // not looked at
        assert_true(bytes_short_equal(a, b, size));
        for (size_t i = 0; i < size; i++) {
            b[i] ^= 1;
            assert_false(bytes_short_equal(a, b, size));
            b[i] ^= 1;
        }
    }
}

static void test_nocase(void **state) {
    assert_true(bytes_equal_nocase(BYTES("NX"), BYTES("nx")));
    assert_true(bytes_is(BYTES("GeT"), "get"));
    assert_false(bytes_is(BYTES("get"), "gets"));
    assert_false(bytes_is(BYTES("@"), "`"));       // 0x40 and 0x60 differ in the bit that letters' cases do
    assert_false(bytes_is(BYTES("\xc4"), "\xe4")); // letters are ASCII's only
    assert_true(bytes_is((struct bytes){NULL, 0}, ""));
}

static int sign(int value) {
    return (value > 0) - (value < 0);
}

static void test_compare(void **state) {
    static const char *const ordered[] = {"", "a", "a\x7f", "aa", "ab", "b", "\x80", "\xff\xff"};
    size_t count = sizeof ordered / sizeof *ordered;
    // "a\x7f" stands behind "aa" and "ab": the order is that of unsigned bytes.
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            int expected = sign(strcmp(ordered[i], ordered[j]));
            assert_int_equal(
                sign(bytes_compare(bytes_from_string(ordered[i]), bytes_from_string(ordered[j]))), expected);
        }
    assert_true(bytes_compare(BYTES("a\0"), BYTES("a")) > 0);
    assert_int_equal(bytes_compare((struct bytes){NULL, 0}, BYTES("")), 0);
}

static void test_to_string(void **state) {
    char *copy = bytes_to_string(bytes_of("hello", 4));
    assert_string_equal(copy, "hell");
    mem_free(copy);
    copy = bytes_to_string((struct bytes){NULL, 0});
    assert_string_equal(copy, "");
    mem_free(copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_short_equal),
        cmocka_unit_test(test_nocase),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_to_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
