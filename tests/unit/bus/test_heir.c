// What is said to a replica that is to take over, and what its answers mean, in one piece and byte by byte.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/heir.h"

#define ORDER "*2\r\n$7\r\nCLUSTER\r\n$8\r\nFAILOVER\r\n"

static void asks(const char *user, const char *password, unsigned answers, const char *text) {
    struct buffer out = BUFFER_EMPTY;
    assert_int_equal(heir_request(user, password, &out), answers);
    assert_string_equal(buffer_string(&out), text);
    buffer_free(&out);
}

static void the_login_comes_first(void **state) {
    asks("", "", 1, ORDER);
    asks("someone", "", 1, ORDER); // nothing to log in with
    asks("", "secret", 2, "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n" ORDER);
    asks("me", "a b", 2, "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$3\r\na b\r\n" ORDER);
}

static void means(const char *said, unsigned answers, enum heir_verdict verdict, const char *why) {
    struct bytes whole = bytes_from_string(said), text;
    assert_int_equal(heir_answer(whole, answers, &text), verdict);
    if (why) assert_true(bytes_equal(text, bytes_from_string(why)));
    if (verdict == HEIR_WAIT) return;
    for (size_t size = 0; size < whole.size; size++)
        assert_int_equal(heir_answer(bytes_of(said, size), answers, &text), HEIR_WAIT);
}

static void the_last_answer_counts(void **state) {
    means("", 1, HEIR_WAIT, NULL);
    means("+OK", 1, HEIR_WAIT, NULL);
    means("+OK\r\n", 1, HEIR_TAKES_OVER, NULL);
    means("+OK\r\n", 2, HEIR_WAIT, NULL);
    means("+OK\r\n+OK\r\n", 2, HEIR_TAKES_OVER, NULL);
    means("-ERR AUTH <password> called without any password\r\n+OK\r\n", 2, HEIR_TAKES_OVER, NULL);
    means("+OK\r\n-NOPERM no\r\n", 2, HEIR_REFUSES, "-NOPERM no");
    means("-NOAUTH Authentication required.\r\n", 1, HEIR_REFUSES, "-NOAUTH Authentication required.");
    means("\r\n", 1, HEIR_REFUSES, "");
    means("$-1\r\n", 1, HEIR_REFUSES, "$-1");
}

static void a_chatterbox_is_no_replica(void **state) {
    static char said[HEIR_ANSWER_MAX + 1];
    struct bytes why;
    memset(said, 'x', sizeof said);
    assert_int_equal(heir_answer(bytes_of(said, HEIR_ANSWER_MAX), 1, &why), HEIR_WAIT);
    assert_int_equal(heir_answer(bytes_of(said, sizeof said), 1, &why), HEIR_REFUSES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_login_comes_first),
        cmocka_unit_test(the_last_answer_counts),
        cmocka_unit_test(a_chatterbox_is_no_replica),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
