// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "resp/reply.h"
#include "resp/request.h"

// Writes a reply in a small notation, so that a whole tree compares as one string.
static void describe(struct buffer *out, const struct reply *reply) {
    if (reply->attribute_count) {
        buffer_append_string(out, "|");
        for (size_t i = 0; i < reply->attribute_count; i++)
            describe(out, &reply->attributes[i]);
        buffer_append_string(out, "|");
    }
    switch (reply->type) {
    case REPLY_INTEGER: buffer_appendf(out, ":%lld ", (long long)reply->integer); break;
    case REPLY_DOUBLE: buffer_appendf(out, ",%g ", reply->number); break;
    case REPLY_BOOL: buffer_appendf(out, "#%lld ", (long long)reply->integer); break;
    case REPLY_NIL: buffer_append_string(out, "_ "); break;
    case REPLY_VERBATIM:
        buffer_appendf(out, "=%s:%.*s ", reply->format, (int)reply->text.size, reply->text.data);
        break;
    case REPLY_ARRAY:
    case REPLY_MAP:
    case REPLY_SET:
    case REPLY_PUSH:
        buffer_appendf(out, "%c[", reply->type);
        for (size_t i = 0; i < reply->count; i++)
            describe(out, &reply->items[i]);
        buffer_append_string(out, "]");
        break;
    default: buffer_appendf(out, "%c%.*s ", reply->type, (int)reply->text.size, reply->text.data);
    }
}

static void feed(struct reply_reader *reader, struct bytes bytes) {
    char *room = reply_reader_room(reader, bytes.size ? bytes.size : 1);
    if (bytes.size) memcpy(room, bytes.data, bytes.size);
    reply_reader_filled(reader, bytes.size);
}

// Reads `input` in portions of `step` bytes; the replies' notation goes to `out`. Returns the last result.
static enum reply_result read_all(struct reply_reader *reader, struct bytes input, size_t step,
                                  struct buffer *out) {
    enum reply_result result = REPLY_MORE;
    for (size_t at = 0; at < input.size; at += step) {
        feed(reader, bytes_of(input.data + at, input.size - at < step ? input.size - at : step));
        const struct reply *reply;
        while ((result = reply_reader_next(reader, &reply)) == REPLY_WHOLE)
            describe(out, reply);
        if (result == REPLY_BROKEN) return result;
    }
    return result;
}

static void expect_tree(struct bytes input, const char *expected) {
    for (size_t step = 1; step <= input.size; step++) {
        struct reply_reader *reader = reply_reader_create();
        struct buffer out = BUFFER_EMPTY;
        assert_int_equal(read_all(reader, input, step, &out), REPLY_MORE);
        assert_string_equal(buffer_string(&out), expected);
        assert_int_equal(reply_reader_pending(reader), 0);
        buffer_free(&out);
        reply_reader_destroy(reader);
    }
}

static void test_resp2(void **state) {
    expect_tree(BYTES("+OK\r\n-ERR no\r\n:-12\r\n$3\r\na\nb\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n"),
                "+OK -ERR no :-12 $a\nb $ _ _ *[]");
    expect_tree(BYTES("*3\r\n:1\r\n*2\r\n$1\r\nx\r\n*0\r\n+y\r\n:7\r\n"), "*[:1 *[$x *[]]+y ]:7 ");
}

static void test_resp3(void **state) {
    expect_tree(
        BYTES("_\r\n#t\r\n#f\r\n,3.25\r\n,inf\r\n,-inf\r\n,nan\r\n(123456789012345678901234567890\r\n"),
        "_ #1 #0 ,3.25 ,inf ,-inf ,nan (123456789012345678901234567890 ");
    expect_tree(BYTES("=7\r\ntxt:abc\r\n!7\r\nERR a\nb\r\n"), "=txt:abc -ERR a\nb ");
    expect_tree(BYTES("%2\r\n+a\r\n:1\r\n+b\r\n~2\r\n:1\r\n:2\r\n>2\r\n+m\r\n*0\r\n"),
                "%[+a :1 +b ~[:1 :2 ]]>[+m *[]]");
    expect_tree(BYTES("|1\r\n+k\r\n*1\r\n:9\r\n*2\r\n:1\r\n|1\r\n+in\r\n+v\r\n:2\r\n"),
                "|+k *[:9 ]|*[:1 |+in +v |:2 ]");
    expect_tree(BYTES("|0\r\n+ok\r\n"), "+ok ");
}

static void expect_broken(struct bytes input, const char *why) {
    struct reply_reader *reader = reply_reader_create();
    struct buffer out = BUFFER_EMPTY;
    assert_int_equal(read_all(reader, input, input.size, &out), REPLY_BROKEN);
    assert_string_equal(reply_reader_error(reader), why);
    const struct reply *reply;
    assert_int_equal(reply_reader_next(reader, &reply), REPLY_BROKEN);

    reply_reader_reset(reader); // a new connection starts afresh
    assert_int_equal(read_all(reader, BYTES("+OK\r\n"), 5, &out), REPLY_MORE);
    assert_string_equal(buffer_string(&out), "+OK ");
    buffer_free(&out);
    reply_reader_destroy(reader);
}

