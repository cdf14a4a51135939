// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "base/log.h"

static int lines;
static enum log_level last_level;
static char last_line[2048];

static void remember(enum log_level level, const char *line) {
    lines++;
    last_level = level;
    assert_true(strlen(line) < sizeof last_line);
    memcpy(last_line, line, strlen(line) + 1);
}

static void test_levels(void **state) {
    log_set_sink(remember);
    lines = 0;
    log_write(LOG_NOTICE, "hello %d", 1);
    assert_int_equal(lines, 1);
    assert_int_equal(last_level, LOG_NOTICE);
    assert_string_equal(last_line, "hello 1");
    log_write(LOG_VERBOSE, "not at first");
    assert_int_equal(lines, 1);
    log_set_level(LOG_DEBUG);
    log_write(LOG_DEBUG, "now");
    assert_int_equal(lines, 2);
    log_set_level(LOG_WARNING);
    log_write(LOG_NOTICE, "no more");
    assert_int_equal(lines, 2);
    log_write(LOG_WARNING, "but this");
    assert_int_equal(lines, 3);
    assert_string_equal(last_line, "but this");
}

// A line that is too long is cut, not dropped.
static void test_long_line(void **state) {
    log_set_sink(remember);
    log_write(LOG_WARNING, "%01500d", 5);
    assert_int_equal(strlen(last_line), 1023);
    assert_int_equal(last_line[0], '0');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_long_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
