// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/numbers.h"
#include "base/prng.h"

static void test_parse(void **state) {
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},
                {"7", 7},
                {"-1", -1},
                {"10", 10},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN},
                {"-9223372036854775807", INT64_MIN + 1}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t value = 42;
        assert_true(number_parse(bytes_from_string(good[i].text), &value));
        assert_true(value == good[i].value);
    }
    static const char *const bad[] = {"",
                                      " ",
                                      "-",
                                      "+1",
                                      "01",
                                      "-0",
                                      "-01",
                                      "1 ",
                                      " 1",
                                      "1.0",
                                      "1e3",
                                      "0x",
                                      "0x1",
                                      "abc",
                                      "--1",
                                      "1a",
                                      "1-2",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "18446744073709551616",
                                      "100000000000000000000",
                                      "99999999999999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t value = 42;
        if (number_parse(bytes_from_string(bad[i]), &value)) fail_msg("took \"%s\"", bad[i]);
        assert_int_equal(value, 42); // untouched
    }
    int64_t value;
    assert_false(number_parse(BYTES("1\0"), &value));
    assert_true(number_parse(bytes_of("123", 2), &value)); // a view ends where it ends
    assert_int_equal(value, 12);
}

static void test_parse_unsigned(void **state) {
    uint64_t value = 0;
    assert_true(number_parse_unsigned(BYTES("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    assert_true(number_parse_unsigned(BYTES("0"), &value));
    assert_true(value == 0);
    static const char *const bad[] = {
        "", "-1", "-0", "00", "18446744073709551616", "28446744073709551615", "184467440737095516150"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(number_parse_unsigned(bytes_from_string(bad[i]), &value));
}

// Numbers of every length, and the neighbours of powers of ten and two.
static uint64_t interesting(struct prng *prng) {
    uint64_t value = prng_next(prng) >> prng_below(prng, 64);
    uint64_t power = 1;
    switch (prng_below(prng, 3)) {
    case 0:
        for (uint64_t digits = prng_below(prng, 20); digits; digits--)
            power *= 10;
        return power + prng_below(prng, 3) - 1;
    case 1: return ((uint64_t)1 << prng_below(prng, 64)) + prng_below(prng, 3) - 1;
    default: return value;
    }
}

static void test_format_against_printf(void **state) {
    struct prng prng;
    prng_seed(&prng, 6);
    for (int i = 0; i < 200000; i++) {
        uint64_t value = interesting(&prng);
        char text[NUMBER_TEXT_MAX], expected[NUMBER_TEXT_MAX];

        snprintf(expected, sizeof expected, "%" PRIu64, value);
        assert_int_equal(number_format_unsigned(text, value), strlen(expected));
        assert_string_equal(text, expected);
        char put[NUMBER_TEXT_MAX];
        assert_int_equal(number_put(put, value) - put, strlen(expected));
        assert_memory_equal(put, expected, strlen(expected));
        uint64_t back = ~value;
        assert_true(number_parse_unsigned(bytes_from_string(text), &back));
        assert_true(back == value);

        snprintf(expected, sizeof expected, "%" PRId64, (int64_t)value);
        assert_int_equal(number_format(text, (int64_t)value), strlen(expected));
        assert_string_equal(text, expected);
        int64_t signed_back = 0;
        assert_true(number_parse(bytes_from_string(text), &signed_back));
        assert_true(signed_back == (int64_t)value);
    }
}

// A text is taken exactly when printing its value gives it back.
static void test_parse_against_strtoll(void **state) {
    static const char alphabet[] = "0123456789-+ .";
    struct prng prng;
    prng_seed(&prng, 7);
    for (int i = 0; i < 200000; i++) {
        char text[24];
        size_t size = prng_below(&prng, 22);
        for (size_t k = 0; k < size; k++)
            text[k] = alphabet[prng_below(&prng, k == 0 ? sizeof alphabet - 1 : 11)];
        text[size] = '\0';
        char again[24];
        snprintf(again, sizeof again, "%lld", strtoll(text, NULL, 10));
        int64_t value = 0;
        bool taken = number_parse(bytes_from_string(text), &value);
        if (taken != (strcmp(text, again) == 0)) fail_msg("\"%s\": %d", text, taken);
        if (taken) assert_true(value == strtoll(text, NULL, 10));
    }
}

static void test_double_parse(void **state) {
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0},
                {"1.5", 1.5},
                {"-1e10", -1e10},
                {"inf", INFINITY},
                {"+inf", INFINITY},
                {"-inf", -INFINITY},
                {"-Infinity", -INFINITY},
                {"0x10", 16},
                {"1e-310", 1e-310},
                {"3.", 3},
                {".5", 0.5}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double value = 42;
        long double wide = 42;
        assert_true(double_parse(bytes_from_string(good[i].text), &value));
        assert_true(value == good[i].value);
        assert_true(long_double_parse(bytes_from_string(good[i].text), &wide));
        assert_true((double)wide == good[i].value);
    }
    static const char *const bad[] = {"", " 1", "1 ", "nan", "-nan", "abc", "1.5x", "--1", "\n1", "1e", "."};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double value = 42;
        long double wide = 42;
        if (double_parse(bytes_from_string(bad[i]), &value)) fail_msg("took \"%s\"", bad[i]);
        if (long_double_parse(bytes_from_string(bad[i]), &wide)) fail_msg("took \"%s\"", bad[i]);
        assert_true(value == 42 && wide == 42);
    }
    double value;
    assert_false(double_parse(BYTES("1\0"), &value));
    assert_false(double_parse(BYTES("1e400"), &value)); // too large, too small
    assert_false(double_parse(BYTES("1e-400"), &value));
    long double wide;
    assert_true(long_double_parse(BYTES("1e400"), &wide)); // but not for a long double
    assert_false(long_double_parse(BYTES("1e5000"), &wide));
}

static void test_double_format(void **state) {
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},
                 {-0.0, "-0"},
                 {1, "1"},
                 {-5, "-5"},
                 {0.1, "0.1"},
                 {3.25, "3.25"},
                 {1e16, "10000000000000000"},
                 {1e21, "1e+21"},
                 {1.0 / 3, "0.3333333333333333"},
                 {5e-324, "5e-324"},
                 {1.7976931348623157e308, "1.7976931348623157e+308"},
                 {INFINITY, "inf"},
                 {-INFINITY, "-inf"},
                 {NAN, "nan"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[DOUBLE_TEXT_MAX];
        assert_int_equal(double_format(text, cases[i].value), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

// Every double reads back as itself, and no shorter %g does so too.
static void test_double_round_trip(void **state) {
    struct prng prng;
    prng_seed(&prng, 8);
    for (int i = 0; i < 50000; i++) {
        uint64_t bits = prng_next(&prng);
        if (i % 5 == 0) bits &= ~(0x7ffull << 52); // near zero, where digits are few
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        char text[DOUBLE_TEXT_MAX];
        size_t size = double_format(text, value);
        double back;
        if (!double_parse(bytes_of(text, size), &back) || back != value)
            fail_msg("%a became %s", value, text);
        for (int precision = 1; precision <= 17; precision++) {
            char other[64];
            int length = snprintf(other, sizeof other, "%.*g", precision, value);
            if (strtod(other, NULL) == value && (size_t)length < size)
                fail_msg("%s is shorter than %s", other, text);
        }
    }
}

static void test_long_double_format(void **state) {
    static const struct {
        const char *value;
        const char *text;
    } cases[] = {{"0", "0"},
                 {"-0", "0"},
                 {"10.5", "10.5"},
                 {"5.0e3", "5000"},
                 {"-1.50", "-1.5"},
                 {"0.1", "0.1"},
                 {"1e17", "100000000000000000"},
                 {"1e-18", "0"},
                 {"-1e-18", "0"},
                 {"inf", "inf"},
                 {"-inf", "-inf"},
                 {"3.0", "3"},
                 {"100", "100"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[DOUBLE_TEXT_MAX];
        size_t size = long_double_format(text, strtold(cases[i].value, NULL));
        assert_string_equal(text, cases[i].text);
        assert_int_equal(size, strlen(text));
    }
}

// What INCRBYFLOAT wrote, however long, it must read again.
static void test_long_double_reads_back_what_it_wrote(void **state) {
    static const char *const values[] = {"1e4000", "-1e4932", "1e300", "123456.789"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[DOUBLE_TEXT_MAX];
        long double value = strtold(values[i], NULL), back = 0;
        size_t size = long_double_format(text, value);
        assert_true(size < DOUBLE_TEXT_MAX);
        assert_true(long_double_parse(bytes_of(text, size), &back));
        assert_true(back == value);
    }
    static char longest[DOUBLE_TEXT_MAX + 1];
    memset(longest, '1', DOUBLE_TEXT_MAX);
    long double value;
    assert_false(long_double_parse(bytes_of(longest, DOUBLE_TEXT_MAX), &value));
}

static void test_memory_parse(void **state) {
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"0", 0},
                {"100", 100},
                {"5b", 5},
                {"1k", 1000},
                {"1kb", 1024},
                {"2M", 2000000},
                {"2mB", 2097152},
                {"3g", 3000000000},
                {"1GB", 1073741824},
                {"17179869183gb", 17179869183ull << 30}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint64_t value = 42;
        assert_true(memory_parse(bytes_from_string(good[i].text), &value));
        assert_true(value == good[i].value);
    }
    static const char *const bad[] = {
        "", "k", "kb", "-1", "1.5k", "1 k", "1x", "1tb", "1kbb", "17179869184gb", "18446744073709551616"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t value = 42;
        if (memory_parse(bytes_from_string(bad[i]), &value)) fail_msg("took \"%s\"", bad[i]);
        assert_true(value == 42);
    }
}

static void test_memory_human(void **state) {
    static const struct {
        uint64_t value;
        const char *text;
    } cases[] = {{0, "0B"},
                 {1023, "1023B"},
                 {1024, "1.00K"},
                 {1536, "1.50K"},
                 {1048576, "1.00M"},
                 {1073741824, "1.00G"},
                 {1ull << 40, "1.00T"},
                 {3ull << 49, "1.50P"},
                 {UINT64_MAX, "16384.00P"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        memory_format_human(text, cases[i].value);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_unsigned),
        cmocka_unit_test(test_format_against_printf),
        cmocka_unit_test(test_parse_against_strtoll),
        cmocka_unit_test(test_double_parse),
        cmocka_unit_test(test_double_format),
        cmocka_unit_test(test_double_round_trip),
        cmocka_unit_test(test_long_double_format),
        cmocka_unit_test(test_long_double_reads_back_what_it_wrote),
        cmocka_unit_test(test_memory_parse),
        cmocka_unit_test(test_memory_human),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
