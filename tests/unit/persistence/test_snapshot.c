// Snapshots: what is saved is what is loaded; what fails leaves the former file and says why.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/memory.h"
#include "call/settings.h"
#include "keyspace/access.h"
#include "keyspace/keyspace.h"
#include "keyspace/slot_lock.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "persistence/snapshot.h"

static char folder[64], path[128];
static struct keyspace *keyspace;
static int64_t now;

static int open_folder(void **state) {
    strcpy(folder, "/tmp/shoal-snapshot-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/dump.rdb", folder);
    hash_set_seed(9);
    settings.rdb_compression = settings.rdb_checksum = true;
    settings.maxmemory_policy = POLICY_NOEVICTION;
    keyspace = keyspace_create(16);
    now = clock_wall_ms();
    return 0;
}

static int close_folder(void **state) {
    unlink(path);
    keyspace_destroy(keyspace);
    return rmdir(folder); // fails when something was left behind
}

static void set(unsigned db, const char *name, struct bytes value, int64_t expire_ms) {
    struct bytes key = bytes_from_string(name);
    keyspace_set_string(keyspace, db, hash_slot(key), hash_bytes(key.data, key.size), key, value, expire_ms, now);
}

static void fill(void) {
    char large[5000], name[32];
    memset(large, 'l', sizeof large);
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "key:%d", i);
        set(i % 3 ? 0 : 7, name, i % 2 ? BYTES("text") : bytes_of(large, (size_t)i * 20), i % 5 ? NO_EXPIRY : now + 100000 + i);
    }
    set(0, "", BYTES("a key without a name"), NO_EXPIRY);
    set(0, "number", BYTES("-123456789012"), NO_EXPIRY);
    set(15, "small", BYTES("7"), now + 500000);
}

static bool is_in_other(void *context, struct entry *entry) {
    void **both = context;
    unsigned db = *(unsigned *)both[1];
    char mine[NUMBER_TEXT_MAX], theirs[NUMBER_TEXT_MAX];
    struct bytes key = entry_key(entry);
    struct entry *found = keyspace_find(both[0], db, hash_slot(key), hash_bytes(key.data, key.size), key);
    if (!found) fail_msg("key %.*s is not there", (int)key.size, key.data);
    assert_true(bytes_equal(entry_string(entry, mine), entry_string(found, theirs)));
    assert_int_equal(entry_expiry(entry), entry_expiry(found));
    return true;
}

static void expect_same(struct keyspace *other) {
    for (unsigned db = 0; db < 16; db++) {
        void *both[] = {other, &db};
        assert_int_equal(keyspace_count(other, db), keyspace_count(keyspace, db));
        for (unsigned slot = 0; slot < HASH_SLOTS; slot++)
            keyspace_slot_each(keyspace, db, slot, is_in_other, both);
    }
}

static void save(void) {
    struct buffer error = BUFFER_EMPTY;
    struct snapshot_origin origin = {"0123456789012345678901234567890123456789", 987654321, 7};
    if (!snapshot_save(keyspace, path, &origin, &error)) fail_msg("%s", buffer_string(&error));
    assert_int_equal(error.size, 0);
}

static void what_is_saved_is_loaded(void **state) {
    fill();
    for (int plain = 0; plain < 2; plain++) {
        settings.rdb_compression = settings.rdb_checksum = !plain;
        save();
        struct keyspace *other = keyspace_create(16);
        struct snapshot_loaded loaded;
        snapshot_load(other, path, false, false, &loaded);
        assert_string_equal(loaded.error, "");
        assert_true(loaded.ok);
        assert_int_equal(loaded.keys, 203);
        assert_string_equal(loaded.replication_id, "0123456789012345678901234567890123456789");
        assert_int_equal(loaded.offset, 987654321);
        assert_int_equal(loaded.stream_db, 7);
        expect_same(other);
        struct snapshot_progress progress;
        snapshot_progress(&progress);
        assert_int_equal(progress.loaded_keys, 203);
        assert_int_equal(progress.loaded_bytes, progress.total_bytes);
        keyspace_destroy(other);
    }
}

static void uses_are_saved_where_eviction_wants_them(void **state) {
    struct bytes key = BYTES("k");
    uint64_t hash = hash_bytes(key.data, key.size);
    struct snapshot_loaded loaded;
    for (int lfu = 0; lfu < 2; lfu++) {
        settings.maxmemory_policy = lfu ? POLICY_ALLKEYS_LFU : POLICY_VOLATILE_LRU;
        keyspace_access(keyspace)->lfu = lfu;
        set(0, "k", BYTES("v"), NO_EXPIRY);
        struct entry *entry = keyspace_find(keyspace, 0, hash_slot(key), hash, key);
        if (lfu)
            access_set_frequency(entry, 77, now);
        else
            access_set_idle(entry, 4321, now);
        save();
        struct keyspace *other = keyspace_create(16);
        keyspace_access(other)->lfu = lfu;
        snapshot_load(other, path, false, false, &loaded);
        assert_true(loaded.ok);
        entry = keyspace_find(other, 0, hash_slot(key), hash, key);
        if (lfu)
            assert_in_range(access_frequency(keyspace_access(other), entry, now), 76, 77);
        else
            assert_in_range(access_idle_seconds(entry, now), 4320, 4325);
        keyspace_destroy(other);
    }
}

