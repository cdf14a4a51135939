// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "base/hash.h"

// The published value of XXH3 (64 bits, seed 0) for no input: the hash is the one that its name says.
static void test_known_value(void **state) {
    hash_set_seed(0);
    assert_true(hash_bytes("", 0) == 0x2d06800538d394c2u);
}

static void test_seed_matters(void **state) {
    char text[300];
    memset(text, 'x', sizeof text);
    for (size_t size = 0; size <= sizeof text; size += 7) {
        hash_set_seed(1);
        uint64_t one = hash_bytes(text, size);
        assert_true(one == hash_bytes(text, size));
        hash_set_seed(2);
        assert_true(one != hash_bytes(text, size));
    }
}

static void test_every_byte_matters(void **state) {
    hash_set_seed(99);
    unsigned char text[64] = {0};
    uint64_t before = hash_bytes(text, sizeof text);
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] ^= 1;
        assert_true(hash_bytes(text, sizeof text) != before);
        text[i] ^= 1;
    }
    assert_true(hash_bytes(text, sizeof text) == before);
    assert_true(hash_bytes(text, sizeof text - 1) != before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_value),
        cmocka_unit_test(test_seed_matters),
        cmocka_unit_test(test_every_byte_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
