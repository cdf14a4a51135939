// The keyspace: what is set is what is found, in every encoding; expiry, swap, watches, counts; what an entry costs.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/prng.h"
#include "keyspace/access.h"
#include "keyspace/keyspace.h"
#include "keyspace/slot_lock.h"

enum { NOW = 1000000 };

static struct keyspace *keyspace;

static int open_keyspace(void **state) {
    hash_set_seed(3);
    keyspace = keyspace_create(16);
    return 0;
}

static int close_keyspace(void **state) {
    keyspace_destroy(keyspace);
    return 0;
}

static uint64_t hash_of(struct bytes key) {
    return hash_bytes(key.data, key.size);
}

static struct entry *find(unsigned db, struct bytes key) {
    return keyspace_find(keyspace, db, hash_slot(key), hash_of(key), key);
}

static struct entry *set(unsigned db, struct bytes key, struct bytes value, int64_t expire_ms) {
    return keyspace_set_string(keyspace, db, hash_slot(key), hash_of(key), key, value, expire_ms, NOW);
}

static bool take_out(unsigned db, struct bytes key) {
    return keyspace_remove(keyspace, db, hash_slot(key), hash_of(key), key);
}

static void expect(unsigned db, struct bytes key, struct bytes value, int64_t expire_ms) {
    char scratch[NUMBER_TEXT_MAX];
    struct entry *entry = find(db, key);
    assert_non_null(entry);
    assert_true(bytes_equal(entry_key(entry), key));
    struct bytes found = entry_string(entry, scratch);
    assert_int_equal(found.size, value.size);
    assert_true(bytes_equal(found, value));
    assert_int_equal(entry_string_size(entry), value.size);
    assert_int_equal(entry_expiry(entry), expire_ms);
}

static void every_size_replaces_every_other(void **state) {
    static const size_t sizes[] = {0, 1, 7, 8, 9, 44, 45, 511, 512, 513, 1000, 100000};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    struct bytes key = BYTES("key");
    char *from = mem_alloc(100000), *to = mem_alloc(100000);
    memset(from, 'f', 100000);
    memset(to, 't', 100000);
    for (int i = 0; i < SIZES * SIZES * 4; i++) {
        int64_t before = i & 1 ? 777 : NO_EXPIRY, after = i & 2 ? 888 : NO_EXPIRY;
        struct bytes first = bytes_of(from, sizes[i / 4 % SIZES]), second = bytes_of(to, sizes[i / 4 / SIZES]);
        assert_non_null(set(0, key, first, before));
        expect(0, key, first, before);
        assert_non_null(set(0, key, second, after));
        expect(0, key, second, after);
        assert_int_equal(keyspace_count(keyspace, 0), 1);
        assert_int_equal(keyspace_count_expiring(keyspace, 0), after != NO_EXPIRY);
    }
    mem_free(from);
    mem_free(to);
}

static void what_is_kept_is_a_copy(void **state) {
    char key[] = "key", value[600];
    for (size_t size = 5; size <= sizeof value; size += 595) {
        memset(value, 'v', sizeof value);
        set(0, bytes_of(key, 3), bytes_of(value, size), NO_EXPIRY);
        memset(value, 'x', sizeof value);
        key[0] = 'K';
        char expected[600], scratch[NUMBER_TEXT_MAX];
        memset(expected, 'v', sizeof expected);
        struct bytes kept = entry_string(find(0, BYTES("key")), scratch);
        assert_true(bytes_equal(kept, bytes_of(expected, size)));
        key[0] = 'k';
    }
}

