// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "base/bitset.h"
#include "base/prng.h"

enum { BITS = 200 };

// The bus wants bit i at bit i & 7 of byte i / 8.
static void test_layout(void **state) {
    uint8_t bits[3] = {0};
    bitset_set(bits, 0);
    bitset_set(bits, 7);
    bitset_set(bits, 8);
    bitset_set(bits, 18);
    assert_int_equal(bits[0], 0x81);
    assert_int_equal(bits[1], 0x01);
    assert_int_equal(bits[2], 0x04);
    bitset_clear(bits, 7);
    assert_int_equal(bits[0], 0x01);
    bitset_clear(bits, 7);
    assert_int_equal(bits[0], 0x01);
}

static void test_random_against_bools(void **state) {
    uint8_t bits[BITS / 8] = {0};
    bool twin[BITS] = {false};
    struct prng prng;
    prng_seed(&prng, 5);
    for (int round = 0; round < 2000; round++) {
        size_t index = prng_below(&prng, BITS);
        twin[index] = prng_below(&prng, 2);
        if (twin[index]) {
            bitset_set(bits, index);
        } else {
            bitset_clear(bits, index);
        }
        for (size_t i = 0; i < BITS; i++)
            assert_int_equal(bitset_test(bits, i), twin[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_random_against_bools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