static void the_expired_stay_out_unless_a_primary_decides(void **state) {
    set(0, "old", BYTES("v"), now - 1000);
    set(0, "young", BYTES("v"), now + 1000000);
    save();
    for (int keep = 0; keep < 2; keep++) {
        struct keyspace *other = keyspace_create(16);
        struct snapshot_loaded loaded;
        snapshot_load(other, path, keep, false, &loaded);
        assert_true(loaded.ok);
        assert_int_equal(loaded.keys, 1 + keep);
        assert_int_equal(loaded.expired, 1 - keep);
        assert_int_equal(keyspace_count(other, 0), 1 + keep);
        keyspace_destroy(other);
    }
}

static void expect_refused(const char *file, const char *words) {
    struct keyspace *other = keyspace_create(16);
    struct snapshot_loaded loaded;
    snapshot_load(other, file, false, false, &loaded);
    assert_false(loaded.ok);
    assert_true(strlen(loaded.error) > 0);
    if (!strstr(loaded.error, words)) fail_msg("'%s' does not say '%s'", loaded.error, words);
    keyspace_destroy(other);
}

static void a_file_that_ends_early_is_refused_wherever_it_ends(void **state) {
    set(0, "a", BYTES("value"), now + 100000);
    set(3, "b", BYTES("12"), NO_EXPIRY);
    save();
    int64_t size = file_size(path);
    for (int64_t left = size - 1; left >= 0; left--) {
        assert_int_equal(truncate(path, left), 0);
        expect_refused(path, "");
    }
}

static void a_changed_byte_is_found_by_the_checksum(void **state) {
    set(0, "a", BYTES("value"), NO_EXPIRY);
    save();
    FILE *file = fopen(path, "r+");
    fseek(file, -12, SEEK_END);
    int byte = fgetc(file);
    fseek(file, -12, SEEK_END);
    fputc(byte ^ 1, file);
    fclose(file);
    expect_refused(path, "");
}

static void what_is_not_there_or_foreign_is_named(void **state) {
    expect_refused(path, "No such file");
    expect_refused(folder, "");
    FILE *file = fopen(path, "w");
    fputs("#!/bin/sh\necho this is no snapshot, but long enough to look like one\n", file);
    fclose(file);
    expect_refused(path, "");
}

static void a_database_too_many_is_refused(void **state) {
    set(15, "k", BYTES("v"), NO_EXPIRY);
    save();
    struct keyspace *small = keyspace_create(4);
    struct snapshot_loaded loaded;
    snapshot_load(small, path, false, false, &loaded);
    assert_false(loaded.ok);
    assert_non_null(strstr(loaded.error, "database"));
    keyspace_destroy(small);
}

static void a_full_disk_leaves_the_former_file(void **state) {
    set(0, "k", BYTES("former"), NO_EXPIRY);
    save();
    int64_t former = file_size(path);
    char large[500], name[32];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "key:%d", i);
        for (size_t j = 0; j < sizeof large; j++)
            large[j] = (char)(i * 17 + (int)j * (int)j); // does not compress away
        set(0, name, bytes_of(large, sizeof large), NO_EXPIRY);
    }
    struct rlimit before, tight;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    tight = (struct rlimit){10000, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &tight);
    struct buffer error = BUFFER_EMPTY;
    struct snapshot_origin origin = {NULL, 0, 0};
    bool saved = snapshot_save(keyspace, path, &origin, &error);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_false(saved);
    assert_non_null(strstr(buffer_string(&error), "File too large"));
    assert_int_equal(file_size(path), former);
    buffer_free(&error);
}

static void a_folder_that_is_not_there_is_named(void **state) {
    struct buffer error = BUFFER_EMPTY;
    struct snapshot_origin origin = {NULL, 0, 0};
    assert_false(snapshot_save(keyspace, "/nonexistent-folder/dump.rdb", &origin, &error));
    assert_non_null(strstr(buffer_string(&error), "No such file or directory"));
    error.size = 0;
    char inside[160];
    snprintf(inside, sizeof inside, "%s/file/dump.rdb", folder);
    assert_false(snapshot_save(keyspace, inside, &origin, &error));
    buffer_free(&error);
}

static bool wait_for_child(void) {
    enum snapshot_purpose purpose;
    bool ok = false;
    int64_t deadline = clock_mono_ms() + 60000;
    while (!snapshot_poll(&purpose, &ok)) {
        assert_true(clock_mono_ms() < deadline);
        clock_sleep_us(2000);
    }
    assert_int_equal(purpose, SNAPSHOT_FOR_REPLICAS);
    assert_false(snapshot_running(NULL));
    return ok;
}

