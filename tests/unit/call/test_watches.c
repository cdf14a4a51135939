// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "base/hash.h"
#include "call/watches.h"

enum { NOW = 1000 };

static struct keyspace *keyspace;
static struct session session;

static void set(const char *key, int64_t expire_ms) {
    struct bytes name = bytes_from_string(key);
    unsigned slot = hash_slot(name);
    assert_non_null(keyspace_set_string(keyspace, 0, slot, hash_bytes(name.data, name.size), name, BYTES("v"),
                                        expire_ms, NOW));
    keyspace_touched(keyspace, 0, slot, name);
}

static int open_all(void **state) {
    keyspace = keyspace_create(2);
    session = (struct session){0};
    list_init(&session.watches);
    return 0;
}

static int close_all(void **state) {
    watches_clear(&session, keyspace, true);
    keyspace_destroy(keyspace);
    return 0;
}

static void watch(unsigned db, const char *key) {
    watches_add(&session, keyspace, db, bytes_from_string(key), NOW);
}

static void sees_a_change_of_its_own_key_only(void **state) {
    set("a", NO_EXPIRY);
    watch(0, "a");
    watch(1, "b");
    set("b", NO_EXPIRY);
    assert_false(watches_broken(&session, keyspace, NOW));
    set("a", NO_EXPIRY);
    assert_true(watches_broken(&session, keyspace, NOW));
    watches_clear(&session, keyspace, false);
    assert_true(list_empty(&session.watches));
    assert_false(watches_broken(&session, keyspace, NOW));
}

static void sees_a_key_expire_unless_it_had(void **state) {
    set("a", NOW + 10);
    watch(0, "a");
    assert_false(watches_broken(&session, keyspace, NOW + 9));
    assert_true(watches_broken(&session, keyspace, NOW + 10));
    watches_clear(&session, keyspace, true);
    set("b", NOW - 1);
    watch(0, "b");
    assert_false(watches_broken(&session, keyspace, NOW + 10));
}

static void watches_a_key_once(void **state) {
    watch(0, "a");
    watch(0, "a");
    watch(1, "a");
    unsigned count = 0;
    LIST_EACH(node, &session.watches) {
        assert_int_equal(watches_slot(node), hash_slot(BYTES("a")));
        count++;
    }
    assert_int_equal(count, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sees_a_change_of_its_own_key_only, open_all, close_all),
        cmocka_unit_test_setup_teardown(sees_a_key_expire_unless_it_had, open_all, close_all),
        cmocka_unit_test_setup_teardown(watches_a_key_once, open_all, close_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
