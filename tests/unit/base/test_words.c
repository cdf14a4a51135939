// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "base/words.h"

static struct words words;

// Splits and expects exactly these words (NULL ends the list).
static void expect_words(struct bytes line, const char *const *expected) {
    assert_true(words_split(line, &words));
    size_t count = 0;
    for (; expected[count]; count++) {
        assert_true(count < words.count);
        assert_string_equal(words.items[count].data, expected[count]);
        assert_int_equal(words.items[count].size, strlen(expected[count]));
    }
    assert_int_equal(words.count, count);
}

#define EXPECT(line, ...) expect_words(BYTES(line), (const char *const[]){__VA_ARGS__, NULL})

static void test_plain(void **state) {
    expect_words(BYTES(""), (const char *const[]){NULL});
    expect_words(BYTES(" \t\r\n\v\f "), (const char *const[]){NULL});
    expect_words((struct bytes){NULL, 0}, (const char *const[]){NULL});
    EXPECT("get key", "get", "key");
    EXPECT("  get\t key \r\n", "get", "key");
    EXPECT("a", "a");
    EXPECT("a b c d e f g h i j", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j");
    EXPECT("back\\slash", "back\\slash");
    EXPECT("ends\0 here", "ends");
}

static void test_quotes(void **state) {
    EXPECT("set \"a b\" 'c d'", "set", "a b", "c d");
    EXPECT("\"\" ''", "", "");
    EXPECT("\"\\n\\r\\t\\b\\a\\\"\\\\\\q\"", "\n\r\t\b\a\"\\q");
    EXPECT("\"\\x41\\x6a\\x6A\"", "Ajj");
    EXPECT("\"\\x4\" \"\\xg1\"", "x4", "xg1");
    EXPECT("'it\\'s' 'a\\nb'", "it's", "a\\nb");
    EXPECT("foo\"bar baz\"", "foobar baz");
    EXPECT("foo'bar'", "foobar");
    assert_true(words_split(BYTES("\"a\\x00b\""), &words));
    assert_int_equal(words.items[0].size, 3);
    assert_memory_equal(words.items[0].data, "a\0b", 3);
}

static void test_refused(void **state) {
    static const char *const bad[] = {"\"",   "'",          "a \"b", "a 'b",  "\"a\"b",
                                      "'a'b", "\"a\"\"b\"", "\"a\\", "'a\\'", "\"a\\\""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        words_split(BYTES("left over"), &words);
        assert_false(words_split(bytes_from_string(bad[i]), &words));
        assert_int_equal(words.count, 0);
    }
}

static void test_quote_reads_back(void **state) {
    char every[256];
    for (int i = 0; i < 256; i++)
        every[i] = (char)i;
    struct buffer quoted = BUFFER_EMPTY;
    words_quote(&quoted, bytes_of(every, 256));
    assert_true(words_split(buffer_bytes(&quoted), &words));
    assert_int_equal(words.count, 1);
    assert_int_equal(words.items[0].size, 256);
    assert_memory_equal(words.items[0].data, every, 256);
    buffer_free(&quoted);

    words_quote(&quoted, BYTES("a\"b\\\x7f\n\x01"));
    assert_string_equal(buffer_string(&quoted), "\"a\\\"b\\\\\\x7f\\n\\x01\"");
    buffer_free(&quoted);
}

static int free_words(void **state) {
    words_free(&words);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_quote_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, free_words);
}
