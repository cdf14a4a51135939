// WATCH and EXEC, and RESTORE, SCAN and COMMAND where they depend on more than one step.
#include "fixture.h"

#include <stdlib.h>

static void a_change_breaks_a_watch(void **state) {
    run("SET k 1");
    expect("WATCH k other", "+OK\r\n");
    expect_from(1, "SET k 2", "+OK\r\n");
    run("MULTI");
    expect("SET k 3", "+QUEUED\r\n");
    expect("EXEC", "*-1\r\n");
    expect("GET k", "$1\r\n2\r\n");
    // The watch is over with the transaction.
    run("MULTI");
    run("SET k 3");
    expect("EXEC", "*1\r\n+OK\r\n");
}

static void nothing_breaks_it_without_a_change(void **state) {
    run("SET k 1");
    run("WATCH k absent");
    expect_from(1, "GET k", "$1\r\n1\r\n");
    expect_from(1, "DEL absent", ":0\r\n");
    expect_from(1, "SET elsewhere 1", "+OK\r\n");
    run("MULTI");
    run("GET k");
    expect("EXEC", "*1\r\n$1\r\n1\r\n");
    run("WATCH k");
    expect_from(1, "SET k 2", "+OK\r\n");
    expect("UNWATCH", "+OK\r\n");
    run("MULTI");
    expect("EXEC", "*0\r\n");
    run("WATCH k");
    run("MULTI");
    expect("DISCARD", "+OK\r\n");
    expect_from(1, "SET k 3", "+OK\r\n");
    run("MULTI");
    expect("EXEC", "*0\r\n");
}

static void expiry_breaks_a_watch(void **state) {
    run("SET k 1 PX 10");
    run("WATCH k");
    fixture.dispatcher.now_ms += 10;
    run("MULTI");
    expect("EXEC", "*-1\r\n");
    run("SET gone 1 PX 10");
    fixture.dispatcher.now_ms += 10;
    run("WATCH gone");
    run("MULTI");
    expect("EXEC", "*0\r\n");
}

static void flushing_and_swapping_break_watches(void **state) {
    run("SET k 1");
    run("WATCH k");
    expect_from(1, "FLUSHALL", "+OK\r\n");
    run("MULTI");
    expect("EXEC", "*-1\r\n");
    run("WATCH absent");
    expect_from(1, "FLUSHALL", "+OK\r\n");
    run("MULTI");
    expect("EXEC", "*0\r\n");
    run("WATCH k");
    expect_from(1, "SELECT 1", "+OK\r\n");
    expect_from(1, "SET k 1", "+OK\r\n");
    expect_from(1, "SWAPDB 0 1", "+OK\r\n");
    run("MULTI");
    expect("EXEC", "*-1\r\n");
}

static void a_dump_is_restored(void **state) {
    run("SET k hello");
    run("DUMP k");
    struct bytes dump = buffer_bytes(&fixture.sessions[0].output);
    const char *payload = (const char *)memchr(dump.data, '\n', dump.size) + 1;
    struct buffer line = BUFFER_EMPTY, body = BUFFER_EMPTY;
    buffer_append(&body, payload, (size_t)(dump.data + dump.size - payload) - 2);
    buffer_append_string(&line, "RESTORE copy 500 ");
    words_quote(&line, buffer_bytes(&body));
    buffer_append_string(&line, " IDLETIME 100");
    effects();
    expect(buffer_string(&line), "+OK\r\n");
    effects(); // with a payload inside that holds zero bytes
    assert_non_null(memmem(fixture.effects.data, fixture.effects.size, " IDLETIME 100 ABSTTL", 20));
    expect("OBJECT IDLETIME copy", ":100\r\n");
    expect("GET copy", "$5\r\nhello\r\n");
    expect("PTTL copy", ":500\r\n");
    expect(buffer_string(&line), "-BUSYKEY Target key name already exists.\r\n");
    line.size = 0;
    buffer_append_string(&line, "RESTORE copy 1 ");
    words_quote(&line, buffer_bytes(&body));
    buffer_append_string(&line, " REPLACE ABSTTL");
    expect_effects(buffer_string(&line), "DEL copy");
    expect("RESTORE copy 0 nonsense", "-ERR DUMP payload version or checksum are wrong\r\n");
    buffer_free(&line);
    buffer_free(&body);
}

enum { STAYING = 3000, PASSING = 2000 };

