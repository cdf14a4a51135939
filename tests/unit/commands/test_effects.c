// What followers are told of each command: no clock, no chance and no condition is left to them.
#include "fixture.h"

static void strings_are_told_as_they_were_said(void **state) {
    expect_effects("SET k v", "SET k v");
    expect_effects("SET k v XX", "SET k v XX");
    expect_effects("SET k v NX", "");
    expect_effects("SETNX k v", "");
    expect_effects("MSET a 1 b 2", "MSET a 1 b 2");
    expect_effects("MSETNX a 1 c 2", "");
    expect_effects("APPEND k w", "APPEND k w");
    expect_effects("SETRANGE k 1 x", "SETRANGE k 1 x");
    expect_effects("SETRANGE k 1 \"\"", "");
    expect_effects("INCR n", "INCR n");
    expect_effects("DECRBY n 3", "DECRBY n 3");
    expect_effects("INCR k", "");
    expect_effects("GET k", "");
}

static void times_are_told_as_moments(void **state) {
    expect_effects("SET k v EX 10", "SET k v PXAT 1700000010000");
    expect_effects("SET k v PX 10 GET", "SET k v PXAT 1700000000010");
    expect_effects("SET k v EXAT 1700000020", "SET k v PXAT 1700000020000");
    expect_effects("SET k v KEEPTTL GET", "SET k v KEEPTTL");
    expect_effects("SETEX k 1 v", "SET k v PXAT 1700000001000");
    expect_effects("PSETEX k 5 v", "SET k v PXAT 1700000000005");
    expect_effects("EXPIRE k 100", "PEXPIREAT k 1700000100000");
    expect_effects("PEXPIRE k 100 NX", "");
    expect_effects("PEXPIRE k 100 XX", "PEXPIREAT k 1700000000100");
    expect_effects("GETEX k EX 7", "PEXPIREAT k 1700000007000");
    expect_effects("GETEX k", "");
    expect_effects("GETEX k PERSIST", "PERSIST k");
    expect_effects("GETEX k PERSIST", "");
    expect_effects("PERSIST k", "");
}

static void what_is_over_is_told_as_deleted(void **state) {
    run("SET k v");
    expect_effects("EXPIRE k -1", "DEL k");
    expect_effects("EXPIRE k -1", "");
    run("SET k v");
    expect_effects("PEXPIREAT k 1700000000000", "DEL k");
    run("SET k v");
    expect_effects("GETEX k EXAT 1", "DEL k");
    run("SET k v PX 5");
    fixture.dispatcher.now_ms += 5;
    expect_effects("GET k", "DEL k");
}

static void results_are_told_instead_of_sums(void **state) {
    run("SET f 1.5");
    expect_effects("INCRBYFLOAT f 1.5", "SET f 3 KEEPTTL");
    expect("OBJECT ENCODING f", "$6\r\nembstr\r\n");
    expect_effects("GETDEL f", "DEL f");
    expect_effects("GETDEL f", "");
    expect_effects("GETSET f 1", "SET f 1");
}

static void keys_that_move_are_told_as_they_were_said(void **state) {
    run("SET {t}a v EX 10");
    expect_effects("RENAME {t}a {t}b", "RENAME {t}a {t}b");
    expect("PTTL {t}b", ":10000\r\n");
    expect_effects("RENAMENX {t}b {t}b", "");
    expect_effects("COPY {t}b {t}c", "COPY {t}b {t}c");
    expect_effects("COPY {t}b {t}c", "");
    expect_effects("MOVE {t}c 3", "MOVE {t}c 3");
    expect_effects("DEL nothing", "");
    expect_effects("UNLINK {t}b nothing", "UNLINK {t}b nothing");
    expect_effects("FLUSHDB", "FLUSHDB");
    expect_effects("FLUSHALL ASYNC", "FLUSHALL ASYNC");
    expect_effects("SWAPDB 0 1", "SWAPDB 0 1");
}

static void a_transaction_is_told_whole(void **state) {
    run("MULTI");
    run("SET a 1");
    run("SET b 2 PX 9");
    run("GET a");
    expect_effects("EXEC", "MULTI; SET a 1; SET b 2 PXAT 1700000000009; EXEC");
    run("MULTI");
    run("GET a");
    expect_effects("EXEC", "");
}

static void a_replica_does_not_delete_by_itself(void **state) {
    run("SET k v PX 5");
    effects();
    role.replica = true;
    fixture.dispatcher.now_ms += 5;
    expect("GET k", "$-1\r\n");
    expect("KEYS *", "*0\r\n");
    expect("SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n");
    expect("DBSIZE", ":1\r\n");
    assert_string_equal(effects(), "");
    role.replica = false;
    expect_effects("SCAN 0", "DEL k");
    expect("DBSIZE", ":0\r\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(strings_are_told_as_they_were_said, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(times_are_told_as_moments, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(what_is_over_is_told_as_deleted, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(results_are_told_instead_of_sums, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(keys_that_move_are_told_as_they_were_said, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(a_transaction_is_told_whole, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(a_replica_does_not_delete_by_itself, fixture_open, fixture_close),
    };
    return cmocka_run_group_tests(tests, fixture_start, NULL);
}