static void test_refused(void **state) {
    expect_broken(BYTES("hello\r\n"), "got \"h\" as reply type byte");
    expect_broken(BYTES("\x01\r\n"), "got \"\\x01\" as reply type byte");
    expect_broken(BYTES("\r\n"), "got \"\\x00\" as reply type byte");
    expect_broken(BYTES("+OK\n"), "a line does not end in CR LF");
    expect_broken(BYTES("$-2\r\n"), "bad bulk string length");
    expect_broken(BYTES("$?\r\n"), "bad bulk string length");
    expect_broken(BYTES("$99999999999\r\n"), "bad bulk string length");
    expect_broken(BYTES("$1\r\nabc"), "a string does not end in CR LF");
    expect_broken(BYTES("*x\r\n"), "bad multi-bulk length");
    expect_broken(BYTES("%-1\r\n"), "bad multi-bulk length");
    expect_broken(BYTES(":12a\r\n"), "a malformed number");
    expect_broken(BYTES(",x\r\n"), "a malformed number");
    expect_broken(BYTES("#x\r\n"), "a malformed number");
    expect_broken(BYTES("=3\r\nabc\r\n"), "a verbatim string without its format");
}

static void test_limits(void **state) {
    struct buffer deep = BUFFER_EMPTY;
    for (int i = 0; i <= REPLY_DEPTH_MAX; i++)
        buffer_append_string(&deep, "*1\r\n");
    expect_broken(buffer_bytes(&deep), "too deeply nested");
    deep.size = 0;
    for (int i = 0; i <= REPLY_DEPTH_MAX; i++)
        buffer_append_string(&deep, "|1\r\n");
    expect_broken(buffer_bytes(&deep), "too deeply nested");
    deep.size = 0;
    for (int i = 0; i < REPLY_DEPTH_MAX; i++)
        buffer_append_string(&deep, "*1\r\n");
    buffer_append_string(&deep, ":1\r\n");
    struct reply_reader *reader = reply_reader_create();
    struct buffer out = BUFFER_EMPTY;
    assert_int_equal(read_all(reader, buffer_bytes(&deep), 7, &out), REPLY_MORE);
    assert_int_equal(out.size, 2 * REPLY_DEPTH_MAX + 3 + REPLY_DEPTH_MAX);
    buffer_free(&deep);

    reply_reader_set_limit(reader, 20);
    assert_int_equal(read_all(reader, BYTES("$100\r\n"), 6, &out), REPLY_BROKEN);
    assert_string_equal(reply_reader_error(reader), "reply beyond the limit");
    reply_reader_reset(reader);
    assert_int_equal(read_all(reader, BYTES("*9\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n"), 4, &out), REPLY_BROKEN);
    reply_reader_reset(reader);
    out.size = 0;
    assert_int_equal(read_all(reader, BYTES(":1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n"), 28, &out),
                     REPLY_MORE);
    assert_string_equal(buffer_string(&out), ":1 :2 :3 :4 :5 :6 :7 ");
    buffer_free(&out);
    reply_reader_destroy(reader);

    struct buffer line = BUFFER_EMPTY;
    memset(buffer_extend(&line, REPLY_LINE_MAX + 2), 'x', REPLY_LINE_MAX + 2);
    line.data[0] = '+';
    expect_broken(buffer_bytes(&line), "too long a line");
    buffer_free(&line);
}

// A count that lies takes no memory for what does not come.
static void test_lying_count(void **state) {
    struct reply_reader *reader = reply_reader_create();
    struct buffer out = BUFFER_EMPTY;
    assert_int_equal(read_all(reader, BYTES("*2000000000\r\n:1\r\n"), 17, &out), REPLY_MORE);
    assert_int_equal(reply_reader_pending(reader), 17);
    reply_reader_destroy(reader);
}

static void test_no_memory(void **state) {
    struct reply_reader *reader = reply_reader_create();
    mem_fail_after(1);
    assert_null(reply_reader_room(reader, 100));
    mem_fail_after(0);
    feed(reader, BYTES("*1\r\n:1\r\n"));
    const struct reply *reply;
    mem_fail_after(1);
    assert_int_equal(reply_reader_next(reader, &reply), REPLY_BROKEN);
    mem_fail_after(0);
    assert_string_equal(reply_reader_error(reader), "no memory for the reply");
    reply_reader_destroy(reader);
}

static void test_request(void **state) {
    struct buffer out = BUFFER_EMPTY;
    request_append(&out, (struct bytes[]){BYTES("SET"), BYTES("a\0b"), BYTES("")}, 3);
    assert_int_equal(out.size, 4 + 9 + 9 + 6);
    assert_memory_equal(out.data, "*3\r\n$3\r\nSET\r\n$3\r\na\0b\r\n$0\r\n\r\n", out.size);
    out.size = 0;
    request_strings(&out, "GET", "key", NULL);
    request_begin(&out, 2);
    request_string(&out, "SELECT");
    request_integer(&out, -12);
    assert_string_equal(buffer_string(&out),
                        "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n*2\r\n$6\r\nSELECT\r\n$3\r\n-12\r\n");
    buffer_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resp2),   cmocka_unit_test(test_resp3),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_lying_count), cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
