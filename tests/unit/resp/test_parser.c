// The parser: the same commands however the bytes are cut, the limits and their texts, the batch.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "resp/parser.h"

static const struct resp_limits no_limits = {.bulk_max = 512 * 1024 * 1024, .arguments_max = INT_MAX};

static struct resp_batch batch;

static int open_batch(void **state) {
    resp_batch_init(&batch);
    return 0;
}

static int close_batch(void **state) {
    resp_batch_free(&batch);
    return 0;
}

static void describe(const struct resp_command *command, struct buffer *out) {
    for (int i = 0; i < command->argc; i++)
        buffer_appendf(out, "[%.*s]", (int)command->argv[i].size, command->argv[i].data);
    buffer_append_byte(out, command->is_inline ? '~' : ';');
}

enum { KNOWN_MOST = 2 };
static bool known_first;   // resp_parse_known is asked before resp_parse
static unsigned known_got; // what it has given

// Takes what resp_parse_known gives and writes it; returns how many bytes that were.
static size_t take_known(struct resp_parser *parser, struct bytes input, struct buffer *out) {
    struct wide {
        struct resp_command command;
        char other[24];
    } commands[KNOWN_MOST];
    struct bytes rest = input;
    unsigned count = resp_parse_known(parser, &batch, &rest, &no_limits, &commands[0].command,
                                      sizeof *commands, known_first ? KNOWN_MOST : 0);
    const char *at = input.data;
    for (unsigned i = 0; i < count; i++) {
        assert_ptr_equal(commands[i].command.raw.data, at);
        at += commands[i].command.raw.size;
        describe(&commands[i].command, out);
    }
    assert_ptr_equal(rest.data, at);
    assert_int_equal(rest.size, input.size - (size_t)(at - input.data));
    known_got += count;
    return (size_t)(at - input.data);
}

// Parses `input`, which comes in pieces that end at `first` and `second`, each time in another place of memory, and
// writes what it finds.
static void parse_in_pieces(struct bytes input, size_t first, size_t second, struct buffer *out) {
    struct resp_parser parser = {0};
    size_t ends[] = {first, second, input.size}, done = 0;
    for (int piece = 0; piece < 3; piece++) {
        size_t size = ends[piece] - done;
        char *copy = mem_alloc(size + 1);
        memcpy(copy, input.data + done, size);
        size_t at = 0;
        struct resp_command command;
        for (;;) {
            resp_batch_reset(&batch);
            at += take_known(&parser, bytes_of(copy + at, size - at), out);
            enum resp_result result =
                resp_parse(&parser, &batch, bytes_of(copy + at, size - at), &no_limits, &command);
            if (result == RESP_MORE) break;
            assert_int_equal(result, RESP_COMMAND);
            assert_ptr_equal(command.raw.data, copy + at);
            describe(&command, out);
            at += command.raw.size;
        }
        assert_true(parser.wanted >= 1);
        done += at;
        mem_free(copy);
    }
    assert_int_equal(done, input.size);
    resp_parser_free(&parser);
}

static void every_cut_gives_the_same_commands(void **state) {
    static const char text[] =
        "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$12\r\nline\r\n*1\r\n$0\r\n"
        "PING  \"a b\"\r\n\r\n*0\r\n*-1\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\nEXISTS a 'b'\n"
        "*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$10\r\n0123456789\r\n*1\r\n$4\r\nPING\r\n";
    static const char expected[] =
        "[SET][key][line\r\n*1\r\n$0];[PING][a b]~~;;[GET][];[EXISTS][a][b]~[PING];"
        "[GET][0123456789];[PING];";
    known_first = *state != NULL;
    known_got = 0;
    struct bytes input = bytes_from_string(text);
    for (size_t first = 0; first <= input.size; first++)
        for (size_t second = first; second <= input.size; second++) {
            struct buffer out = BUFFER_EMPTY;
            parse_in_pieces(input, first, second, &out);
            assert_string_equal(buffer_string(&out), expected);
            buffer_free(&out);
        }
    assert_true(known_first == (known_got != 0));
}

static enum resp_result parse(struct resp_parser *parser, struct bytes input, const struct resp_limits *limits) {
    struct resp_command command;
    resp_batch_reset(&batch);
    return resp_parse(parser, &batch, input, limits, &command);
}

