// The writer: each kind of reply in both protocols, as bytes.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "resp/writer.h"

static struct buffer out;
static struct reply reply;

static void start(int protocol) {
    out.size = 0;
    reply = (struct reply){.out = &out, .protocol = protocol};
}

static void expect(const char *text) {
    assert_int_equal(out.size, strlen(text));
    assert_memory_equal(out.data, text, out.size);
    out.size = 0;
}

static int end(void **state) {
    buffer_free(&out);
    return 0;
}

static void both(void (*write)(void), const char *two, const char *three) {
    start(2);
    write();
    expect(two);
    start(3);
    write();
    expect(three);
}

static void write_null(void) { reply_null(&reply); }
static void write_null_array(void) { reply_null_array(&reply); }
static void write_true(void) { reply_bool(&reply, true); }
static void write_false(void) { reply_bool(&reply, false); }
static void write_double(void) { reply_double(&reply, 2.5); }
static void write_infinity(void) { reply_double(&reply, -INFINITY); }
static void write_map(void) { reply_map(&reply, 3); }
static void write_set(void) { reply_set(&reply, 3); }
static void write_push(void) { reply_push(&reply, 12); }
static void write_verbatim(void) { reply_verbatim(&reply, "txt", BYTES("a\r\nb")); }

static void forms_differ_by_protocol(void **state) {
    both(write_null, "$-1\r\n", "_\r\n");
    both(write_null_array, "*-1\r\n", "_\r\n");
    both(write_true, ":1\r\n", "#t\r\n");
    both(write_false, ":0\r\n", "#f\r\n");
    both(write_double, "$3\r\n2.5\r\n", ",2.5\r\n");
    both(write_infinity, "$4\r\n-inf\r\n", ",-inf\r\n");
    both(write_map, "*6\r\n", "%3\r\n");
    both(write_set, "*3\r\n", "~3\r\n");
    both(write_push, "*12\r\n", ">12\r\n");
    both(write_verbatim, "$4\r\na\r\nb\r\n", "=8\r\ntxt:a\r\nb\r\n");
}

static void numbers_and_texts(void **state) {
    start(2);
    static const int64_t values[] = {0, 9, 10, -1, 99, 12345, INT64_MAX, INT64_MIN};
    static const char *const texts[] = {":0\r\n",     ":9\r\n",     ":10\r\n",
                                        ":-1\r\n",    ":99\r\n",    ":12345\r\n",
                                        ":9223372036854775807\r\n", ":-9223372036854775808\r\n"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        reply_integer(&reply, values[i]);
        expect(texts[i]);
    }
    reply_bulk_integer(&reply, -17);
    expect("$3\r\n-17\r\n");
    reply_bulk(&reply, (struct bytes){NULL, 0});
    expect("$0\r\n\r\n");
    reply_bulkf(&reply, "%d-%s", 7, "x");
    expect("$3\r\n7-x\r\n");
    reply_simple(&reply, "PONG");
    reply_ok(&reply);
    expect("+PONG\r\n+OK\r\n");
    reply_array(&reply, 1000000);
    expect("*1000000\r\n");
    reply_raw(&reply, BYTES(":1\r\n"));
    expect(":1\r\n");
    assert_false(reply.failed);
}

static void an_error_is_one_line(void **state) {
    start(2);
    reply_errorf(&reply, "ERR unknown '%s'", "a\r\n+OK\r\nb");
    assert_true(reply.failed);
    expect("-ERR unknown 'a  +OK  b'\r\n");
}

static void lengths_may_be_told_at_the_end(void **state) {
    for (int protocol = 2; protocol <= 3; protocol++) {
        start(protocol);
        reply_integer(&reply, 5);
        size_t outer = reply_array_begin(&reply), inner;
        reply_integer(&reply, 1);
        inner = reply_array_begin(&reply);
        reply_integer(&reply, 2);
        reply_integer(&reply, 3);
        reply_map_end(&reply, inner, 1);
        reply_array_end(&reply, outer, 2);
        expect(protocol == 2 ? ":5\r\n*2\r\n:1\r\n*2\r\n:2\r\n:3\r\n" : ":5\r\n*2\r\n:1\r\n%1\r\n:2\r\n:3\r\n");
        size_t empty = reply_array_begin(&reply);
        reply_set_end(&reply, empty, 0);
        expect(protocol == 2 ? "*0\r\n" : "~0\r\n");
    }
}

static void a_large_bulk_is_whole(void **state) {
    enum { SIZE = 300000 };
    char *bytes = mem_alloc(SIZE);
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 31);
    start(3);
    for (int i = 0; i < 3; i++)
        reply_bulk(&reply, bytes_of(bytes, SIZE));
    size_t each = SIZE + 2 + strlen("$300000\r\n");
    assert_int_equal(out.size, 3 * each);
    assert_memory_equal(out.data + 2 * each + strlen("$300000\r\n"), bytes, SIZE);
    assert_memory_equal(out.data + out.size - 2, "\r\n", 2);
    mem_free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(forms_differ_by_protocol, end),
        cmocka_unit_test_teardown(numbers_and_texts, end),
        cmocka_unit_test_teardown(an_error_is_one_line, end),
        cmocka_unit_test_teardown(lengths_may_be_told_at_the_end, end),
        cmocka_unit_test_teardown(a_large_bulk_is_whole, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
