// Dispatch by small commands of its own: what is routed, what waits, what a primary's stream may do, what is deferred.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/words.h"
#include "call/dispatch.h"
#include "call/pause.h"
#include "call/watches.h"
#include "os/clock.h"
#include "os/thread.h"
#include "os/ticks.h"

static struct keyspace *keyspace;
static struct journal *journal;
static struct gate *gate;
static struct dispatcher dispatcher;
static struct session session;
static struct routes *routes;

static void run_set(struct call *call) {
    if (call_set_string(call, call->argv[1], call->argv[2], NO_EXPIRY)) reply_ok(call->reply);
}

static void run_watch(struct call *call) {
    watches_add(call->session, call->keyspace, call->db, call->argv[1], call->now_ms);
    reply_ok(call->reply);
}

static void run_unwatch(struct call *call) {
    watches_clear(call->session, call->keyspace, true);
    reply_ok(call->reply);
}

static void run_wait(struct call *call) {
    call_defer(call, INT64_MAX, NULL);
}

static void run_slow(struct call *call) {
    reply_ok(call->reply);
}

#define ONE_KEY {{.begin = KEY_BEGIN_INDEX, .index = 1, .find = KEY_FIND_RANGE, .step = 1, .flags = KEY_RW}}

static const struct command commands[] = {
    {.name = "set", .run = run_set, .arity = 3, .flags = CMD_WRITE, .keys = ONE_KEY},
    {.name = "watch", .run = run_watch, .arity = 2, .categories = CAT_TRANSACTION, .keys = ONE_KEY},
    {.name = "unwatch", .run = run_unwatch, .arity = 1, .categories = CAT_TRANSACTION},
    {.name = "waitlong", .run = run_wait, .arity = 1},
    {.name = "ping", .run = run_slow, .arity = 1},
    {.name = "wipe", .run = run_slow, .arity = 1, .flags = CMD_WRITE, .admission = ADMIT_EXCLUSIVE},
    {.name = NULL}};

static int install(void **state) {
    static const struct command *const tables[] = {commands, NULL};
    static const struct command_docs *const docs[] = {NULL};
    ticks_init();
    hash_set_seed(1);
    command_table_install(tables, docs);
    return 0;
}

static int open_all(void **state) {
    keyspace = keyspace_create(2);
    journal = journal_create(1, 1 << 20);
    journal_activate(journal, 0);
    gate = gate_create(2);
    dispatcher_init(&dispatcher, 0, keyspace, journal, gate);
    dispatcher.now_ms = 1000000;
    dispatcher.mono_ms = 5000;
    settings.slowlog_log_slower_than = -1;
    role = (struct role){0};
    session_open(&session, 0, SESSION_NORMAL);
    session.authenticated = true;
    routes = mem_calloc(1, sizeof *routes + 2 * sizeof *routes->nodes);
    routes->cluster_ok = routes->primary = true;
    routes->node_count = 2;
    strcpy(routes->nodes[1].endpoint, "10.0.0.1:7001");
    gate_enter(gate, 0);
    return 0;
}

static int close_all(void **state) {
    gate_leave(gate, 0);
    watches_clear(&session, keyspace, true);
    session_close(&session);
    dispatcher_free(&dispatcher);
    gate_destroy(gate);
    journal_destroy(journal);
    keyspace_destroy(keyspace);
    mem_free(routes);
    return 0;
}

static enum dispatch_result give(const char *line) {
    struct words words = WORDS_EMPTY;
    words_split(bytes_from_string(line), &words);
    struct prepared prepared = {.parsed = {.argv = words.items, .argc = (int)words.count}};
    session.output.size = 0;
    dispatch_prepare(&dispatcher, &session, &prepared);
    dispatch_look_around(&dispatcher);
    enum dispatch_result result = dispatch(&dispatcher, &session, &prepared);
    words_free(&words);
    return result;
}

enum { SOME = 4 };

