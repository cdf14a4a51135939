// The table against a naive twin: an array that knows of each key whether it is there and whether it expires.
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
#include "base/prng.h"
#include "keyspace/bucket.h"
#include "keyspace/table.h"

enum { KEYS = 12000, NAME_ROOM = 48 }; // enough for arrays that are moved step by step, up and down

static struct {
    struct table table;
    struct entry *twin[KEYS]; // what the table should hold, or NULL
    unsigned count, expiring;
    unsigned seen[KEYS];
    struct prng prng;
} world;

static int open_world(void **state) {
    memset(&world, 0, sizeof world);
    prng_seed(&world.prng, 11);
    hash_set_seed(5);
    return 0;
}

static void free_entry(struct entry *entry) {
    mem_free(entry);
}

static int close_world(void **state) {
    table_clear(&world.table, free_entry);
    return 0;
}

static struct bytes name_of(unsigned number, char *room) {
    return bytes_of(room,
                    (size_t)sprintf(room, "key:%0*u", (int)(number % 36), number)); // of all everyday lengths
}

static unsigned number_of(const struct entry *entry) {
    unsigned number;
    char room[NAME_ROOM];
    struct bytes key = entry_key(entry);
    memcpy(room, key.data, key.size);
    room[key.size] = '\0';
    assert_int_equal(sscanf(room, "key:%u", &number), 1);
    return number;
}

static struct entry *make(unsigned number, bool expires) {
    char room[NAME_ROOM];
    struct bytes key = name_of(number, room);
    struct entry *entry = mem_calloc(1, ENTRY_HEADER_SIZE + 8 + key.size);
    entry->has_expiry = expires;
    entry->key_size = (uint32_t)key.size;
    memcpy((char *)entry__key_data(entry), key.data, key.size);
    return entry;
}

static uint64_t *find(unsigned number) {
    char room[NAME_ROOM];
    struct bytes key = name_of(number, room);
    return table_find(&world.table, hash_bytes(key.data, key.size), key);
}

static void insert(unsigned number, bool expires) {
    char room[NAME_ROOM];
    struct bytes key = name_of(number, room);
    struct entry *entry = make(number, expires);
    table_insert(&world.table, hash_bytes(key.data, key.size), entry);
    world.twin[number] = entry;
    world.count++;
    world.expiring += expires;
}

static void take_out(unsigned number) {
    char room[NAME_ROOM];
    struct bytes key = name_of(number, room);
    struct entry *entry = world.twin[number];
    table_remove(&world.table, hash_bytes(key.data, key.size), find(number));
    world.count--;
    world.expiring -= entry->has_expiry;
    world.twin[number] = NULL;
    mem_free(entry);
}

static void replace(unsigned number, bool expires) {
    struct entry *entry = make(number, expires), *old = world.twin[number];
    world.expiring += expires;
    world.expiring -= old->has_expiry;
    table_place_set(&world.table, find(number), entry);
    world.twin[number] = entry;
    mem_free(old);
}

static void check_counts(void) {
    assert_int_equal(world.table.count, world.count);
    assert_int_equal(world.table.expiring, world.expiring);
}

static bool see(void *context, struct entry *entry) {
    unsigned number = number_of(entry);
    assert_ptr_equal(world.twin[number], entry);
    world.seen[number]++;
    return true;
}

static void visit(void *context, struct entry *entry) {
    see(context, entry);
}

static void check_all(void) {
    check_counts();
    memset(world.seen, 0, sizeof world.seen);
    assert_true(table_each(&world.table, see, NULL));
    for (unsigned i = 0; i < KEYS; i++) {
        uint64_t *place = find(i);
        assert_int_equal(world.seen[i], world.twin[i] ? 1 : 0);
        assert_ptr_equal(place ? table_place_entry(place) : NULL, world.twin[i]);
    }
}

static void change_one(unsigned number, unsigned percent_in) {
    bool in = prng_below(&world.prng, 100) < percent_in, expires = prng_below(&world.prng, 3) == 0;
    if (world.twin[number] && in)
        replace(number, expires);
    else if (world.twin[number])
        take_out(number);
    else if (in)
        insert(number, expires);
}

static void agrees_with_its_twin_through_all_sizes(void **state) {
    static const unsigned percent_in[] = {90, 50, 10, 2, 97, 40, 0};
    for (size_t phase = 0; phase < sizeof percent_in / sizeof *percent_in; phase++) {
        for (unsigned i = 0; i < 3 * KEYS; i++) {
            change_one((unsigned)prng_below(&world.prng, KEYS), percent_in[phase]);
            if (i % 1000 == 0) check_counts();
        }
        check_all();
    }
    for (unsigned i = 0; i < KEYS; i++)
        if (world.twin[i]) take_out(i);
    check_all();
    assert_int_equal(table_memory(&world.table), 0);
}

static void is_caught_in_the_middle_of_moving_both_ways(void **state) {
    bool grew = false, shrank = false;
    for (unsigned i = 0; i < KEYS; i++) {
        insert(i, i % 2);
        if (world.table.old && world.table.old_bits < world.table.bits && !grew) {
            grew = true;
            check_all();
        }
    }
    size_t largest = table_memory(&world.table);
    for (unsigned i = 0; i < KEYS; i++) {
        take_out(i);
        if (world.table.old && world.table.old_bits > world.table.bits && !shrank) {
            shrank = true;
            check_all();
        }
        if (i == KEYS - 100) assert_true(table_memory(&world.table) < largest / 8);
    }
    assert_true(grew);
    assert_true(shrank);
}