static void integers_are_kept_as_such(void **state) {
    static const struct {
        const char *text;
        const char *encoding;
    } cases[] = {{"0", "int"},        {"-1", "int"},   {"9223372036854775807", "int"},  {"-9223372036854775808", "int"},
                 {"01", "embstr"},    {"-0", "embstr"}, {"9223372036854775808", "embstr"}, {" 1", "embstr"},
                 {"1.0", "embstr"},   {"+1", "embstr"}, {"", "embstr"},                    {"-", "embstr"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes value = bytes_from_string(cases[i].text);
        struct entry *entry = set(0, BYTES("n"), value, NO_EXPIRY);
        assert_string_equal(entry_encoding_name(entry), cases[i].encoding);
        expect(0, BYTES("n"), value, NO_EXPIRY);
    }
    set(0, BYTES("n"), BYTES("long enough to be another size"), 999);
    keyspace_set_integer(keyspace, 0, hash_slot(BYTES("n")), hash_of(BYTES("n")), BYTES("n"), -42, NOW);
    expect(0, BYTES("n"), BYTES("-42"), 999); // the expiry stays
}

static void a_shared_blob_is_never_written(void **state) {
    char value[2000], *data;
    struct bytes key = BYTES("key");
    memset(value, 'v', sizeof value);
    struct entry *entry = set(0, key, bytes_of(value, sizeof value), NO_EXPIRY);
    assert_int_equal(entry->encoding, ENCODING_BLOB);
    struct blob *held = blob_share(entry_blob(entry));
    assert_non_null(keyspace_open_string(keyspace, 0, hash_slot(key), hash_of(key), key, 10, NOW, &data));
    data[0] = 'X';
    assert_true(bytes_equal(blob_bytes(held), bytes_of(value, sizeof value)));
    assert_int_equal(entry_string_size(find(0, key)), sizeof value);
    assert_int_equal(entry_blob(find(0, key))->data[0], 'X');
    assert_true(take_out(0, key));
    assert_true(bytes_equal(blob_bytes(held), bytes_of(value, sizeof value)));
    blob_release(held);
}

static void opening_widens_with_zeroes_and_keeps_the_rest(void **state) {
    static const size_t sizes[] = {3, 20, 512, 513, 700, 5000, 4};
    struct bytes key = BYTES("key");
    char *data, twin[5000] = "";
    size_t size = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct entry *entry = keyspace_open_string(keyspace, 0, hash_slot(key), hash_of(key), key, sizes[i], NOW, &data);
        assert_non_null(entry);
        if (sizes[i] > size) size = sizes[i];
        data[i] = twin[i] = (char)('a' + i);
        data[size - 1] = twin[size - 1] = (char)('A' + i);
        expect(0, key, bytes_of(twin, size), NO_EXPIRY);
        assert_string_equal(entry_encoding_name(entry), "raw");
    }
    set(0, key, BYTES("12345"), 4444);
    assert_non_null(keyspace_open_string(keyspace, 0, hash_slot(key), hash_of(key), key, 0, NOW, &data));
    data[0] = '9';
    expect(0, key, BYTES("92345"), 4444);
    assert_string_equal(entry_encoding_name(find(0, key)), "raw");
}

static void expiry_comes_and_goes_without_the_value(void **state) {
    char large[1000];
    memset(large, 'l', sizeof large);
    struct bytes key = BYTES("key"), values[] = {BYTES("text"), BYTES("17"), bytes_of(large, sizeof large)};
    for (int i = 0; i < 3; i++) {
        set(0, key, values[i], NO_EXPIRY);
        static const int64_t times[] = {5000, 6000, NO_EXPIRY, NO_EXPIRY, 1};
        for (size_t j = 0; j < sizeof times / sizeof *times; j++) {
            struct entry *entry = keyspace_set_expiry(keyspace, 0, hash_slot(key), hash_of(key), key, times[j]);
            assert_ptr_equal(entry, find(0, key));
            expect(0, key, values[i], times[j]);
            assert_int_equal(keyspace_count_expiring(keyspace, 0), times[j] != NO_EXPIRY);
        }
    }
    assert_null(keyspace_set_expiry(keyspace, 0, hash_slot(BYTES("no")), hash_of(BYTES("no")), BYTES("no"), 5));
}

static void databases_are_apart_and_swap(void **state) {
    set(0, BYTES("k"), BYTES("zero"), NO_EXPIRY);
    set(1, BYTES("k"), BYTES("one"), NO_EXPIRY);
    set(1, BYTES("j"), BYTES("more"), 99);
    assert_null(find(2, BYTES("k")));
    static const unsigned swaps[][2] = {{0, 1}, {1, 2}, {2, 2}, {0, 2}};
    unsigned where_zero = 0, where_one = 1;
    for (size_t i = 0; i < 4; i++) {
        unsigned a = swaps[i][0], b = swaps[i][1];
        uint64_t swaps_before = keyspace_swaps(keyspace);
        keyspace_swap(keyspace, a, b);
        assert_int_equal(keyspace_swaps(keyspace) - swaps_before, a != b);
        where_zero = where_zero == a ? b : where_zero == b ? a : where_zero;
        where_one = where_one == a ? b : where_one == b ? a : where_one;
        expect(where_zero, BYTES("k"), BYTES("zero"), NO_EXPIRY);
        expect(where_one, BYTES("k"), BYTES("one"), NO_EXPIRY);
        assert_int_equal(keyspace_count(keyspace, where_one), 2);
        assert_int_equal(keyspace_count(keyspace, 3 - where_zero - where_one), 0);
        assert_int_equal(keyspace_slot_count(keyspace, hash_slot(BYTES("k"))), 2);
    }
    keyspace_clear(keyspace, where_one);
    assert_int_equal(keyspace_count(keyspace, where_one), 0);
    expect(where_zero, BYTES("k"), BYTES("zero"), NO_EXPIRY);
}