// Gives dispatch_some these commands, `from` on; how many it took.
static unsigned give_some(const char *const lines[SOME], unsigned from, enum dispatch_result result) {
    struct words words[SOME] = {WORDS_EMPTY};
    struct prepared prepared[SOME] = {0};
    unsigned taken;
    for (int i = 0; i < SOME; i++) {
        words_split(bytes_from_string(lines[i]), &words[i]);
        prepared[i].parsed.argv = words[i].items;
        prepared[i].parsed.argc = (int)words[i].count;
        dispatch_prepare(&dispatcher, &session, &prepared[i]);
    }
    session.output.size = 0;
    dispatch_look_around(&dispatcher);
    assert_int_equal(dispatch_some(&dispatcher, &session, prepared + from, SOME - from, &taken), result);
    for (int i = 0; i < SOME; i++)
        words_free(&words[i]);
    return taken;
}

static void expect(const char *line, const char *reply) {
    assert_int_equal(give(line), DISPATCH_DONE);
    assert_string_equal(buffer_string(&session.output), reply);
}

static void what_is_watched_is_not_routed(void **state) {
    keyspace_publish_routes(keyspace, routes);
    expect("WATCH a", "+OK\r\n");
    expect("WATCH b", "+OK\r\n"); // another slot
    expect("UNWATCH", "+OK\r\n");
    // Nor does a watch whose slot has moved away stand in the way of letting go.
    expect("WATCH a", "+OK\r\n");
    routes->owner[hash_slot(BYTES("a"))] = 1;
    expect("SET a 1", "-MOVED 15495 10.0.0.1:7001\r\n");
    expect("UNWATCH", "+OK\r\n");
    assert_true(list_empty(&session.watches));
}

static void writers_of_a_busy_slot_wait(void **state) {
    unsigned slot = hash_slot(BYTES("a"));
    keyspace_slot_set_busy(keyspace, slot, true);
    assert_int_equal(give("SET a 1"), DISPATCH_PARKED);
    assert_int_equal(session.waiting, WAIT_SLOT);
    assert_int_equal(session.wait_slot, slot);
    assert_int_equal(keyspace_count(keyspace, 0), 0);
    session.waiting = WAIT_NOTHING;
    expect("SET b 1", "+OK\r\n");
    keyspace_slot_set_busy(keyspace, slot, false);
    expect("SET a 1", "+OK\r\n");
}

static void some_are_taken_up_to_one_that_is_not_plain(void **state) {
    static const char *const lines[SOME] = {"SET a 1", "SET b 2", "PING", "SET c 3"};
    uint64_t before = dispatcher.counters->commands;
    assert_int_equal(give_some(lines, 0, DISPATCH_DONE), 3);
    assert_string_equal(buffer_string(&session.output), "+OK\r\n+OK\r\n+OK\r\n");
    assert_string_equal(session.last_command->name, "ping");
    assert_int_equal(dispatcher.counters->commands - before, 3);
    assert_int_equal(keyspace_count(keyspace, 0), 2);
    assert_int_equal(give_some(lines, 3, DISPATCH_DONE), 1);
    assert_string_equal(session.last_command->name, "set");
    assert_int_equal(keyspace_count(keyspace, 0), 3);
}

static void some_are_taken_up_to_one_that_must_wait(void **state) {
    static const char *const lines[SOME] = {"SET a 1", "SET b 2", "SET c 3", "PING"};
    keyspace_slot_set_busy(keyspace, hash_slot(BYTES("b")), true);
    assert_int_equal(give_some(lines, 0, DISPATCH_PARKED), 1);
    assert_int_equal(session.waiting, WAIT_SLOT);
    assert_string_equal(buffer_string(&session.output), "+OK\r\n");
    assert_int_equal(keyspace_count(keyspace, 0), 1);
    session.waiting = WAIT_NOTHING;
    keyspace_slot_set_busy(keyspace, hash_slot(BYTES("b")), false);
    assert_int_equal(give_some(lines, 1, DISPATCH_DONE), 3);
    assert_string_equal(buffer_string(&session.output), "+OK\r\n+OK\r\n+OK\r\n");
}

// Whatever puts the session into another state is no plain command, and is felt by the next.
static void some_are_taken_until_the_session_changes(void **state) {
    static const char *const lines[SOME] = {"SET a 1", "SET b 2", "SET c 3", "SET d 4"};
    session.authenticated = false;
    assert_int_equal(give_some(lines, 0, DISPATCH_DONE), 1);
    assert_string_equal(buffer_string(&session.output), "-NOAUTH Authentication required.\r\n");
    assert_int_equal(keyspace_count(keyspace, 0), 0);
}

