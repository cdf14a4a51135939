// fixture: a keyspace, a journal and two sessions, without sockets: commands go through dispatch as they do
// in a worker. Replies are compared as bytes; effects are read from the journal, each command as a line of
// its words.
#ifndef SHOAL_TESTS_COMMANDS_FIXTURE_H
#define SHOAL_TESTS_COMMANDS_FIXTURE_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/words.h"
#include "call/dispatch.h"
#include "commands/tables.h"
#include "os/ticks.h"
#include "resp/parser.h"

#define FIXTURE_NOW 1700000000000 // the wall clock of the tests, in ms

struct fixture {
    struct keyspace *keyspace;
    struct journal *journal;
    struct gate *gate;
    struct journal_follower *follower;
    struct dispatcher dispatcher;
    struct session sessions[2];
    struct buffer effects;
};

static struct fixture fixture;

static void fixture_slow(const struct session *session, const struct command *command,
                         const struct bytes *argv, int argc, int64_t us) {}

// Once a program.
static int fixture_start(void **state) {
    static const struct command *const tables[] = {string_commands,     key_commands,    transaction_commands,
                                                   connection_commands, server_commands, NULL};
    static const struct command_docs *const docs[] = {command_docs_string, command_docs_generic, NULL};
    ticks_init();
    hash_set_seed(1);
    command_table_install(tables, docs);
    const struct dispatch_sinks sinks = {.slow = fixture_slow};
    dispatch_set_sinks(&sinks);
    return 0;
}

static int fixture_open(void **state) {
    fixture = (struct fixture){
        .keyspace = keyspace_create(16), .journal = journal_create(1, 1 << 20), .gate = gate_create(1)};
    journal_activate(fixture.journal, 0);
    fixture.follower = journal_follow(fixture.journal, journal_head(fixture.journal));
    assert_non_null(fixture.follower);
    dispatcher_init(&fixture.dispatcher, 0, fixture.keyspace, fixture.journal, fixture.gate);
    fixture.dispatcher.now_ms = FIXTURE_NOW;
    fixture.dispatcher.mono_ms = 1000;
    for (int i = 0; i < 2; i++) {
        session_open(&fixture.sessions[i], 0, SESSION_NORMAL);
        fixture.sessions[i].authenticated = true;
    }
    gate_enter(fixture.gate, 0);
    return 0;
}

static void fixture_run(int session, const char *line);

static int fixture_close(void **state) {
    gate_leave(fixture.gate, 0);
    for (int i = 0; i < 2; i++) {
        gate_enter(fixture.gate, 0);
        fixture_run(i, "RESET"); // lets go of what it watches
        gate_leave(fixture.gate, 0);
        session_close(&fixture.sessions[i]);
    }
    buffer_free(&fixture.effects);
    dispatcher_free(&fixture.dispatcher);
    journal_unfollow(fixture.journal, fixture.follower);
    journal_destroy(fixture.journal);
    gate_destroy(fixture.gate);
    keyspace_destroy(fixture.keyspace);
    role = (struct role){.active_expire = true};
    return 0;
}

// Executes a command whose words stand in a line, quoted as in the command line. Its reply is the session's
// whole output.
static void fixture_run(int session, const char *line) {
    struct words words = WORDS_EMPTY;
    assert_true(words_split(bytes_from_string(line), &words));
    fixture.sessions[session].output.size = 0;
    struct prepared prepared = {.parsed = {.argv = words.items, .argc = (int)words.count}};
    dispatch_prepare(&fixture.dispatcher, &fixture.sessions[session], &prepared);
    assert_int_equal(dispatch(&fixture.dispatcher, &fixture.sessions[session], &prepared), DISPATCH_DONE);
    words_free(&words);
}

static inline void expect_from(int session, const char *line, const char *reply) {
    fixture_run(session, line);
    const char *got = buffer_string(&fixture.sessions[session].output);
    if (strcmp(got, reply) != 0) print_error("%s\n", line);
    assert_string_equal(got, reply);
}

static inline void expect(const char *line, const char *reply) {
    expect_from(0, line, reply);
}

static inline void run(const char *line) {
    fixture_run(0, line);
}

// The commands that entered the journal since the last call, separated by "; ", SELECTs left out.
static const char *effects(void) {
    fixture.effects.size = 0;
    struct buffer stream = BUFFER_EMPTY;
    for (struct bytes part; (part = journal_peek(fixture.journal, fixture.follower, SIZE_MAX)).size > 0;) {
        buffer_append_bytes(&stream, part);
        journal_advance(fixture.journal, fixture.follower, part.size);
    }
    struct resp_parser parser = {0};
    struct resp_batch batch;
    resp_batch_init(&batch);
    const struct resp_limits limits = {.bulk_max = 1 << 30, .arguments_max = RESP_ARGUMENTS_MAX};
    struct resp_command command;
    while (stream.size > 0) {
        assert_int_equal(
            resp_parse(&parser, &batch, buffer_bytes(&stream), &limits, &command),
            RESP_COMMAND);
        if (!bytes_is(command.argv[0], "select")) {
            if (fixture.effects.size) buffer_append_string(&fixture.effects, "; ");
            for (int i = 0; i < command.argc; i++) {
                if (i) buffer_append_byte(&fixture.effects, ' ');
                buffer_append_bytes(&fixture.effects, command.argv[i]);
            }
        }
        buffer_drop_front(&stream, command.raw.size);
        resp_batch_reset(&batch);
    }
    resp_parser_free(&parser);
    resp_batch_free(&batch);
    buffer_free(&stream);
    return buffer_string(&fixture.effects);
}

// Executes, then compares what was journaled.
static inline void expect_effects(const char *line, const char *wanted) {
    effects();
    fixture_run(0, line);
    const char *got = effects();
    if (strcmp(got, wanted) != 0) print_error("%s\n", line);
    assert_string_equal(got, wanted);
}

#endif