static int open_for_known(void **state) {
    *state = &known_first;
    return open_batch(NULL);
}

// What it does not know, or may not take, is left as it was.
static void known_are_taken_within_the_limits_only(void **state) {
    static const char text[] = "*2\r\n$3\r\nGET\r\n$10\r\n0123456789\r\n*2\r\n$3\r\nGET\r\n$10\r\n012345678";
    const struct resp_limits strange = {
        .bulk_max = 1 << 20, .arguments_max = INT_MAX, .unauthenticated = true};
    struct bytes all = bytes_from_string(text), input = all;
    struct resp_parser parser = {0};
    struct resp_command commands[2];
    size_t stride = sizeof *commands;
    assert_int_equal(resp_parse_known(&parser, &batch, &input, &no_limits, commands, stride, 2), 0);
    assert_int_equal(parse(&parser, input, &no_limits), RESP_COMMAND);
    assert_int_equal(resp_parse_known(&parser, &batch, &input, &strange, commands, stride, 2), 0);
    assert_int_equal(input.size, all.size);
    assert_int_equal(resp_parse_known(&parser, &batch, &input, &no_limits, commands, stride, 2), 1);
    assert_int_equal(all.size - input.size, commands[0].raw.size);
    assert_int_equal(parse(&parser, input, &no_limits), RESP_MORE);
    assert_int_equal(resp_parse_known(&parser, &batch, &all, &no_limits, commands, stride, 2),
                     0); // in its middle
    resp_parser_free(&parser);
}

static void expect_error(struct bytes input, const struct resp_limits *limits, const char *text) {
    struct resp_parser parser = {0};
    assert_int_equal(parse(&parser, input, limits), RESP_PROTOCOL_ERROR);
    assert_string_equal(parser.error, text);
    resp_parser_free(&parser);
}

static void expect_more(struct bytes input, const struct resp_limits *limits, size_t wanted) {
    struct resp_parser parser = {0};
    assert_int_equal(parse(&parser, input, limits), RESP_MORE);
    assert_int_equal(parser.wanted, wanted);
    resp_parser_free(&parser);
}

static void nonsense_is_named(void **state) {
    const struct resp_limits *limits = &no_limits;
    expect_error(BYTES("*x\r\n"), limits, "invalid multibulk length");
    expect_error(BYTES("*1x\r\n"), limits, "invalid multibulk length");
    expect_error(BYTES("*\r\n"), limits, "invalid multibulk length");
    expect_error(BYTES("*2147483648\r\n"), limits, "invalid multibulk length");
    expect_error(BYTES("*99999999999999999999\r\n"), limits, "invalid multibulk length");
    expect_error(BYTES("*1\r\n$-1\r\n"), limits, "invalid bulk length");
    expect_error(BYTES("*1\r\n$x\r\n"), limits, "invalid bulk length");
    expect_error(BYTES("*1\r\n$536870913\r\n"), limits, "invalid bulk length");
    expect_error(BYTES("*1\r\n:1\r\n"), limits, "expected '$', got ':'");
    expect_error(BYTES("SET \"a\r\n"), limits, "unbalanced quotes in request");
    expect_more(BYTES("*1\r\n$536870912\r\n"), limits, 536870914);
}

static void arguments_of_every_size_and_number_come_whole(void **state) {
    enum { SIZES = 1100 };
    char filling[SIZES];
    memset(filling, 'v', sizeof filling);
    for (int size = 0; size < SIZES; size++) {
        struct buffer text = BUFFER_EMPTY;
        int count = 1 + size % 120;
        buffer_appendf(&text, "*%d\r\n", count);
        for (int i = 0; i < count; i++)
            buffer_appendf(&text, "$%d\r\n%.*s\r\n", size, size, filling);
        struct resp_parser parser = {0};
        struct resp_command command;
        resp_batch_reset(&batch);
        assert_int_equal(
            resp_parse(&parser, &batch, buffer_bytes(&text), &no_limits, &command),
            RESP_COMMAND);
        assert_int_equal(command.raw.size, text.size);
        assert_int_equal(command.argc, count);
        for (int i = 0; i < count; i++) {
            assert_int_equal(command.argv[i].size, size);
            assert_memory_equal(command.argv[i].data, filling, (size_t)size);
        }
        resp_parser_free(&parser);
        buffer_free(&text);
    }
}

