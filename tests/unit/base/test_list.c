// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "base/list.h"
#include "base/prng.h"

enum { ITEMS = 40 };

struct item {
    int number;
    struct list_node node;
};

// The list must hold exactly these numbers, forwards and backwards.
static void expect(const struct list_node *head, const int *numbers, int count) {
    const struct list_node *node = head->next;
    for (int i = 0; i < count; i++, node = node->next)
        assert_int_equal(LIST_ENTRY(node, struct item, node)->number, numbers[i]);
    assert_ptr_equal(node, head);
    node = head->previous;
    for (int i = count - 1; i >= 0; i--, node = node->previous)
        assert_int_equal(LIST_ENTRY(node, struct item, node)->number, numbers[i]);
    assert_ptr_equal(node, head);
}

static void test_order(void **state) {
    struct list_node head;
    list_init(&head);
    assert_true(list_empty(&head));
    struct item items[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    list_append(&head, &items[1].node);
    list_append(&head, &items[2].node);
    list_prepend(&head, &items[0].node);
    list_append(&head, &items[3].node);
    assert_false(list_empty(&head));
    expect(&head, (int[]){0, 1, 2, 3}, 4);
    list_remove(&items[2].node);
    expect(&head, (int[]){0, 1, 3}, 3);
    list_remove(&items[2].node); // in no list: harmless
    expect(&head, (int[]){0, 1, 3}, 3);
    list_append(&head, &items[2].node);
    expect(&head, (int[]){0, 1, 3, 2}, 4);
}

static void test_remove_while_walking(void **state) {
    struct list_node head;
    list_init(&head);
    struct item items[ITEMS];
    for (int i = 0; i < ITEMS; i++) {
        items[i].number = i;
        list_append(&head, &items[i].node);
    }
    int seen = 0;
    LIST_EACH(node, &head) {
        seen++;
        if (LIST_ENTRY(node, struct item, node)->number % 3) list_remove(node);
    }
    assert_int_equal(seen, ITEMS);
    int left = 0;
    LIST_EACH(node, &head) {
        assert_int_equal(LIST_ENTRY(node, struct item, node)->number, left * 3);
        left++;
    }
    assert_int_equal(left, (ITEMS + 2) / 3);
    LIST_EACH(node, &head) list_remove(node);
    assert_true(list_empty(&head));
    LIST_EACH(node, &head) fail_msg("walked an empty list");
}

static int position(const int *numbers, int count, int number) {
    for (int i = 0; i < count; i++)
        if (numbers[i] == number) return i;
    return -1;
}

// Against an array in which insertion and removal shift.
static void test_random_against_array(void **state) {
    struct list_node head;
    list_init(&head);
    struct item items[ITEMS];
    for (int i = 0; i < ITEMS; i++) {
        items[i].number = i;
        list_init(&items[i].node);
    }
    int twin[ITEMS], count = 0;
    struct prng prng;
    prng_seed(&prng, 2);
    for (int round = 0; round < 5000; round++) {
        int number = (int)prng_below(&prng, ITEMS);
        int at = position(twin, count, number);
        if (at >= 0) {
            list_remove(&items[number].node);
            for (int i = at; i + 1 < count; i++)
                twin[i] = twin[i + 1];
            count--;
        } else if (prng_below(&prng, 2)) {
            list_append(&head, &items[number].node);
            twin[count++] = number;
        } else {
            list_prepend(&head, &items[number].node);
            for (int i = count++; i > 0; i--)
                twin[i] = twin[i - 1];
            twin[0] = number;
        }
        expect(&head, twin, count);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_remove_while_walking),
        cmocka_unit_test(test_random_against_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
