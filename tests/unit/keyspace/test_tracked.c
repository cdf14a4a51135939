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
#include "base/prng.h"
#include "keyspace/keyspace.h"
#include "keyspace/tracked.h"

enum { KEYS = 60, READERS = 40 };

// The naive twin: who has read which key.
static bool twin[KEYS][READERS];

static struct bytes name_of(unsigned key, char *room) {
    return bytes_of(room, (size_t)sprintf(room, key ? "key:%u" : "", key)); // one of them is empty
}

static unsigned twin_readers(unsigned key) {
    unsigned count = 0;
    for (unsigned i = 0; i < READERS; i++)
        count += twin[key][i];
    return count;
}

static unsigned twin_keys(void) {
    unsigned count = 0;
    for (unsigned i = 0; i < KEYS; i++)
        count += twin_readers(i) != 0;
    return count;
}

static void is_like_the_twin(unsigned key, const struct tracked_key *taken) {
    assert_int_equal(taken->count, twin_readers(key));
    unsigned seen = 0;
    TRACKED_EACH_READER(reader, taken) {
        assert_true(reader >= 1 && reader <= READERS && twin[key][reader - 1]);
        seen++;
    }
    assert_int_equal(seen, taken->count);
}

static void forget(unsigned key) {
    memset(twin[key], 0, sizeof twin[key]);
}

static void add(struct tracked_table *table, unsigned key, unsigned reader) {
    char room[32];
    struct bytes name = name_of(key, room);
    struct tracked_added added = tracked_add(table, hash_bytes(name.data, name.size), name, reader + 1);
    assert_int_equal(added.key, twin_readers(key) == 0);
    assert_int_equal(added.reader, !twin[key][reader]);
    twin[key][reader] = true;
}

static void take(struct tracked_table *table, unsigned key) {
    char room[32];
    struct bytes name = name_of(key, room);
    struct tracked_key *taken = tracked_take(table, hash_bytes(name.data, name.size), name);
    assert_int_equal(taken != NULL, twin_readers(key) != 0);
    if (!taken) return;
    assert_true(bytes_equal(tracked_key_bytes(taken), name));
    is_like_the_twin(key, taken);
    tracked_key_free(taken);
    forget(key);
}

static unsigned number_of(struct bytes name) {
    char room[32];
    for (unsigned i = 0; i < KEYS; i++)
        if (bytes_equal(name_of(i, room), name)) return i;
    fail();
    return 0;
}

static void take_any(struct tracked_table *table, uint64_t random) {
    struct tracked_key *taken = tracked_take_any(table, random);
    assert_int_equal(taken != NULL, twin_keys() != 0);
    if (!taken) return;
    unsigned key = number_of(tracked_key_bytes(taken));
    is_like_the_twin(key, taken);
    tracked_key_free(taken);
    forget(key);
}

static void remembers_what_a_naive_twin_does(void **state) {
    struct tracked_table table = {0};
    struct prng prng;
    prng_seed(&prng, 7);
    memset(twin, 0, sizeof twin);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned key = (unsigned)prng_below(&prng, KEYS);
        switch (prng_below(&prng, 30)) {
        case 0: take(&table, key); break;
        case 1: take_any(&table, prng_next(&prng)); break;
        default: add(&table, key, (unsigned)prng_below(&prng, READERS));
        }
        assert_int_equal(table.count, twin_keys());
    }
    tracked_table_free(&table);
    assert_null(tracked_take_any(&table, 1));
}

// --- In a keyspace: what the ear hears.

static unsigned heard, heard_readers, heard_alone, flushes;
static char heard_key[32];

static void hear_change(struct bytes key, struct tracked_key *read, bool broadcasting, bool by_itself) {
    heard++;
    heard_alone += by_itself;
    memcpy(heard_key, key.data, key.size);
    heard_key[key.size] = '\0';
    if (!read) {
        assert_true(broadcasting);
        return;
    }
    assert_true(bytes_equal(tracked_key_bytes(read), key));
    heard_readers += read->count;
    tracked_key_free(read);
}

static void hear_flush(void) {
    flushes++;
}

static void track(struct keyspace *keyspace, const char *key, uint64_t reader) {
    struct bytes name = bytes_from_string(key);
    keyspace_track(keyspace, hash_slot(name), hash_bytes(name.data, name.size), name, reader);
}

