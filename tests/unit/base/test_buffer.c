// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/prng.h"

static void test_append(void **state) {
    struct buffer buffer = BUFFER_EMPTY;
    buffer_append(&buffer, NULL, 0);
    assert_null(buffer.data);
    buffer_append_string(&buffer, "one ");
    buffer_append_byte(&buffer, '2');
    buffer_append_bytes(&buffer, BYTES(" three"));
    memcpy(buffer_extend(&buffer, 2), "!!", 2);
    assert_int_equal(buffer.size, 13);
    assert_string_equal(buffer_string(&buffer), "one 2 three!!");
    assert_int_equal(buffer.size, 13); // the terminator is not counted
    assert_true(bytes_equal(buffer_bytes(&buffer), BYTES("one 2 three!!")));
    buffer_free(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.capacity, 0);
    buffer_free(&buffer); // an empty one may be freed again
}

static void test_empty_string(void **state) {
    struct buffer buffer = BUFFER_EMPTY;
    assert_string_equal(buffer_string(&buffer), "");
    buffer_free(&buffer);
}

// Every text length around the room that is there, the one that fits exactly included.
static void test_printf(void **state) {
    for (int width = 0; width < 600; width++) {
        struct buffer buffer = BUFFER_EMPTY;
        buffer_append_string(&buffer, "<");
        buffer_appendf(&buffer, "%*d>", width, 7);
        size_t expected = (size_t)(width > 1 ? width : 1) + 2;
        assert_int_equal(buffer.size, expected);
        assert_int_equal(buffer.data[0], '<');
        assert_int_equal(buffer.data[buffer.size - 2], '7');
        assert_int_equal(buffer.data[buffer.size - 1], '>');
        assert_true(buffer.capacity >= buffer.size);
        buffer_free(&buffer);
    }
}

static void test_drop_front(void **state) {
    struct buffer buffer = BUFFER_EMPTY;
    buffer_append_string(&buffer, "0123456789");
    buffer_drop_front(&buffer, 0);
    assert_int_equal(buffer.size, 10);
    buffer_drop_front(&buffer, 7);
    assert_string_equal(buffer_string(&buffer), "789");
    buffer_drop_front(&buffer, 3);
    assert_int_equal(buffer.size, 0);
    buffer_append_byte(&buffer, 'x');
    assert_string_equal(buffer_string(&buffer), "x");
    buffer_free(&buffer);
}

// Against the plainest twin: a fixed array.
static void test_random_against_array(void **state) {
    static char twin[1 << 16];
    size_t twin_size = 0;
    struct buffer buffer = BUFFER_EMPTY;
    struct prng prng;
    prng_seed(&prng, 1);
    for (int i = 0; i < 3000; i++) {
        char piece[300];
        size_t size = prng_below(&prng, sizeof piece);
        memset(piece, 'a' + i % 26, size);
        if (twin_size + size < sizeof twin) {
            buffer_append(&buffer, piece, size);
            memcpy(twin + twin_size, piece, size);
            twin_size += size;
        }
        if (prng_below(&prng, 3) == 0) {
            size_t drop = prng_below(&prng, twin_size + 1);
            buffer_drop_front(&buffer, drop);
            memmove(twin, twin + drop, twin_size - drop);
            twin_size -= drop;
        }
        assert_true(bytes_equal(buffer_bytes(&buffer), bytes_of(twin, twin_size)));
    }
    buffer_free(&buffer);
}

static void test_growth_is_amortised(void **state) {
    struct buffer buffer = BUFFER_EMPTY;
    int grown = 0;
    for (size_t i = 0, before = 0; i < 1000000; i++) {
        buffer_append_byte(&buffer, 'x');
        if (buffer.capacity != before) grown++;
        before = buffer.capacity;
    }
    assert_true(grown < 32);
    buffer_free(&buffer);
}

static void test_try_reserve(void **state) {
    struct buffer buffer = BUFFER_EMPTY;
    buffer_append_string(&buffer, "kept");
    struct buffer before = buffer;
    mem_fail_after(1);
    assert_false(buffer_try_reserve(&buffer, 1000));
    assert_false(buffer_try_reserve(&buffer, SIZE_MAX)); // the sum can't even be counted
    assert_ptr_equal(buffer.data, before.data);
    assert_int_equal(buffer.size, 4);
    assert_int_equal(buffer.capacity, before.capacity);
    assert_true(buffer_try_reserve(&buffer, 1000));
    assert_true(buffer.capacity >= 1004);
    assert_string_equal(buffer_string(&buffer), "kept");
    assert_true(buffer_try_reserve(&buffer, 1)); // room that is there needs no memory
    buffer_free(&buffer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_empty_string),
        cmocka_unit_test(test_printf),
        cmocka_unit_test(test_drop_front),
        cmocka_unit_test(test_random_against_array),
        cmocka_unit_test(test_growth_is_amortised),
        cmocka_unit_test(test_try_reserve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