// Redis refuses these, and its replicas are sent a command's bytes as they came.
static void lengths_are_canonical(void **state) {
    expect_error(BYTES("*01\r\n"), &no_limits, "invalid multibulk length");
    expect_error(BYTES("*-0\r\n"), &no_limits, "invalid multibulk length");
    expect_error(BYTES("*1\r\n$04\r\nPING\r\n"), &no_limits, "invalid bulk length");
    expect_error(BYTES("*1\r\n$+4\r\nPING\r\n"), &no_limits, "invalid bulk length");
}

static void lines_without_an_end_are_bounded(void **state) {
    size_t size = RESP_INLINE_MAX + 1;
    char *line = mem_alloc(size);
    memset(line, 'a', size);
    expect_more(bytes_of(line, size - 1), &no_limits, 1);
    expect_error(bytes_of(line, size), &no_limits, "too big inline request");
    mem_free(line);
}

static void strangers_may_say_little(void **state) {
    struct resp_limits limits = no_limits;
    limits.unauthenticated = true;
    expect_error(BYTES("*11\r\n"), &limits, "unauthenticated multibulk length");
    expect_error(BYTES("*1\r\n$16385\r\n"), &limits, "unauthenticated bulk length");
    expect_more(BYTES("*10\r\n"), &limits, 1);
    expect_more(BYTES("*1\r\n$16384\r\n"), &limits, 16386);
}

static void an_announced_number_reserves_nothing(void **state) {
    expect_more(BYTES("*2147483647\r\n"), &no_limits, 1);
    expect_more(BYTES("*2147483647\r\n$1\r\na\r\n$1\r\nb\r\n"), &no_limits, 1);
    assert_true(batch.capacity <= 2048);
}

static void a_huge_command_widens_the_batch_for_itself(void **state) {
    enum { ARGUMENTS = 200000 };
    struct buffer input = BUFFER_EMPTY;
    buffer_appendf(&input, "*%d\r\n", ARGUMENTS);
    for (int i = 0; i < ARGUMENTS; i++)
        buffer_appendf(&input, "$%d\r\n%06d\r\n", 6, i);
    struct resp_parser parser = {0};
    struct resp_command command;
    enum resp_result result = RESP_MORE;
    // It comes in a hundred pieces; the batch serves others in between.
    for (size_t piece = 1; piece <= 100; piece++) {
        resp_batch_reset(&batch);
        struct bytes so_far = bytes_of(input.data, input.size * piece / 100);
        result = resp_parse(&parser, &batch, so_far, &no_limits, &command);
        assert_int_equal(result, piece < 100 ? RESP_MORE : RESP_COMMAND);
    }
    assert_int_equal(command.argc, ARGUMENTS);
    assert_int_equal(command.raw.size, input.size);
    for (int i = 0; i < ARGUMENTS; i += 777) {
        char text[16];
        snprintf(text, sizeof text, "%06d", i);
        assert_memory_equal(command.argv[i].data, text, 6);
    }
    resp_batch_reset(&batch);
    assert_true(batch.capacity < ARGUMENTS);
    resp_parser_free(&parser);
    buffer_free(&input);
}

static void a_full_batch_is_told_and_nothing_is_lost(void **state) {
    enum { COMMANDS = 10, ARGUMENTS = 300 };
    struct buffer input = BUFFER_EMPTY;
    for (int i = 0; i < COMMANDS; i++) {
        buffer_appendf(&input, "*%d\r\n", ARGUMENTS);
        for (int j = 0; j < ARGUMENTS; j++)
            buffer_appendf(&input, "$1\r\n%d\r\n", i);
    }
    struct resp_parser parser = {0};
    struct resp_command commands[COMMANDS];
    size_t at = 0;
    int got = 0, full = 0, first = 0;
    while (got < COMMANDS) {
        struct bytes rest = bytes_of(input.data + at, input.size - at);
        enum resp_result result = resp_parse(&parser, &batch, rest, &no_limits, &commands[got]);
        if (result == RESP_BATCH_FULL) {
            // What is in it is still whole.
            for (int i = first; i < got; i++)
                for (int j = 0; j < ARGUMENTS; j++)
                    assert_int_equal(commands[i].argv[j].data[0], '0' + i);
            first = got;
            full++;
            resp_batch_reset(&batch);
            continue;
        }
        assert_int_equal(result, RESP_COMMAND);
        at += commands[got++].raw.size;
    }
    assert_int_equal(at, input.size);
    assert_true(full >= 2);
    resp_parser_free(&parser);
    buffer_free(&input);
}