static void a_primarys_stream_never_waits(void **state) {
    role.replica = true;
    keyspace_slot_set_busy(keyspace, hash_slot(BYTES("a")), true);
    session_change_kind(&session, SESSION_PRIMARY);
    assert_int_equal(give("SET a 1"), DISPATCH_DONE);
    assert_int_equal(session.waiting, WAIT_NOTHING);
    assert_int_equal(keyspace_count(keyspace, 0), 1);
    // A stream that was ended by a change of role is not applied any more.
    session.closing = true;
    uint64_t head = journal_head(journal);
    assert_int_equal(give("SET b 1"), DISPATCH_DONE);
    assert_int_equal(keyspace_count(keyspace, 0), 1);
    assert_int_equal(journal_head(journal), head);
}

static void a_wait_of_any_length_is_counted_without_overflow(void **state) {
    give("WAITLONG");
    assert_int_equal(session.waiting, WAIT_DEFERRED);
    assert_true(session.wait_until_ms > dispatcher.mono_ms);
    assert_true(session.wait_until_ms < INT64_MAX / 1000000);
}

static void a_threshold_of_any_size_is_compared_without_overflow(void **state) {
    settings.slowlog_log_slower_than = INT64_MAX;
    expect("PING", "+OK\r\n");
}

static void too_few_replicas_stop_writes(void **state) {
    settings.min_replicas_to_write = 1;
    settings.min_replicas_max_lag = 10;
    expect("SET a 1", "-NOREPLICAS Not enough good replicas to write.\r\n");
    role.good_replicas = 1;
    expect("SET a 1", "+OK\r\n");
    settings.min_replicas_to_write = 0;
}

// Inside the gate as reader 1, until reader 0 waits to be exclusive; then writes are paused, and it leaves.
static void pause_behind_its_back(void *argument) {
    uint64_t before = *(uint64_t *)argument;
    while (gate_turns(gate, 0) == before)
        clock_sleep_us(100);
    pause_start(PAUSE_BY_FAILOVER, dispatcher.mono_ms, dispatcher.mono_ms + 1000, true);
    gate_leave(gate, 1);
}

static void a_pause_begun_while_it_became_exclusive_holds(void **state) {
    uint64_t turns = gate_turns(gate, 0);
    gate_enter(gate, 1);
    struct thread thread;
    assert_int_equal(thread_start(&thread, "other", pause_behind_its_back, &turns), 0);
    assert_int_equal(give("wipe"), DISPATCH_PARKED);
    assert_int_equal(session.waiting, WAIT_PAUSED);
    thread_join(&thread);
    pause_end(PAUSE_BY_FAILOVER);
    session.waiting = WAIT_NOTHING;
    assert_int_equal(give("wipe"), DISPATCH_DONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_pause_begun_while_it_became_exclusive_holds, open_all, close_all),
        cmocka_unit_test_setup_teardown(what_is_watched_is_not_routed, open_all, close_all),
        cmocka_unit_test_setup_teardown(writers_of_a_busy_slot_wait, open_all, close_all),
        cmocka_unit_test_setup_teardown(some_are_taken_up_to_one_that_is_not_plain, open_all, close_all),
        cmocka_unit_test_setup_teardown(some_are_taken_up_to_one_that_must_wait, open_all, close_all),
        cmocka_unit_test_setup_teardown(some_are_taken_until_the_session_changes, open_all, close_all),
        cmocka_unit_test_setup_teardown(a_primarys_stream_never_waits, open_all, close_all),
        cmocka_unit_test_setup_teardown(a_wait_of_any_length_is_counted_without_overflow, open_all,
                                        close_all),
        cmocka_unit_test_setup_teardown(a_threshold_of_any_size_is_compared_without_overflow, open_all,
                                        close_all),
        cmocka_unit_test_setup_teardown(too_few_replicas_stop_writes, open_all, close_all),
    };
    return cmocka_run_group_tests(tests, install, NULL);
}