static void a_detached_database_is_empty_at_once(void **state) {
    for (int i = 0; i < 1000; i++) {
        char name[16];
        set(0, bytes_of(name, (size_t)sprintf(name, "k%d", i)), BYTES("v"), i % 2 ? 5 : NO_EXPIRY);
    }
    assert_int_equal(keyspace_count(keyspace, 0), 1000);
    assert_int_equal(keyspace_count_expiring(keyspace, 0), 500);
    assert_true(keyspace_table_memory(keyspace, 0) > 0);
    struct detached *detached = keyspace_detach(keyspace, 0);
    assert_int_equal(keyspace_count(keyspace, 0), 0);
    assert_int_equal(keyspace_table_memory(keyspace, 0), 0);
    set(0, BYTES("k1"), BYTES("new"), NO_EXPIRY);
    keyspace_free_detached(detached);
    keyspace_free_detached(keyspace_detach(keyspace, 5)); // one that was never written
    expect(0, BYTES("k1"), BYTES("new"), NO_EXPIRY);
}

static void watches_are_marked_by_their_key_only(void **state) {
    unsigned slot = hash_slot(BYTES("{t}a"));
    atomic_bool a_changed = false, b_changed = false, other_changed = false;
    struct watch a = {.db = 0, .slot = slot, .key = BYTES("{t}a"), .changed = &a_changed},
                 b = {.db = 0, .slot = slot, .key = BYTES("{t}b"), .changed = &b_changed},
                 other = {.db = 1, .slot = slot, .key = BYTES("{t}a"), .changed = &other_changed};
    keyspace_watch(keyspace, &a);
    keyspace_watch(keyspace, &b);
    keyspace_watch(keyspace, &other);
    keyspace_touched(keyspace, 0, slot, BYTES("{t}a"));
    assert_true(a_changed);
    assert_false(b_changed);
    assert_false(other_changed);
    // All of a database: only keys that are there have changed.
    set(0, BYTES("{t}b"), BYTES("v"), NO_EXPIRY);
    keyspace_touched_all(keyspace, 1);
    assert_false(other_changed);
    keyspace_touched_all(keyspace, 0);
    assert_true(b_changed);
    keyspace_unwatch(keyspace, &a);
    keyspace_unwatch(keyspace, &b);
    b_changed = false;
    keyspace_touched(keyspace, 0, slot, BYTES("{t}b"));
    assert_false(b_changed);
    keyspace_unwatch(keyspace, &other);
    keyspace_touched(keyspace, 1, slot, BYTES("{t}a"));
    assert_false(other_changed);
}

static void out_of_memory_changes_nothing(void **state) {
    char large[1000];
    memset(large, 'l', sizeof large);
    struct bytes values[] = {BYTES("short"), bytes_of(large, 300), bytes_of(large, sizeof large)};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            if (i == j) continue;
            set(0, BYTES("k"), values[i], 12);
            mem_fail_after(1);
            struct entry *entry = set(0, BYTES("k"), values[j], NO_EXPIRY);
            mem_fail_after(0);
            if (!entry) expect(0, BYTES("k"), values[i], 12);
            assert_int_equal(keyspace_count(keyspace, 0), 1);
        }
    mem_fail_after(1);
    assert_null(set(0, BYTES("absent"), BYTES("v"), NO_EXPIRY));
    mem_fail_after(0);
    assert_null(find(0, BYTES("absent")));
}

static void an_everyday_entry_is_one_small_block(void **state) {
    struct entry *entry = set(0, BYTES("0123456789abcdef"), BYTES("0123456789abcdef0123456789abcdeX"), NO_EXPIRY);
    assert_int_equal(ENTRY_HEADER_SIZE + 16 + 32, 60);
    assert_int_equal(sizeof(struct entry), ENTRY_HEADER_SIZE);
#ifdef SHOAL_JEMALLOC
    assert_int_equal(entry_memory(entry), 64);
#else
    assert_true(entry_memory(entry) <= 72);
#endif
}

static void lru_counts_seconds_of_a_day_that_wraps(void **state) {
    struct entry *entry = set(0, BYTES("k"), BYTES("v"), NO_EXPIRY);
    assert_int_equal(access_idle_seconds(entry, NOW + 5999), 5);
    keyspace_use(keyspace, entry, NOW + 5000);
    assert_int_equal(access_idle_seconds(entry, NOW + 5000), 0);
    access_set_idle(entry, 1234, NOW);
    assert_int_equal(access_idle_seconds(entry, NOW), 1234);
    int64_t wrap = 1000ll << 24; // seconds modulo 2^24 begin anew
    keyspace_use(keyspace, entry, wrap - 1000);
    assert_int_equal(access_idle_seconds(entry, wrap + 4000), 5);
}

