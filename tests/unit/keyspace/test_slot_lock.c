// Slot locks, and the lock under them: counters that are plain on purpose, so that TSan tells of every gap.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "base/hash.h"
#include "base/memory.h"
#include "base/prng.h"
#include "keyspace/slot_lock.h"
#include "os/lock.h"
#include "os/thread.h"

enum { THREADS = 3, ROUNDS = 20000, SLOTS = 6 };

static struct lock lock;
static uint64_t counter;

static void count_up(void *argument) {
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 7 == 0 && !lock_try(&lock)) lock_acquire(&lock);
        else if (i % 7) lock_acquire(&lock);
        counter++;
        lock_release(&lock);
    }
}

static void run_on_all(void (*run)(void *argument)) {
    struct thread threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(thread_start(&threads[i], "counter", run, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
}

static void a_lock_lets_one_in(void **state) {
    counter = 0;
    run_on_all(count_up);
    assert_int_equal(counter, THREADS * ROUNDS);
    assert_true(lock_try(&lock));
    assert_false(lock_try(&lock));
    lock_release(&lock);
}

static struct keyspace *keyspace;
static uint64_t counters[SLOTS];

static void count_slots(void *argument) {
    struct prng prng;
    prng_seed(&prng, (uintptr_t)argument);
    for (int i = 0; i < ROUNDS / 4; i++) {
        uint16_t slots[SLOTS];
        unsigned count = 0;
        for (uint16_t slot = 0; slot < SLOTS; slot++)
            if (prng_below(&prng, 2)) slots[count++] = slot;
        slot_lock_many(keyspace, slots, count);
        for (unsigned j = 0; j < count; j++)
            counters[slots[j]]++;
        slot_unlock_many(keyspace, slots, count);
        unsigned one = (unsigned)prng_below(&prng, SLOTS);
        slot_lock(keyspace, one);
        counters[one]++;
        slot_unlock(keyspace, one);
    }
}

static void slots_are_locked_many_or_one(void **state) {
    keyspace = keyspace_create(1);
    slot_lock_add_threads(keyspace, THREADS);
    run_on_all(count_slots);
    uint64_t sum = 0, expected = 0;
    for (int i = 0; i < SLOTS; i++)
        sum += counters[i];
    for (uintptr_t thread = 0; thread < THREADS; thread++) { // what the same chances give one after the other
        struct prng prng;
        prng_seed(&prng, thread);
        for (int i = 0; i < ROUNDS / 4; i++) {
            for (int slot = 0; slot < SLOTS; slot++)
                expected += prng_below(&prng, 2);
            prng_below(&prng, SLOTS);
            expected++;
        }
    }
    assert_int_equal(sum, expected);
    slot_lock_add_threads(keyspace, -THREADS);
    keyspace_destroy(keyspace);
}

// Writers of one slot, readers of counts and hints without any lock.
static void write_and_look(void *argument) {
    uintptr_t thread = (uintptr_t)argument;
    for (unsigned i = 0; i < 3000; i++) {
        char name[] = "{same}xx";
        name[6] = (char)('a' + i % 26);
        name[7] = (char)('a' + i / 26 % 26);
        struct bytes key = bytes_of(name, sizeof name - 1);
        unsigned slot = hash_slot(key), db = i % 3;
        uint64_t hash = hash_bytes(key.data, key.size);
        keyspace_prefetch_slot(keyspace, db, slot);
        keyspace_prefetch_bucket(keyspace, db, slot, hash);
        keyspace_prefetch_entry(keyspace, db, slot, hash);
        slot_lock(keyspace, slot);
        if (i % 5 == thread)
            keyspace_remove(keyspace, db, slot, hash, key);
        else
            keyspace_set_string(keyspace, db, slot, hash, key, BYTES("value"), i % 2 ? 5 : NO_EXPIRY, i);
        slot_unlock(keyspace, slot);
        if (keyspace_slot_count(keyspace, slot) > 3 * 26 * 26) fail();
        if (i % 1000 == 0 && keyspace_count(keyspace, db) > 26 * 26) fail();
    }
}

static void hints_and_counts_need_no_lock(void **state) {
    hash_set_seed(1);
    keyspace = keyspace_create(3);
    slot_lock_add_threads(keyspace, THREADS);
    run_on_all(write_and_look);
    assert_true(keyspace_count(keyspace, 0) > 0);
    keyspace_destroy(keyspace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_lets_one_in),
        cmocka_unit_test(slots_are_locked_many_or_one),
        cmocka_unit_test(hints_and_counts_need_no_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