// Adds the keys that a reply of SCAN holds to `met`; returns the cursor to go on with.
static unsigned long long note_scanned(uint8_t *met) {
    const char *reply = buffer_string(&fixture.sessions[0].output);
    const char *cursor = strchr(strstr(reply, "\r\n") + 2, '\n') + 1;
    for (const char *at = strstr(reply, "stay:"); at; at = strstr(at + 1, "stay:"))
        met[atoi(at + 5)] = 1;
    return strtoull(cursor, NULL, 10);
}

static void a_scan_meets_all_that_stays(void **state) {
    char line[64];
    // Half of the keys share a slot, whose table grows and shrinks while it is scanned.
    for (int i = 0; i < STAYING; i++) {
        snprintf(line, sizeof line, "SET stay:%d%s v", i, i % 2 ? "{one}" : "");
        run(line);
    }
    uint8_t met[STAYING] = {0};
    unsigned long long cursor = 0;
    int added = 0, removed = 0;
    do {
        snprintf(line, sizeof line, "SCAN %llu COUNT 20", cursor);
        run(line);
        cursor = note_scanned(met);
        for (int i = 0; i < 40 && added < PASSING; i++, added++) {
            snprintf(line, sizeof line, "SET pass:%d{one} v", added);
            run(line);
        }
        for (int i = 0; i < 60 && added == PASSING && removed < PASSING; i++, removed++) {
            snprintf(line, sizeof line, "DEL pass:%d{one}", removed);
            run(line);
        }
    } while (cursor);
    for (int i = 0; i < STAYING; i++)
        assert_int_equal(met[i], 1);
}

static void a_scan_keeps_to_its_pattern(void **state) {
    run("MSET {a}1 x {a}2 x {b}1 x");
    expect("SCAN 0 MATCH {b}*", "*2\r\n$1\r\n0\r\n*1\r\n$4\r\n{b}1\r\n");
    expect("KEYS {b}*", "*1\r\n$4\r\n{b}1\r\n");
    expect("KEYS {a}1", "*1\r\n$4\r\n{a}1\r\n");
    expect("SCAN 0 COUNT 100 TYPE list", "*2\r\n$1\r\n0\r\n*0\r\n");
    run("KEYS {?}1");
    assert_memory_equal(fixture.sessions[0].output.data, "*2\r\n", 4);
}

static void a_random_key_is_any_of_them(void **state) {
    run("MSET a 1 b 1 c 1");
    bool seen[3] = {false};
    for (int i = 0; i < 200; i++) {
        run("RANDOMKEY");
        assert_int_equal(fixture.sessions[0].output.size, strlen("$1\r\na\r\n"));
        seen[fixture.sessions[0].output.data[4] - 'a'] = true;
    }
    assert_true(seen[0] && seen[1] && seen[2]);
    run("FLUSHALL");
    run("SET only 1 PX 1");
    fixture.dispatcher.now_ms++;
    expect("RANDOMKEY", "$-1\r\n");
}

static void only_touch_touches_in_no_touch_mode(void **state) {
    run("SET k v");
    expect("CLIENT NO-TOUCH on", "+OK\r\n");
    fixture.dispatcher.now_ms += 5000;
    run("GET k");
    expect("OBJECT IDLETIME k", ":5\r\n");
    expect("TOUCH k absent", ":1\r\n");
    expect("OBJECT IDLETIME k", ":0\r\n");
}

static void set_tells_what_it_does_to_its_key(void **state) {
    expect("COMMAND GETKEYSANDFLAGS SET k v", "*1\r\n*2\r\n$1\r\nk\r\n*2\r\n+OW\r\n+update\r\n");
    expect("COMMAND GETKEYSANDFLAGS SET k v GET",
           "*1\r\n*2\r\n$1\r\nk\r\n*3\r\n+RW\r\n+access\r\n+update\r\n");
    expect("COMMAND GETKEYS MSET a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_change_breaks_a_watch, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(nothing_breaks_it_without_a_change, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(expiry_breaks_a_watch, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(flushing_and_swapping_break_watches, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(a_dump_is_restored, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(a_scan_meets_all_that_stays, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(a_scan_keeps_to_its_pattern, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(a_random_key_is_any_of_them, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(only_touch_touches_in_no_touch_mode, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(set_tells_what_it_does_to_its_key, fixture_open, fixture_close),
    };
    return cmocka_run_group_tests(tests, fixture_start, NULL);
}