static void lfu_grows_ever_more_seldom_and_decays(void **state) {
    struct keyspace_access *how = keyspace_access(keyspace);
    *how = (struct keyspace_access){.lfu = true, .log_factor = 10, .decay_time = 1};
    struct entry *entry = set(0, BYTES("k"), BYTES("v"), NO_EXPIRY);
    assert_int_equal(access_frequency(how, entry, NOW), 5);
    keyspace_use(keyspace, entry, NOW); // at the start each use counts
    assert_int_equal(access_frequency(how, entry, NOW), 6);
    for (int i = 0; i < 1000; i++)
        keyspace_use(keyspace, entry, NOW);
    unsigned thousand = access_frequency(how, entry, NOW);
    assert_in_range(thousand, 12, 30); // Redis documents 18 for a thousand hits
    for (int i = 0; i < 99000; i++)
        keyspace_use(keyspace, entry, NOW);
    assert_in_range(access_frequency(how, entry, NOW), 100, 190); // and 142 for a hundred thousand
    access_set_frequency(entry, 200, NOW);
    assert_int_equal(access_frequency(how, entry, NOW + 60000), 199);
    assert_int_equal(access_frequency(how, entry, NOW + 300 * 60000), 0);
    how->decay_time = 0;
    assert_int_equal(access_frequency(how, entry, NOW + 300 * 60000), 200);
    how->log_factor = 0;
    for (int i = 0; i < 300; i++)
        keyspace_use(keyspace, entry, NOW);
    assert_int_equal(access_frequency(how, entry, NOW), 255);
}

static void count_visit(void *context, struct entry *entry) {
    ++*(unsigned *)context;
}

static void slots_are_walked_apart(void **state) {
    for (int i = 0; i < 100; i++) {
        char name[24];
        set(0, bytes_of(name, (size_t)sprintf(name, "{a}%d", i)), BYTES("v"), NO_EXPIRY);
        set(3, bytes_of(name, (size_t)sprintf(name, "{a}%d", i)), BYTES("v"), 5);
        set(0, bytes_of(name, (size_t)sprintf(name, "{b}%d", i)), BYTES("v"), NO_EXPIRY);
    }
    unsigned slot = hash_slot(BYTES("{a}")), seen = 0;
    uint64_t cursor = 0;
    do
        cursor = keyspace_slot_scan(keyspace, 0, slot, cursor, count_visit, &seen);
    while (cursor);
    assert_int_equal(seen, 100);
    assert_int_equal(keyspace_slot_count(keyspace, slot), 200);
    assert_int_equal(keyspace_slot_count_in(keyspace, 3, slot), 100);
    assert_int_equal(keyspace_slot_count_expiring_in(keyspace, 3, slot), 100);
    assert_null(keyspace_slot_random(keyspace, 0, slot, 1, true));
    assert_non_null(keyspace_slot_random(keyspace, 3, slot, 1, true));
    keyspace_slot_clear(keyspace, slot);
    assert_int_equal(keyspace_slot_count(keyspace, slot), 0);
    assert_int_equal(keyspace_count(keyspace, 0), 100);
    assert_int_equal(keyspace_count(keyspace, 3), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_size_replaces_every_other, open_keyspace, close_keyspace),
        cmocka_unit_test_setup_teardown(what_is_kept_is_a_copy, open_keyspace, close_keyspace),
        cmocka_unit_test_setup_teardown(integers_are_kept_as_such, open_keyspace, close_keyspace),
        cmocka_unit_test_setup_teardown(a_shared_blob_is_never_written, open_keyspace, close_keyspace),
        cmocka_unit_test_setup_teardown(opening_widens_with_zeroes_and_keeps_the_rest, open_keyspace, close_keyspace),
        cmocka_unit_test_setup_teardown(expiry_comes_and_goes_without_the_value, open_keyspace, close_keyspace),
        cmocka_unit_test_setup_teardown(databases_are_apart_and_swap, open_keyspace, close_keyspace),
        cmocka_unit_test_setup_teardown(a_detached_database_is_empty_at_once, open_keyspace, close_keyspace),
        cmocka_unit_test_setup_teardown(watches_are_marked_by_their_key_only, open_keyspace, close_keyspace),
        cmocka_unit_test_setup_teardown(out_of_memory_changes_nothing, open_keyspace, close_keyspace),
        cmocka_unit_test_setup_teardown(an_everyday_entry_is_one_small_block, open_keyspace, close_keyspace),
        cmocka_unit_test_setup_teardown(lru_counts_seconds_of_a_day_that_wraps, open_keyspace, close_keyspace),
        cmocka_unit_test_setup_teardown(lfu_grows_ever_more_seldom_and_decays, open_keyspace, close_keyspace),
        cmocka_unit_test_setup_teardown(slots_are_walked_apart, open_keyspace, close_keyspace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
