// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>

#include "base/crc16.h"
#include "base/crc64.h"
#include "base/prng.h"

// The polynomials one bit at a time, as their definitions say.
static uint16_t slow_crc16(const unsigned char *at, size_t size) {
    uint16_t crc = 0;
    for (size_t i = 0; i < size; i++) {
        crc ^= (uint16_t)(at[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

static uint64_t reverse_bits(uint64_t value, int bits) {
    uint64_t reversed = 0;
    for (int i = 0; i < bits; i++)
        if (value >> i & 1) reversed |= (uint64_t)1 << (bits - 1 - i);
    return reversed;
}

// Unreflected register, reflected input and output: the plain reading of "refin, refout".
static uint64_t slow_crc64(const unsigned char *at, size_t size) {
    uint64_t crc = 0;
    for (size_t i = 0; i < size; i++) {
        crc ^= reverse_bits(at[i], 8) << 56;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 63 ? crc << 1 ^ 0xad93d23594c935a9u : crc << 1;
    }
    return reverse_bits(crc, 64);
}

static void test_check_values(void **state) {
    assert_int_equal(crc16("123456789", 9), 0x31c3);
    assert_int_equal(crc16("", 0), 0);
    assert_true(crc64(0, "123456789", 9) == 0xe9c6d914c4b8d9cau);
    assert_true(crc64(0, "", 0) == 0);
}

static void test_random_against_bits(void **state) {
    unsigned char data[100];
    struct prng prng;
    prng_seed(&prng, 4);
    for (int round = 0; round < 3000; round++) {
        size_t size = prng_below(&prng, sizeof data + 1);
        for (size_t i = 0; i < size; i++)
            data[i] = (unsigned char)prng_next(&prng);
        assert_int_equal(crc16(data, size), slow_crc16(data, size));
        assert_true(crc64(0, data, size) == slow_crc64(data, size));
        size_t cut = prng_below(&prng, size + 1);
        assert_true(crc64(crc64(0, data, cut), data + cut, size - cut) == slow_crc64(data, size));
    }
}

static void test_slots(void **state) {
    // From the cluster specification and a running redis-server's CLUSTER KEYSLOT.
    assert_int_equal(hash_slot(BYTES("")), 0);
    assert_int_equal(hash_slot(BYTES("foo")), 12182);
    assert_int_equal(hash_slot(BYTES("bar")), 5061);
    assert_int_equal(hash_slot(BYTES("123456789")), 0x31c3 % 16384);
}

static void test_tags(void **state) {
    unsigned user = hash_slot(BYTES("user1000"));
    assert_int_equal(hash_slot(BYTES("{user1000}.following")), user);
    assert_int_equal(hash_slot(BYTES("a{user1000}b{x}")), user);
    assert_int_equal(hash_slot(BYTES("foo{}{bar}")), crc16("foo{}{bar}", 10) % HASH_SLOTS); // empty: no tag
    assert_int_equal(hash_slot(BYTES("foo{{bar}}zap")), hash_slot(BYTES("{bar")));
    assert_int_equal(hash_slot(BYTES("foo{bar}{zap}")), hash_slot(BYTES("bar")));
    assert_int_equal(hash_slot(BYTES("foo{bar")), crc16("foo{bar", 7) % HASH_SLOTS);
    assert_int_equal(hash_slot(BYTES("foo}bar{")), crc16("foo}bar{", 8) % HASH_SLOTS);
    assert_int_equal(hash_slot(BYTES("}{a}")), hash_slot(BYTES("a")));
    assert_int_equal(hash_slot(BYTES("{\0}")), crc16("\0", 1) % HASH_SLOTS);
}

// With a view, not a string: nothing behind the view's end may count as its tag.
static void test_tag_ends_with_the_view(void **state) {
    assert_int_equal(hash_slot(bytes_of("{ab}", 3)), crc16("{ab", 3) % HASH_SLOTS);
}

// The specification's words, a byte at a time.
static unsigned slow_slot(const char *key, size_t size) {
    size_t open = 0;
    while (open < size && key[open] != '{')
        open++;
    size_t close = open + 1;
    while (close < size && key[close] != '}')
        close++;
    bool tagged = open < size && close < size && close > open + 1;
    const char *at = tagged ? key + open + 1 : key;
    return slow_crc16((const unsigned char *)at, tagged ? close - open - 1 : size) % HASH_SLOTS;
}

static void test_tags_of_any_shape(void **state) {
    static const char alphabet[] = {'{', '}', 'a', 'z', '|', (char)0xfb, '\0', 'k'};
    struct prng prng;
    prng_seed(&prng, 9);
    for (int round = 0; round < 200000; round++) {
        char key[40];
        size_t size = prng_below(&prng, sizeof key + 1), plain = prng_below(&prng, 2) * 2;
        for (size_t i = 0; i < size; i++)
            key[i] = alphabet[plain + prng_below(&prng, sizeof alphabet - plain)];
        if (size && prng_below(&prng, 2)) key[prng_below(&prng, size)] = '{';
        assert_int_equal(hash_slot(bytes_of(key, size)), slow_slot(key, size));
    }
}

static void test_every_slot_is_reached(void **state) {
    static unsigned char hit[HASH_SLOTS];
    unsigned reached = 0;
    for (int i = 0; i < 400000 && reached < HASH_SLOTS; i++) {
        char key[16];
        int size = snprintf(key, sizeof key, "%d", i);
        unsigned slot = hash_slot(bytes_of(key, (size_t)size));
        assert_in_range(slot, 0, HASH_SLOTS - 1);
        reached += !hit[slot];
        hit[slot] = 1;
    }
    assert_int_equal(reached, HASH_SLOTS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_values),
        cmocka_unit_test(test_random_against_bits),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_tags_of_any_shape),
        cmocka_unit_test(test_tag_ends_with_the_view),
        cmocka_unit_test(test_every_slot_is_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
