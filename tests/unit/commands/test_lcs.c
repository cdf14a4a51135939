// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "base/prng.h"
#include "commands/lcs.h"

struct seen {
    struct lcs_run runs[64];
    unsigned count;
};

static void note(void *context, struct lcs_run run) {
    struct seen *seen = context;
    assert_in_range(seen->count, 0, 63);
    seen->runs[seen->count++] = run;
}

// By recursion over the two tails: slow, and plainly what the words say.
static uint32_t naive(const char *a, size_t a_size, const char *b, size_t b_size) {
    if (!a_size || !b_size) return 0;
    if (*a == *b) return 1 + naive(a + 1, a_size - 1, b + 1, b_size - 1);
    uint32_t one = naive(a + 1, a_size - 1, b, b_size), other = naive(a, a_size, b + 1, b_size - 1);
    return one > other ? one : other;
}

static void finds_the_example_of_the_documentation(void **state) {
    struct bytes a = BYTES("ohmytext"), b = BYTES("mynewtext");
    struct lcs *lcs = lcs_solve(a, b);
    assert_int_equal(lcs_length(lcs), 6);
    struct seen seen = {.count = 0};
    lcs_each_run(lcs, note, &seen);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.runs[0].a_at, 4);
    assert_int_equal(seen.runs[0].b_at, 5);
    assert_int_equal(seen.runs[0].length, 4);
    assert_int_equal(seen.runs[1].a_at, 2);
    assert_int_equal(seen.runs[1].b_at, 0);
    assert_int_equal(seen.runs[1].length, 2);
    lcs_free(lcs);
}

static void finds_nothing_in_nothing(void **state) {
    struct lcs *lcs = lcs_solve(BYTES(""), BYTES("abc"));
    struct seen seen = {.count = 0};
    lcs_each_run(lcs, note, &seen);
    assert_int_equal(lcs_length(lcs), 0);
    assert_int_equal(seen.count, 0);
    lcs_free(lcs);
}

static void is_as_long_as_the_naive_twin_says(void **state) {
    struct prng prng;
    prng_seed(&prng, 20);
    for (int round = 0; round < 500; round++) {
        char a[9], b[9];
        size_t a_size = prng_below(&prng, sizeof a), b_size = prng_below(&prng, sizeof b);
        for (size_t i = 0; i < sizeof a; i++) {
            a[i] = (char)('a' + prng_below(&prng, 3));
            b[i] = (char)('a' + prng_below(&prng, 3));
        }
        struct lcs *lcs = lcs_solve(bytes_of(a, a_size), bytes_of(b, b_size));
        struct seen seen = {.count = 0};
        lcs_each_run(lcs, note, &seen);
        uint32_t sum = 0, a_end = (uint32_t)a_size, b_end = (uint32_t)b_size;
        for (unsigned i = 0; i < seen.count; i++) {
            struct lcs_run run = seen.runs[i];
            assert_memory_equal(a + run.a_at, b + run.b_at, run.length);
            assert_true(run.a_at + run.length <= a_end && run.b_at + run.length <= b_end);
            a_end = run.a_at;
            b_end = run.b_at;
            sum += run.length;
        }
        assert_int_equal(sum, lcs_length(lcs));
        assert_int_equal(sum, naive(a, a_size, b, b_size));
        lcs_free(lcs);
    }
}

static void knows_how_much_memory_it_would_take(void **state) {
    assert_int_equal(lcs_memory(0, 0), sizeof(uint32_t));
    assert_int_equal(lcs_memory(9, 19), 10 * 20 * sizeof(uint32_t));
    assert_true(lcs_memory(SIZE_MAX / 4, 16) == SIZE_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_example_of_the_documentation),
        cmocka_unit_test(finds_nothing_in_nothing),
        cmocka_unit_test(is_as_long_as_the_naive_twin_says),
        cmocka_unit_test(knows_how_much_memory_it_would_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