static void a_child_saves_what_was_there_when_it_was_born(void **state) {
    fill();
    struct buffer error = BUFFER_EMPTY;
    struct snapshot_origin origin = {NULL, 0, 0};
    enum snapshot_purpose purpose;
    bool ok;
    assert_false(snapshot_poll(&purpose, &ok));
    assert_true(snapshot_start(keyspace, path, &origin, SNAPSHOT_FOR_REPLICAS, &error));
    assert_true(snapshot_running(&purpose));
    assert_int_equal(purpose, SNAPSHOT_FOR_REPLICAS);
    assert_false(snapshot_start(keyspace, path, &origin, SNAPSHOT_FOR_DISK, &error));
    assert_string_equal(buffer_string(&error), "Background save already in progress");
    buffer_free(&error);
    set(0, "later", BYTES("v"), NO_EXPIRY);
    assert_true(wait_for_child());
    struct keyspace *other = keyspace_create(16);
    struct snapshot_loaded loaded;
    snapshot_load(other, path, false, false, &loaded);
    assert_true(loaded.ok);
    assert_int_equal(loaded.keys, 203);
    assert_string_equal(loaded.replication_id, "");
    keyspace_destroy(other);
}

static void fill_much(void) {
    char *large = mem_alloc(1 << 20);
    char name[32];
    for (int i = 0; i < 40; i++) {
        for (unsigned j = 0; j < 1 << 20; j++)
            large[j] = (char)((unsigned)i + j * j / 7);
        snprintf(name, sizeof name, "key:%d", i);
        set(0, name, bytes_of(large, 1 << 20), NO_EXPIRY);
    }
    mem_free(large);
}

static char beside[160];

// A child at its work.
static void start_child(void) {
    struct buffer error = BUFFER_EMPTY;
    struct snapshot_origin origin = {NULL, 0, 0};
    assert_true(snapshot_start(keyspace, path, &origin, SNAPSHOT_FOR_REPLICAS, &error));
    snprintf(beside, sizeof beside, "%s.temp-%d", path, snapshot_child());
    for (int i = 0; i < 5000 && !file_exists(beside) && !file_exists(path); i++)
        clock_sleep_us(1000);
}

static void a_child_that_is_killed_leaves_nothing(void **state) {
    fill_much();
    start_child();
    process_kill(snapshot_child());
    if (!wait_for_child()) assert_false(file_exists(path));
    assert_false(file_exists(beside));
}

static void an_abandoned_child_is_gone_at_once(void **state) {
    enum snapshot_purpose purpose;
    bool ok;
    snapshot_abandon(); // nothing happens when there is none
    fill_much();
    start_child();
    int pid = snapshot_child();
    snapshot_abandon();
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    assert_false(file_exists(beside));
    assert_false(snapshot_running(NULL));
    assert_false(snapshot_poll(&purpose, &ok));
}

static _Atomic int loads_ended;

static void load_ended(void *context, const struct snapshot_loaded *loaded) {
    *(struct snapshot_loaded *)context = *loaded;
    loads_ended++;
}

// Last of all: what is stopped loads no more.
static void a_load_is_broken_off(void **state) {
    struct keyspace *other = keyspace_create(16);
    struct snapshot_loaded loaded;
    fill();
    save();
    slot_lock_add_threads(other, 1);
    snapshot_load_start(other, path, false, load_ended, &loaded);
    while (!loads_ended)
        clock_sleep_us(1000);
    assert_true(loaded.ok);
    keyspace_clear(other, 0);
    keyspace_clear(other, 7);
    keyspace_clear(other, 15);
    fill_much();
    save();
    snapshot_load_start(other, path, false, load_ended, &loaded);
    snapshot_load_stop();
    assert_int_equal(loads_ended, 2); // its thread has been joined
    if (!loaded.ok) assert_non_null(strstr(loaded.error, "the server ends"));
    snapshot_load_start(other, path, false, load_ended, &loaded);
    snapshot_load_stop();
    assert_int_equal(loads_ended, 3);
    assert_false(loaded.ok);
    keyspace_destroy(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_saved_is_loaded, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(uses_are_saved_where_eviction_wants_them, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(the_expired_stay_out_unless_a_primary_decides, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(a_file_that_ends_early_is_refused_wherever_it_ends, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(a_changed_byte_is_found_by_the_checksum, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(what_is_not_there_or_foreign_is_named, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(a_database_too_many_is_refused, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_the_former_file, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(a_folder_that_is_not_there_is_named, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(a_child_saves_what_was_there_when_it_was_born, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(a_child_that_is_killed_leaves_nothing, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(an_abandoned_child_is_gone_at_once, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(a_load_is_broken_off, open_folder, close_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
