// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "base/crc16.h"
#include "commands/scan_cursor.h"

static void packs_and_unpacks(void **state) {
    const struct scan_cursor cursors[] = {{0, 0},    {1, 0}, {0, 1}, {16383, 0}, {16383, (1ull << 50) - 1},
                                          {7, 12345}};
    for (size_t i = 0; i < sizeof cursors / sizeof *cursors; i++) {
        struct scan_cursor back = scan_cursor_unpack(scan_cursor_pack(cursors[i]));
        assert_int_equal(back.slot, cursors[i].slot);
        assert_true(back.in_slot == cursors[i].in_slot);
    }
    assert_int_equal(scan_cursor_pack((struct scan_cursor){0, 0}), 0);
    // A table of 2^20 buckets still gives a cursor that a double holds exactly.
    assert_true(scan_cursor_pack((struct scan_cursor){16383, (1u << 20) - 1}) < 1ull << 53);
}

static void parses_what_strtoul_parses(void **state) {
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"0", 0},    {"00", 0},          {"", 0},
                {"+7", 7},   {"-1", UINT64_MAX}, {"18446744073709551615", UINT64_MAX},
                {"0042", 42}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint64_t value = 99;
        assert_true(scan_cursor_parse(bytes_from_string(good[i].text), &value));
        assert_true(value == good[i].value);
    }
    static const char *const bad[] = {"a",   "1a", " 1", "1 ", "+", "-", "--1", "18446744073709551616",
                                      "0x1", "1.5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t value = 99;
        assert_false(scan_cursor_parse(bytes_from_string(bad[i]), &value));
        assert_int_equal(value, 99);
    }
}

static int slot_of(const char *pattern) {
    return scan_pattern_slot(bytes_from_string(pattern));
}

static void knows_patterns_of_one_slot(void **state) {
    int user = (int)hash_slot(BYTES("{user}"));
    assert_int_equal(slot_of("{user}*"), user);
    assert_int_equal(slot_of("{user}:[ab]?"), user);
    assert_int_equal(slot_of("x{user}*{other}"), user);
    assert_int_equal(slot_of("plain"), (int)hash_slot(BYTES("plain")));
    assert_int_equal(slot_of("a{user}b"), user);
    assert_int_equal(slot_of(""), (int)hash_slot(BYTES("")));
    assert_int_equal(slot_of("{}x"), (int)hash_slot(BYTES("{}x")));
}

static void knows_patterns_that_may_match_anywhere(void **state) {
    static const char *const open[] = {"*",   "user*",     "*{user}",   "{us*er}", "{user",    "{user*",
                                       "{}*", "\\{user}*", "[a]{user}", "?{user}", "{user\\}*"};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
        // "{user" has no wildcard: it is one key.
        int wanted =
            open[i][0] == '{' && !strpbrk(open[i], "*?[\\") ? (int)hash_slot(bytes_from_string(open[i])) : -1;
        assert_int_equal(slot_of(open[i]), wanted);
    }
    struct bytes with_nul = bytes_of("a\0{user}*", 9);
    assert_int_equal(scan_pattern_slot(with_nul), (int)hash_slot(BYTES("{user}")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packs_and_unpacks),
        cmocka_unit_test(parses_what_strtoul_parses),
        cmocka_unit_test(knows_patterns_of_one_slot),
        cmocka_unit_test(knows_patterns_that_may_match_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
