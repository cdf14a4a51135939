// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "base/prng.h"

// The generator's own definition, with the published constants, from a state given by hand: the first three
// outputs of xoshiro256** for the state {1, 2, 3, 4} are well known.
static void test_known_outputs(void **state) {
    struct prng prng = {{1, 2, 3, 4}};
    assert_true(prng_next(&prng) == 11520u);
    assert_true(prng_next(&prng) == 0u);
    assert_true(prng_next(&prng) == 1509978240u);
    assert_true(prng_next(&prng) == 1215971899390074240u);
}

// splitmix64 from seed 1234567 begins with these (its published test values).
static void test_seeding(void **state) {
    struct prng prng;
    prng_seed(&prng, 1234567);
    assert_true(prng.state[0] == 6457827717110365317u);
    assert_true(prng.state[1] == 3203168211198807973u);
    assert_true(prng.state[2] == 9817491932198370423u);
    assert_true(prng.state[3] == 4593380528125082431u);
    prng_seed(&prng, 0);
    assert_true(prng.state[0] != 0); // the state must never be all zero
}

static void test_same_seed_same_numbers(void **state) {
    struct prng a, b, c;
    prng_seed(&a, 42);
    prng_seed(&b, 42);
    prng_seed(&c, 43);
    int equal = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = prng_next(&a);
        assert_true(x == prng_next(&b));
        equal += x == prng_next(&c);
    }
    assert_int_equal(equal, 0);
}

static void test_below(void **state) {
    struct prng prng;
    prng_seed(&prng, 7);
    assert_true(prng_below(&prng, 0) == 0);
    assert_true(prng_below(&prng, 1) == 0);
    for (int i = 0; i < 1000; i++)
        assert_true(prng_below(&prng, UINT64_MAX) < UINT64_MAX);
    // Seven boxes, 70,000 balls: each box is within five standard deviations (93 balls) of its share.
    int boxes[7] = {0};
    for (int i = 0; i < 70000; i++)
        boxes[prng_below(&prng, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(boxes[i], 10000 - 465, 10000 + 465);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_outputs),
        cmocka_unit_test(test_seeding),
        cmocka_unit_test(test_same_seed_same_numbers),
        cmocka_unit_test(test_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
