// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>

#include "base/heap.h"
#include "base/prng.h"

static void test_empty(void **state) {
    struct heap heap = {0};
    struct heap_item item;
    assert_false(heap_pop(&heap, &item));
    assert_null(heap_peek(&heap));
    heap_free(&heap);
}

static void test_ties_leave_in_order(void **state) {
    struct heap heap = {0};
    static int marks[1000];
    for (size_t i = 0; i < 1000; i++)
        heap_push(&heap, i % 3, &marks[i]);
    int *last = NULL;
    uint64_t last_key = 0;
    struct heap_item item;
    for (size_t i = 0; i < 1000; i++) {
        assert_true(heap_pop(&heap, &item));
        if (item.key == last_key && last) assert_true((int *)item.value > last);
        assert_true(item.key >= last_key);
        last = item.value;
        last_key = item.key;
    }
    assert_false(heap_pop(&heap, &item));
    heap_free(&heap);
}

enum { WAITING_MAX = 500 };

struct waiting {
    uint64_t key;
    uint64_t came;
};

// The twin: a bag that is searched from end to end for the smallest key that came first.
static size_t smallest(const struct waiting *bag, size_t count) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (bag[i].key < bag[best].key || (bag[i].key == bag[best].key && bag[i].came < bag[best].came))
            best = i;
    return best;
}

static void test_random_against_bag(void **state) {
    static struct waiting bag[WAITING_MAX];
    size_t count = 0;
    uint64_t came = 0;
    struct heap heap = {0};
    struct prng prng;
    prng_seed(&prng, 3);
    for (int round = 0; round < 20000; round++) {
        if (count < WAITING_MAX && prng_below(&prng, 5) < 3) {
            uint64_t key = prng_below(&prng, 10) ? prng_below(&prng, 50) : UINT64_MAX - prng_below(&prng, 2);
            bag[count++] = (struct waiting){key, came};
            heap_push(&heap, key, (void *)(uintptr_t)came++);
            continue;
        }
        struct heap_item item;
        if (count == 0) {
            assert_false(heap_pop(&heap, &item));
            continue;
        }
        size_t best = smallest(bag, count);
        assert_int_equal(heap_peek(&heap)->key, bag[best].key);
        assert_true(heap_pop(&heap, &item));
        assert_int_equal(item.key, bag[best].key);
        assert_int_equal((uintptr_t)item.value, bag[best].came);
        bag[best] = bag[--count];
        assert_int_equal(heap.count, count);
    }
    heap_free(&heap);
    assert_int_equal(heap.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_ties_leave_in_order),
        cmocka_unit_test(test_random_against_bag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
