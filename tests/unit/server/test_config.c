// Directives: every kind with good and bad values, aliases, words, lines that add up, CONFIG SET that takes all or none, and
// the file that CONFIG REWRITE makes.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/words.h"
#include "call/settings.h"
#include "os/file.h"
#include "replication/replication.h"
#include "server/config.h"
#include "server/directive.h"
#include "server/worker.h"

static char folder[] = "/tmp/shoal-unit-config-XXXXXX";

static int start(void **state) {
    config.executable = (char *)"unit";
    config.file = mem_strdup("");
    directives_init();
    return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state) {
    return rmdir(folder);
}

// Sets a directive from words in one text; the error is thrown away.
static bool set(const char *name, const char *text) {
    struct words words = WORDS_EMPTY;
    struct buffer error = BUFFER_EMPTY;
    const struct directive *directive = directive_find(bytes_from_string(name));
    assert_non_null(directive);
    assert_true(words_split(bytes_from_string(text), &words));
    bool fine = directive_set(directive, words.items, (unsigned)words.count, false, &error);
    assert_true(fine == (error.size == 0));
    buffer_free(&error);
    words_free(&words);
    return fine;
}

static void expect(const char *name, const char *value) {
    struct buffer text = BUFFER_EMPTY;
    directive_print(directive_find(bytes_from_string(name)), &text);
    assert_string_equal(buffer_string(&text), value);
    buffer_free(&text);
}

static void test_defaults_are_initial(void **state) {
    for (const struct directive *at = directives; at->name; at++)
        assert_true(directive_is_initial(at));
    expect("maxmemory-policy", "noeviction");
    expect("save", "3600 1 300 100 60 10000");
    expect("client-output-buffer-limit", "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60");
}

static void test_names_are_found_by_alias_in_any_case(void **state) {
    const struct directive *directive = directive_find(BYTES("SLAVE-read-only"));
    assert_non_null(directive);
    assert_string_equal(directive->name, "replica-read-only");
    assert_null(directive_find(BYTES("replica-read")));
    for (const struct directive *a = directives; a->name; a++) // no name stands for two
        for (const struct directive *b = a + 1; b->name; b++) {
            assert_string_not_equal(a->name, b->name);
            if (a->alias && b->alias) assert_string_not_equal(a->alias, b->alias);
        }
}

static void test_kinds_take_what_they_should(void **state) {
    assert_true(set("maxmemory", "3gb"));
    assert_true(settings.maxmemory == 3ull << 30);
    assert_true(set("maxmemory-policy", "ALLKEYS-lfu"));
    assert_int_equal(settings.maxmemory_policy, POLICY_ALLKEYS_LFU);
    assert_true(set("replica-read-only", "NO"));
    assert_false(settings.replica_read_only);
    assert_true(set("slowlog-log-slower-than", "-1"));
    assert_true(settings.slowlog_log_slower_than == -1);
    assert_true(set("unixsocketperm", "700"));
    assert_int_equal(config.unixsocket_mode, 0700);
    assert_true(set("shutdown-on-sigint", "nosave force"));
    assert_int_equal(config.shutdown_on_sigint, SHUTDOWN_NOSAVE | SHUTDOWN_FORCE);
    expect("shutdown-on-sigint", "nosave force");
    assert_true(set("hz", "100000")); // brought into its bounds, as Redis does
    expect("hz", "500");
}

