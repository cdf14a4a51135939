// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"

static void test_blocks(void **state) {
    char *block = mem_alloc(10);
    memset(block, 'x', 10);
    assert_true(mem_usable_size(block) >= 10);
    block = mem_realloc(block, 10000);
    for (int i = 0; i < 10; i++)
        assert_int_equal(block[i], 'x');
    mem_free(block);

    unsigned char *zeroes = mem_calloc(100, 3);
    for (int i = 0; i < 300; i++)
        assert_int_equal(zeroes[i], 0);
    mem_free(zeroes);

    char *copy = mem_strdup("copied");
    assert_string_equal(copy, "copied");
    mem_free(copy);
}

// No size gives NULL: callers of these never test.
static void test_nothing_is_something(void **state) {
    void *blocks[] = {mem_alloc(0), mem_calloc(0, 8), mem_calloc(8, 0), mem_realloc(NULL, 0),
                      mem_try_alloc(0)};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        assert_non_null(blocks[i]);
        mem_free(blocks[i]);
    }
    mem_free(NULL);
    assert_int_equal(mem_usable_size(NULL), 0);
}

static void test_aligned(void **state) {
    for (size_t alignment = 16; alignment <= 4096; alignment *= 2)
        for (size_t size = 1; size < 300; size += 37) {
            void *block = mem_aligned_alloc(alignment, size);
            assert_int_equal((uintptr_t)block % alignment, 0);
            assert_true(mem_usable_size(block) >= size);
            mem_free(block);
        }
}

static void test_fail_after(void **state) {
    mem_fail_after(3);
    void *first = mem_try_alloc(1);
    void *second = mem_try_realloc(NULL, 1);
    assert_non_null(first);
    assert_non_null(second);
    void *promised = mem_alloc(1); // does not count: it may not fail
    assert_null(mem_try_alloc(1));
    void *after = mem_try_alloc(1); // only that one fails
    assert_non_null(after);
    mem_fail_after(1);
    assert_null(mem_try_realloc(first, 100)); // and the block is still the caller's
    mem_fail_after(1);
    mem_fail_after(0);
    void *off = mem_try_alloc(1);
    assert_non_null(off);
    void *all[] = {first, second, promised, after, off};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
}

#ifdef SHOAL_JEMALLOC // a sanitiser ends the process in its own way
// Runs `allocate` in a child and says how the child ended.
static int status_of(void (*allocate)(void)) {
    pid_t child = fork();
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDERR_FILENO);
        allocate();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static volatile size_t half = SIZE_MAX / 2 + 1;

static void allocate_too_much(void) {
    mem_alloc(half);
}

// The product wraps to 0: it must not pass for a request of nothing.
static void allocate_wrapping(void) {
    mem_calloc(half, 2);
}

static void test_out_of_memory_aborts(void **state) {
    void (*const cases[])(void) = {allocate_too_much, allocate_wrapping};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = status_of(cases[i]);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
    assert_null(mem_try_alloc(half));
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_nothing_is_something),
        cmocka_unit_test(test_aligned),
        cmocka_unit_test(test_fail_after),
#ifdef SHOAL_JEMALLOC
        cmocka_unit_test(test_out_of_memory_aborts),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
