// Histograms of times, the digest of keys, the slow log's secrets.
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
#include "os/ticks.h"
#include "server/debug_digest.h"
#include "server/histogram.h"
#include "server/slowlog.h"

static void test_buckets_hold_their_times(void **state) {
    unsigned last = 0;
    for (uint64_t ns = 0; ns < 1ull << 34; ns += 1 + ns / 5) {
        unsigned bucket = dispatch_time_bucket(ns);
        assert_true(bucket >= last);
        last = bucket;
        assert_true(dispatch_time_of_bucket(bucket) >= ns);
        assert_true(bucket == 0 || dispatch_time_of_bucket(bucket - 1) < ns);
        assert_true(dispatch_time_of_bucket(bucket) <= ns + ns / 7 + 1); // never far above what it holds
    }
    assert_int_equal(dispatch_time_bucket(UINT64_MAX), DISPATCH_TIME_BUCKETS - 1);
}

static void test_percentiles(void **state) {
    struct histogram histogram = {.total = 0};
    for (uint64_t us = 1; us <= 1000; us++) {
        histogram.counts[dispatch_time_bucket(ticks_of_ns(us * 1000))]++;
        histogram.total++;
    }
    static const double wanted[][2] = {{50, 500}, {99, 990}, {100, 1000}};
    for (size_t i = 0; i < 3; i++) {
        double us = histogram_percentile(&histogram, wanted[i][0]) / 1000;
        assert_true(us >= wanted[i][1] && us <= wanted[i][1] * 1.15);
    }
    assert_true(histogram_up_to(&histogram, 1u << 20) == 1000);
    assert_true(histogram_up_to(&histogram, 0) == 0);
    uint64_t half = histogram_up_to(&histogram, 512);
    assert_true(half > 400 && half <= 512);
}

static void put(struct keyspace *keyspace, unsigned db, const char *key, const char *value, int64_t expire_ms) {
    struct bytes name = bytes_from_string(key);
    keyspace_set_string(keyspace, db, hash_slot(name), hash_bytes(name.data, name.size), name, bytes_from_string(value),
                        expire_ms, 1000);
}

static void test_digest_is_of_the_content(void **state) {
    hash_set_seed(7);
    char empty[DIGEST_TEXT_SIZE + 1], one[DIGEST_TEXT_SIZE + 1], other[DIGEST_TEXT_SIZE + 1];
    struct keyspace *a = keyspace_create(2), *b = keyspace_create(2);
    digest_keyspace(a, empty);
    assert_string_equal(empty, "0000000000000000000000000000000000000000");
    put(a, 0, "k", "1", NO_EXPIRY);
    put(a, 0, "l", "2", 5000);
    put(b, 0, "l", "2", 6000); // when a key expires is no part of it, that it does is
    put(b, 0, "k", "1", NO_EXPIRY);
    digest_keyspace(a, one);
    digest_keyspace(b, other);
    assert_string_equal(one, other);
    put(b, 0, "k", "2", NO_EXPIRY); // values of two keys exchanged
    put(b, 0, "l", "1", 6000);
    digest_keyspace(b, other);
    assert_string_not_equal(one, other);
    put(b, 0, "k", "1", 6000);
    put(b, 0, "l", "2", 6000);
    digest_keyspace(b, other);
    assert_string_not_equal(one, other);
    put(a, 1, "k", "1", NO_EXPIRY);
    digest_keyspace(a, other);
    assert_string_not_equal(one, other);
    keyspace_destroy(a);
    keyspace_destroy(b);
}

static void expect_secret(const char *name, const struct bytes *argv, int argc, const char *pattern) {
    struct command command = {.name = name, .full_name = name};
    for (int i = 0; i < argc; i++)
        assert_int_equal(is_secret_argument(&command, argv, argc, i), pattern[i] == 'x');
}

static void test_passwords_are_secret(void **state) {
    struct bytes auth[] = {BYTES("AUTH"), BYTES("user"), BYTES("p")};
    expect_secret("auth", auth, 3, ".xx");
    struct bytes hello[] = {BYTES("HELLO"), BYTES("3"), BYTES("AUTH"), BYTES("user"), BYTES("p"), BYTES("SETNAME"), BYTES("n")};
    expect_secret("hello", hello, 7, "...xx..");
    struct bytes set[] = {BYTES("CONFIG"), BYTES("SET"), BYTES("hz"), BYTES("9"), BYTES("REQUIREPASS"), BYTES("p")};
    expect_secret("config|set", set, 6, ".....x");
    struct bytes migrate[] = {BYTES("MIGRATE"), BYTES("h"), BYTES("1"), BYTES("k"), BYTES("0"), BYTES("1"), BYTES("AUTH2"), BYTES("u"), BYTES("p")};
    expect_secret("migrate", migrate, 9, ".......xx");
    struct bytes plain[] = {BYTES("SET"), BYTES("auth"), BYTES("p")};
    expect_secret("set", plain, 3, "...");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets_hold_their_times),
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_digest_is_of_the_content),
        cmocka_unit_test(test_passwords_are_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