static void touch(struct keyspace *keyspace, unsigned db, const char *key) {
    struct bytes name = bytes_from_string(key);
    keyspace_touched(keyspace, db, hash_slot(name), name);
}

static struct keyspace *listening(void) {
    static const struct keyspace_ear ear = {hear_change, hear_flush};
    struct keyspace *keyspace = keyspace_create(2);
    keyspace_set_ear(keyspace, &ear);
    heard = heard_readers = heard_alone = flushes = 0;
    return keyspace;
}

static void tells_a_change_once_whatever_the_database(void **state) {
    struct keyspace *keyspace = listening();
    track(keyspace, "a", 1);
    track(keyspace, "a", 2);
    track(keyspace, "a", 2);
    track(keyspace, "b", 1);
    assert_int_equal(keyspace_tracked_keys(keyspace), 2);
    assert_int_equal(keyspace_tracked_readers(keyspace), 3);
    touch(keyspace, 0, "c");
    assert_int_equal(heard, 0);
    touch(keyspace, 1, "a");
    touch(keyspace, 0, "a");
    assert_int_equal(heard, 1);
    assert_int_equal(heard_readers, 2);
    assert_string_equal(heard_key, "a");
    keyspace_vanished(keyspace, 0, hash_slot(BYTES("b")), BYTES("b"));
    assert_int_equal(heard_alone, 1);
    assert_int_equal(keyspace_tracked_keys(keyspace), 0);
    assert_int_equal(keyspace_tracked_readers(keyspace), 0);
    keyspace_destroy(keyspace);
}

static void tells_every_change_while_broadcasting(void **state) {
    struct keyspace *keyspace = listening();
    keyspace_set_broadcasting(keyspace, true);
    touch(keyspace, 0, "a");
    keyspace_set_broadcasting(keyspace, false);
    touch(keyspace, 0, "a");
    assert_int_equal(heard, 1);
    keyspace_destroy(keyspace);
}

static void a_watch_and_readers_share_a_slot(void **state) {
    struct keyspace *keyspace = listening();
    atomic_bool changed = false;
    struct watch watch = {.db = 0, .slot = hash_slot(BYTES("a")), .key = BYTES("a"), .changed = &changed};
    keyspace_watch(keyspace, &watch);
    track(keyspace, "a", 1);
    touch(keyspace, 0, "a");
    assert_true(changed);
    assert_int_equal(heard_readers, 1);
    track(keyspace, "a", 1);
    keyspace_unwatch(keyspace, &watch);
    touch(keyspace, 0, "a");
    assert_int_equal(heard_readers, 2);
    keyspace_destroy(keyspace);
}

static void finds_the_slots_that_track(void **state) {
    struct keyspace *keyspace = listening();
    assert_int_equal(keyspace_tracked_slot(keyspace, 5), HASH_SLOTS);
    track(keyspace, "a", 1); // 15495
    track(keyspace, "b", 1); // 3300
    assert_int_equal(keyspace_tracked_slot(keyspace, 0), hash_slot(BYTES("b")));
    assert_int_equal(keyspace_tracked_slot(keyspace, 3301), hash_slot(BYTES("a")));
    assert_int_equal(keyspace_tracked_slot(keyspace, 15496), hash_slot(BYTES("b")));
    struct tracked_key *taken = keyspace_untrack_any(keyspace, hash_slot(BYTES("b")), 99);
    assert_true(bytes_equal(tracked_key_bytes(taken), BYTES("b")));
    tracked_key_free(taken);
    assert_int_equal(keyspace_tracked_slot(keyspace, 0), hash_slot(BYTES("a")));
    keyspace_flushed(keyspace);
    assert_int_equal(flushes, 1);
    assert_int_equal(keyspace_tracked_keys(keyspace), 0);
    assert_int_equal(keyspace_tracked_slot(keyspace, 0), HASH_SLOTS);
    keyspace_destroy(keyspace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remembers_what_a_naive_twin_does),
        cmocka_unit_test(tells_a_change_once_whatever_the_database),
        cmocka_unit_test(tells_every_change_while_broadcasting),
        cmocka_unit_test(a_watch_and_readers_share_a_slot),
        cmocka_unit_test(finds_the_slots_that_track),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