// A whole round of a scan meets what is there throughout, whatever else comes and goes.
static void scan_with_changes(unsigned from, unsigned percent_in, unsigned changes_a_step) {
    static bool stays[KEYS];
    memset(world.seen, 0, sizeof world.seen);
    for (unsigned i = 0; i < KEYS; i++)
        stays[i] = i % 10 == 0 && world.twin[i];
    uint64_t cursor = 0;
    unsigned steps = 0;
    do {
        cursor = table_scan(&world.table, cursor, visit, NULL);
        for (unsigned i = 0; i < changes_a_step; i++) {
            unsigned number = (unsigned)prng_below(&world.prng, KEYS);
            if (!stays[number]) change_one(number, percent_in);
        }
        assert_true(++steps < 100000);
    } while (cursor);
    for (unsigned i = 0; i < KEYS; i++)
        if (stays[i]) assert_true(world.seen[i] >= 1);
}

static void a_scan_misses_nothing_while_the_table_resizes(void **state) {
    for (unsigned i = 0; i < 400; i++)
        insert(i * 10, false);
    uint8_t bits = world.table.bits;
    scan_with_changes(0, 100, 60);
    assert_true(world.table.bits > bits);
    bits = world.table.bits;
    scan_with_changes(0, 0, 60);
    assert_true(world.table.bits < bits);
    for (int round = 0; round < 10; round++)
        scan_with_changes(0, round % 2 ? 5 : 95, 7);
}

static void a_still_scan_meets_each_key_once(void **state) {
    for (unsigned i = 0; i < 5000; i++)
        insert(i, false);
    while (world.table.old)
        replace(0, false), take_out(1), insert(1, false);
    memset(world.seen, 0, sizeof world.seen);
    uint64_t cursor = 0;
    do
        cursor = table_scan(&world.table, cursor, visit, NULL);
    while (cursor);
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(world.seen[i], 1);
}

static void see_and_take_out(void *context, struct entry *entry) {
    unsigned number = number_of(entry);
    assert_true(entry->has_expiry);
    ++*(unsigned *)context;
    take_out(number);
}

static void a_walk_may_take_out_what_it_visits(void **state) {
    for (unsigned i = 0; i < 6000; i++)
        insert(i, i % 3 == 0);
    unsigned taken = 0, rounds = 0;
    uint32_t cursor = 0;
    while (world.expiring && rounds < 10) // a bucket moved under the walk waits for its next round
        rounds += table_walk(&world.table, &cursor, 16, true, see_and_take_out, &taken);
    assert_int_equal(taken, 2000);
    check_all();
    while (world.count)
        for (unsigned i = 0; i < KEYS; i++)
            if (world.twin[i]) take_out(i);
    assert_true(table_walk(&world.table, &cursor, 16, false, visit, NULL));
    assert_int_equal(cursor, 0);
}

static void chance_meets_every_entry(void **state) {
    assert_null(table_random(&world.table, 1, false));
    for (unsigned i = 0; i < 50; i++)
        insert(i, i < 5);
    for (unsigned i = 0; i < 5000; i++) {
        see(NULL, table_random(&world.table, prng_next(&world.prng), false));
        struct entry *expiring = table_random(&world.table, prng_next(&world.prng), true);
        assert_true(number_of(expiring) < 5);
    }
    for (unsigned i = 0; i < 50; i++)
        assert_in_range(world.seen[i], 20, 400);
    for (unsigned i = 0; i < 5; i++)
        replace(i, false);
    assert_null(table_random(&world.table, 1, true));
    replace(49, true);
    assert_int_equal(number_of(table_random(&world.table, 3, true)), 49);
}

static void chance_finds_the_last_one_in_a_large_table(void **state) {
    for (unsigned i = 0; i < KEYS; i++)
        insert(i, i == 777);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(number_of(table_random(&world.table, prng_next(&world.prng), true)), 777);
}

// What tells them apart is the key alone, be the tag that of an empty place or not.
static void keys_of_one_hash_are_told_apart(void **state) {
    enum { ALIKE = 5 };
    static const uint64_t hashes[] = {0, UINT64_MAX, 1ull << 49, 1ull << 63};
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
        struct table table = {0};
        char room[NAME_ROOM];
        for (unsigned number = 0; number < ALIKE; number++) {
            assert_null(table_find(&table, hashes[i], name_of(number, room)));
            table_insert(&table, hashes[i], make(number, number % 2));
        }
        for (unsigned number = 0; number < ALIKE; number++) {
            uint64_t *place = table_find(&table, hashes[i], name_of(number, room));
            assert_non_null(place);
            assert_int_equal(number_of(table_place_entry(place)), number);
        }
        assert_null(table_find(&table, hashes[i], name_of(ALIKE, room)));
        table_clear(&table, free_entry);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_of_one_hash_are_told_apart, open_world, close_world),
        cmocka_unit_test_setup_teardown(agrees_with_its_twin_through_all_sizes, open_world, close_world),
        cmocka_unit_test_setup_teardown(is_caught_in_the_middle_of_moving_both_ways, open_world, close_world),
        cmocka_unit_test_setup_teardown(a_scan_misses_nothing_while_the_table_resizes, open_world,
                                        close_world),
        cmocka_unit_test_setup_teardown(a_still_scan_meets_each_key_once, open_world, close_world),
        cmocka_unit_test_setup_teardown(a_walk_may_take_out_what_it_visits, open_world, close_world),
        cmocka_unit_test_setup_teardown(chance_meets_every_entry, open_world, close_world),
        cmocka_unit_test_setup_teardown(chance_finds_the_last_one_in_a_large_table, open_world, close_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