static void a_restart_begins_with_the_first_byte(void **state) {
    struct resp_parser parser = {0};
    assert_int_equal(parse(&parser, BYTES("*2\r\n$3\r\nGET\r\n$1"), &no_limits), RESP_MORE);
    resp_parser_restart(&parser);
    struct resp_command command;
    resp_batch_reset(&batch);
    assert_int_equal(resp_parse(&parser, &batch, BYTES("\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), &no_limits, &command),
                     RESP_COMMAND);
    assert_int_equal(command.argc, 0);
    assert_int_equal(command.raw.size, 2);
    resp_parser_free(&parser);
}

// Names of every length, with one to five arguments, over and over: what was noted of one is never read as another's.
static void a_note_belongs_to_one_name(void **state) {
    enum { NAMES = 40, ROUNDS = 3 };
    static char names[NAMES][NAMES + 1];
    int found = 0;
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < NAMES * 5; i++) {
            char *name = names[i / 5];
            int arguments = i % 5 + 1;
            memset(name, 'a' + i / 5 % 26, (size_t)i / 5);
            struct buffer text = BUFFER_EMPTY;
            buffer_appendf(&text, "*%d\r\n$%d\r\n%s\r\n", arguments, i / 5, name);
            for (int j = 1; j < arguments; j++)
                buffer_appendf(&text, "$1\r\n%d\r\n", j);
            for (int again = 0; again < 2; again++) {
                struct resp_parser parser = {0};
                struct resp_command command;
                resp_batch_reset(&batch);
                assert_int_equal(resp_parse(&parser, &batch, buffer_bytes(&text), &no_limits, &command), RESP_COMMAND);
                assert_int_equal(command.argc, arguments);
                assert_true(bytes_equal(command.argv[0], bytes_from_string(name)));
                for (int j = 1; j < arguments; j++)
                    assert_int_equal(command.argv[j].data[0], '0' + j);
                if (command.note && *command.note) assert_ptr_equal(*command.note, name);
                found += command.note && *command.note;
                if (command.note) *command.note = name;
                resp_parser_free(&parser);
            }
            buffer_free(&text);
        }
    assert_true(found >= NAMES); // at least each short name that came twice in a row
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_note_belongs_to_one_name, open_batch, close_batch),
        cmocka_unit_test_setup_teardown(every_cut_gives_the_same_commands, open_batch, close_batch),
        cmocka_unit_test_setup_teardown(every_cut_gives_the_same_commands, open_for_known, close_batch),
        cmocka_unit_test_setup_teardown(known_are_taken_within_the_limits_only, open_batch, close_batch),
        cmocka_unit_test_setup_teardown(arguments_of_every_size_and_number_come_whole, open_batch,
                                        close_batch),
        cmocka_unit_test_setup_teardown(nonsense_is_named, open_batch, close_batch),
        cmocka_unit_test_setup_teardown(lengths_are_canonical, open_batch, close_batch),
        cmocka_unit_test_setup_teardown(lines_without_an_end_are_bounded, open_batch, close_batch),
        cmocka_unit_test_setup_teardown(strangers_may_say_little, open_batch, close_batch),
        cmocka_unit_test_setup_teardown(an_announced_number_reserves_nothing, open_batch, close_batch),
        cmocka_unit_test_setup_teardown(a_huge_command_widens_the_batch_for_itself, open_batch, close_batch),
        cmocka_unit_test_setup_teardown(a_full_batch_is_told_and_nothing_is_lost, open_batch, close_batch),
        cmocka_unit_test_setup_teardown(a_restart_begins_with_the_first_byte, open_batch, close_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
