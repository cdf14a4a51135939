// nodes.conf and CLUSTER NODES as text.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/nodes_text.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const char file[] =
    A " 127.0.0.1:7000@17000,,shard-id=" B " myself,master - 0 0 12 connected 0-100 5000 [7->-" B
      "] [9000-<-" B "]\n" B " ::1:7001@17001,host.example,shard-id=" A
      ",nodename=left,tls-port=7002 slave,fail? " A " 12345 1234567 9 disconnected\n"
      "vars currentEpoch 12 lastVoteEpoch 3\n";

static void a_file_survives(void **state) {
    struct nodes_text text;
    struct buffer error = BUFFER_EMPTY, out = BUFFER_EMPTY;
    assert_true(nodes_text_parse(bytes_from_string(file), &text, &error));
    assert_int_equal(text.count, 2);
    assert_true(text.has_vars);
    assert_int_equal(text.current_epoch, 12);
    assert_int_equal(text.nodes[0].range_count, 2);
    assert_int_equal(text.nodes[0].ranges[0].last, 100);
    assert_int_equal(text.nodes[0].move_count, 2);
    assert_false(text.nodes[0].moves[0].importing);
    assert_true(text.nodes[0].moves[1].importing);
    assert_string_equal(text.nodes[1].ip, "::1");
    assert_string_equal(text.nodes[1].human_nodename, "left");
    assert_int_equal(text.nodes[1].other_port, 7002);
    for (size_t i = 0; i < text.count; i++)
        nodes_text_write(&out, &text.nodes[i], NODES_TEXT_FILE);
    nodes_text_write_vars(&out, text.current_epoch, text.last_vote_epoch);
    assert_string_equal(buffer_string(&out), file);
    nodes_text_free(&text);
    buffer_free(&out);
    buffer_free(&error);
}

// What redis-server 7.0.15 answered to CLUSTER NODES.
static const char reply[] =
    "53f7652b3eb2a941f51c327d7d108dd2b317eaac 127.0.0.1:27103@37103,host-27103.example slave "
    "1171dd4742dd93a199c942ad65290e3266fd7639 0 1795364876391 1 connected\n"
    "77c3e9307eb5a416a9d36ffb62ebe94a6165de6c 127.0.0.1:27102@37102,host-27102.example master - 0 "
    "1795364876391 0 "
    "connected 5 8001-16383\n"
    "1171dd4742dd93a199c942ad65290e3266fd7639 127.0.0.1:27101@37101,host-27101.example myself,master - 0 "
    "1795364876000 1 "
    "connected 0-4 6-8000 [9000-<-77c3e9307eb5a416a9d36ffb62ebe94a6165de6c]\n";

static void a_reply_survives(void **state) {
    struct nodes_text text;
    struct buffer error = BUFFER_EMPTY, out = BUFFER_EMPTY;
    assert_true(nodes_text_parse(bytes_from_string(reply), &text, &error));
    assert_false(text.has_vars);
    for (size_t i = 0; i < text.count; i++)
        nodes_text_write(&out, &text.nodes[i], NODES_TEXT_REPLY);
    assert_string_equal(buffer_string(&out), reply);
    nodes_text_free(&text);
    buffer_free(&out);
    buffer_free(&error);
}

static void old_files_are_read(void **state) {
    struct nodes_text text;
    struct buffer error = BUFFER_EMPTY;
    const char *old =
        "\n" A
        " 127.0.0.1:7000 myself,master - 0 0 1 connected\r\n\nvars currentEpoch 1 lastVoteEpoch 0 x 7\n";
    assert_true(nodes_text_parse(bytes_from_string(old), &text, &error));
    assert_int_equal(text.nodes[0].bus_port, 17000);
    nodes_text_free(&text);
    assert_true(nodes_text_parse(BYTES(""), &text, &error));
    assert_int_equal(text.count, 0);
    nodes_text_free(&text);
}

static void nonsense_is_refused(void **state) {
    static const char *const bad[] = {
        "hello world\n",
        A " 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-99999\n",
        A " 127.0.0.1:7000@17000 myself,frob - 0 0 1 connected 0-9\n",
        A " 127.0.0.1:70\n",
        A " 127.0.0.1:7000@99999 myself,master - 0 0 1 connected\n",
        A " 127.0.0.1:7000@17000,,colour=red myself,master - 0 0 1 connected\n",
        A " 127.0.0.1:7000@17000 myself,master - 0 0 1 connected [7-]\n",
        A " 127.0.0.1:7000@17000 myself,master - 0 0 1 connected [7->-short]\n",
        A " 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 9-1\n",
        A " 127.0.0.1:7000@17000 myself,master - 0 0 -1 connected\n",
        A "a 127.0.0.1:7000@17000 myself,master - 0 0 1 connected\n",
        "vars currentEpoch\n",
        "vars currentEpoch x\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct nodes_text text;
        struct buffer error = BUFFER_EMPTY;
        assert_false(nodes_text_parse(bytes_from_string(bad[i]), &text, &error));
        assert_memory_equal(buffer_string(&error), "line 1: ", 8);
        assert_int_equal(text.count, 0);
        buffer_free(&error);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_survives),
        cmocka_unit_test(a_reply_survives),
        cmocka_unit_test(old_files_are_read),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