static void test_bad_values_change_nothing(void **state) {
    static const char *const bad[][2] = {
        {"maxmemory", "12parsecs"}, {"maxmemory", "-1"},        {"port", "65536"},      {"port", "80 81"},
        {"timeout", "-1"},          {"maxmemory-samples", "0"}, {"loglevel", "loud"},   {"replica-read-only", "1"},
        {"unixsocketperm", "888"},  {"dbfilename", "a/b"},      {"save", "10"},         {"save", "0 10"},
        {"save", "10 -1"},          {"replicaof", "host"},      {"replicaof", "host x"}, {"databases", "0"},
        {"client-output-buffer-limit", "normal 1 2"},           {"client-output-buffer-limit", "nobody 1 2 3"},
        {"cluster-announce-hostname", "a_b"},                   {"latency-tracking-info-percentiles", "101"},
        {"shutdown-on-sigint", "default force"},                {"dir", "/nonexistent/at/all"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct directive *directive = directive_find(bytes_from_string(bad[i][0]));
        struct buffer before = BUFFER_EMPTY, after = BUFFER_EMPTY;
        directive_print(directive, &before);
        if (set(bad[i][0], bad[i][1])) fail_msg("%s %s was taken", bad[i][0], bad[i][1]);
        directive_print(directive, &after);
        assert_string_equal(buffer_string(&before), buffer_string(&after));
        buffer_free(&before);
        buffer_free(&after);
    }
}

static void test_what_is_not_here_is_refused(void **state) {
    assert_false(set("appendonly", "yes"));
    assert_true(set("appendonly", "no"));
    assert_false(set("tls-port", "6380"));
    assert_false(set("aclfile", "users.acl"));
    assert_false(set("notify-keyspace-events", "KEA"));
    assert_true(set("notify-keyspace-events", "\"\""));
    assert_true(set("hash-max-listpack-entries", "64")); // tunes what is not here: kept
    expect("hash-max-ziplist-entries", "64");
}

static void test_save_lines_add_up(void **state) {
    const struct directive *save = directive_find(BYTES("save"));
    struct buffer error = BUFFER_EMPTY;
    struct bytes first[] = {BYTES("900"), BYTES("1")}, second[] = {BYTES("30 2 10 3")}, none[] = {BYTES("")};
    assert_true(directive_set(save, first, 2, false, &error));
    assert_true(directive_set(save, second, 1, true, &error)); // in one pair of quotes
    expect("save", "900 1 30 2 10 3");
    assert_true(directive_set(save, none, 1, true, &error));
    expect("save", "");
}

// --- CONFIG SET

static unsigned told;
static bool refuse_clients;

static bool follow_clients(struct buffer *error) {
    told++;
    if (refuse_clients) buffer_append_string(error, "too many");
    return !refuse_clients;
}

static bool set_pairs(const struct bytes *pairs, unsigned count, const char *wanted_error) {
    struct buffer error = BUFFER_EMPTY;
    bool fine = config_set(pairs, count, true, &error);
    if (wanted_error) assert_string_equal(buffer_string(&error), wanted_error);
    buffer_free(&error);
    return fine;
}

static void test_config_set_takes_all_or_none(void **state) {
    set("timeout", "7");
    set("save", "900 1");
    struct bytes good[] = {BYTES("timeout"), BYTES("8"), BYTES("save"), BYTES("60 5 30 2")};
    assert_true(set_pairs(good, 2, NULL));
    expect("timeout", "8");
    expect("save", "60 5 30 2");
    struct bytes bad[] = {BYTES("timeout"), BYTES("9"), BYTES("save"), BYTES(""), BYTES("hz"), BYTES("fast")};
    assert_false(set_pairs(bad, 3,
                           "ERR CONFIG SET failed (possibly related to argument 'hz') - argument couldn't be parsed "
                           "into an integer"));
    expect("timeout", "8");
    expect("save", "60 5 30 2");
    struct bytes twice[] = {BYTES("timeout"), BYTES("1"), BYTES("TIMEOUT"), BYTES("2")};
    assert_false(set_pairs(twice, 2, "ERR CONFIG SET failed (possibly related to argument 'TIMEOUT') - duplicate parameter"));
    struct bytes fixed[] = {BYTES("databases"), BYTES("4")};
    assert_false(
        set_pairs(fixed, 1, "ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config"));
    struct bytes guarded[] = {BYTES("dbfilename"), BYTES("x.rdb")};
    assert_false(
        set_pairs(guarded, 1, "ERR CONFIG SET failed (possibly related to argument 'dbfilename') - can't set protected config"));
    struct bytes unknown[] = {BYTES("nosuch"), BYTES("4")};
    assert_false(set_pairs(unknown, 1, "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'"));
}

static void test_what_cannot_be_applied_is_put_back(void **state) {
    static const struct config_followers followers = {.max_clients = follow_clients};
    config_set_followers(&followers);
    set("maxclients", "100");
    struct bytes pairs[] = {BYTES("timeout"), BYTES("77"), BYTES("maxclients"), BYTES("200")};
    refuse_clients = false;
    told = 0;
    assert_true(set_pairs(pairs, 2, NULL));
    assert_int_equal(told, 1);
    expect("maxclients", "200");
    refuse_clients = true;
    pairs[1] = BYTES("78");
    pairs[3] = BYTES("300");
    assert_false(set_pairs(pairs, 2, "ERR CONFIG SET failed (possibly related to argument 'maxclients') - too many"));
    expect("maxclients", "200");
    expect("timeout", "77");
    assert_int_equal(told, 3); // told of the new value, and of the old one again
}

// --- CONFIG REWRITE

static void test_rewrite_keeps_what_it_does_not_know(void **state) {
    char path[128];
    snprintf(path, sizeof path, "%s/it.conf", folder);
    mem_free(config.file);
    config.file = mem_strdup(path);
    static const char before[] = "# mine\n\ninclude other.conf\nTIMEOUT 300\n# two of it\nhz 20\nhz 30\nsave 1 1\nsave 2 2\n";
    int fd = file_create(path);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, before, sizeof before - 1), 0);
    file_close(fd);
    set("timeout", "5");
    set("hz", "40");
    set("save", "9 9");
    set("requirepass", "\"se cret\"");
    set("maxmemory", "2mb");
    struct buffer error = BUFFER_EMPTY, text = BUFFER_EMPTY;
    assert_true(config_rewrite(&error));
    assert_int_equal(file_load(path, CONFIG_FILE_MAX, &text), 0);
    const char *after = buffer_string(&text);
    assert_non_null(strstr(after, "# mine\n\ninclude other.conf\ntimeout 5\n# two of it\nhz 40\nsave 9 9\n"));
    assert_null(strstr(after, "save 2 2"));
    assert_non_null(strstr(after, "# Generated by CONFIG REWRITE\n"));
    assert_non_null(strstr(after, "requirepass \"se cret\"\n"));
    assert_non_null(strstr(after, "maxmemory 2mb\n"));
    struct buffer again = BUFFER_EMPTY;
    assert_true(config_rewrite(&error)); // a second time changes nothing
    assert_int_equal(file_load(path, CONFIG_FILE_MAX, &again), 0);
    assert_true(bytes_equal(buffer_bytes(&text), buffer_bytes(&again)));
    unlink(path);
    buffer_free(&text);
    buffer_free(&again);
    buffer_free(&error);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_initial),
        cmocka_unit_test(test_names_are_found_by_alias_in_any_case),
        cmocka_unit_test(test_kinds_take_what_they_should),
        cmocka_unit_test(test_bad_values_change_nothing),
        cmocka_unit_test(test_what_is_not_here_is_refused),
        cmocka_unit_test(test_save_lines_add_up),
        cmocka_unit_test(test_config_set_takes_all_or_none),
        cmocka_unit_test(test_what_cannot_be_applied_is_put_back),
        cmocka_unit_test(test_rewrite_keeps_what_it_does_not_know),
    };
    return cmocka_run_group_tests(tests, start, end);
}
