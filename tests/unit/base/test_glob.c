// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>

#include "base/glob.h"
#include "base/prng.h"
#include "naive_glob.h"

static void expect(const char *pattern, const char *text, bool matches) {
    if (glob_match(bytes_from_string(pattern), bytes_from_string(text), false) != matches)
        fail_msg("%s %s %s", pattern, matches ? "must match" : "must not match", text);
}

static void test_plain(void **state) {
    expect("", "", true);
    expect("", "a", false);
    expect("a", "", false);
    expect("hello", "hello", true);
    expect("hello", "Hello", false);
    expect("h?llo", "hallo", true);
    expect("h?llo", "hllo", false);
    expect("?", "", false);
}

static void test_stars(void **state) {
    expect("*", "", true);
    expect("*", "anything", true);
    expect("h*llo", "hllo", true);
    expect("h*llo", "heeeello", true);
    expect("h*llo", "heeeell", false);
    expect("***", "", true);
    expect("*a*b*c*", "xxaxxbxxcxx", true);
    expect("*a*b*c*", "xxaxxcxxbxx", false);
    expect("a*b", "ab", true);
    expect("*.txt", "a.txt.txt", true);
}

static void test_classes(void **state) {
    expect("h[ae]llo", "hello", true);
    expect("h[ae]llo", "hillo", false);
    expect("h[^e]llo", "hallo", true);
    expect("h[^e]llo", "hello", false);
    expect("h[a-b]llo", "hbllo", true);
    expect("h[a-b]llo", "hcllo", false);
    expect("h[b-a]llo", "hallo", true); // the wrong way round is right too
    expect("[]a]", "a]", false);        // an empty class matches nothing
    expect("[^]", "x", true);           // and its contrary anything
    expect("[\\]]", "]", true);
    expect("[a\\-c]", "-", true);
    expect("[a\\-c]", "b", false);
    expect("[abc", "b", true); // unclosed: it ends with the pattern
    expect("[a-", "-", true);
    expect("*[0-9]", "slot7", true);
    expect("*[0-9]", "slot", false);
}

static void test_quoting(void **state) {
    expect("\\*", "*", true);
    expect("\\*", "x", false);
    expect("a\\?b", "a?b", true);
    expect("a\\?b", "axb", false);
    expect("\\", "\\", true);
    expect("\\\\", "\\", true);
    expect("\\a", "a", true);
}

static void test_case(void **state) {
    assert_true(glob_match(BYTES("MaX*"), BYTES("maxclients"), true));
    assert_true(glob_match(BYTES("[A-C]x"), BYTES("bX"), true));
    assert_false(glob_match(BYTES("[A-C]x"), BYTES("bX"), false));
    assert_true(glob_match(BYTES("\\Q"), BYTES("q"), true));
}

static void test_any_byte(void **state) {
    assert_true(glob_match(BYTES("a?c"), BYTES("a\0c"), false));
    assert_true(glob_match(BYTES("[\x80-\xff]"), BYTES("\xe9"), false));
    assert_false(glob_match(BYTES("[\x01-\x7f]"), BYTES("\xe9"), false));
    assert_true(glob_match((struct bytes){NULL, 0}, (struct bytes){NULL, 0}, false));
}

static void test_random_against_naive(void **state) {
    static const char pattern_bytes[] = "aabbAB**??[[]]^-\\c";
    static const char text_bytes[] = "aabbABc]^-\\*";
    struct prng prng;
    prng_seed(&prng, 9);
    int matched = 0;
    for (int i = 0; i < 300000; i++) {
        char pattern[12], text[10];
        size_t pattern_size = prng_below(&prng, sizeof pattern), text_size = prng_below(&prng, sizeof text);
        for (size_t k = 0; k < pattern_size; k++)
            pattern[k] = pattern_bytes[prng_below(&prng, sizeof pattern_bytes - 1)];
        for (size_t k = 0; k < text_size; k++)
            text[k] = text_bytes[prng_below(&prng, sizeof text_bytes - 1)];
        bool ignore_case = prng_below(&prng, 2);
        bool expected = naive_glob(bytes_of(pattern, pattern_size), bytes_of(text, text_size), ignore_case);
        if (glob_match(bytes_of(pattern, pattern_size), bytes_of(text, text_size), ignore_case) != expected)
            fail_msg("%.*s on %.*s, case %d: not %d", (int)pattern_size, pattern, (int)text_size, text,
                     ignore_case, expected);
        matched += expected;
    }
    assert_true(matched > 10000); // the comparison saw both answers
}

// A pattern that asks for the impossible many times over takes pattern * text steps, not an exponential
// number: were it otherwise, this would not end within the test's time.
static void test_hostile_pattern(void **state) {
    static char pattern[2001], text[20000];
    for (size_t i = 0; i < 2000; i += 2)
        memcpy(pattern + i, "a*", 2);
    pattern[2000] = 'b';
    memset(text, 'a', sizeof text);
    assert_false(glob_match(bytes_of(pattern, 2001), bytes_of(text, sizeof text), false));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_stars),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_quoting),
        cmocka_unit_test(test_case),
        cmocka_unit_test(test_any_byte),
        cmocka_unit_test(test_random_against_naive),
        cmocka_unit_test(test_hostile_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
