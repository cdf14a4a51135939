// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

// clock, random and memory_use: what the system is asked.
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "os/clock.h"
#include "os/memory_use.h"
#include "os/random.h"
#include "os/thread.h"

static void test_clocks(void **state) {
    int64_t mono = clock_mono_ns();
    int64_t wall = clock_wall_us();
    assert_in_range(wall / 1000000, (uintmax_t)time(NULL) - 1, (uintmax_t)time(NULL) + 1);
    clock_sleep_us(15000);
    assert_true(clock_mono_ns() - mono >= 15000000);
    assert_true(clock_mono_us() >= mono / 1000 + 15000);
    assert_true(clock_mono_ms() >= mono / 1000000 + 15);
    assert_true(clock_wall_ms() >= wall / 1000);
}

// CPU time passes while we work, hardly while we sleep.
static void test_cpu_clock(void **state) {
    int64_t before = clock_thread_cpu_us();
    clock_sleep_us(50000);
    int64_t slept = clock_thread_cpu_us() - before;
    assert_true(slept < 25000);
    volatile unsigned long work = 0;
    while (clock_thread_cpu_us() - before < slept + 5000)
        work++;
    assert_true(work > 0);
}

static void test_random(void **state) {
    unsigned char a[64] = {0}, b[64] = {0};
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    random_bytes(a, 0);
    assert_true(random_u64() != random_u64());
}

static void test_random_hex(void **state) {
    for (size_t size = 0; size <= 41; size++) {
        char text[44];
        memset(text, 'Z', sizeof text);
        random_hex(text, size);
        assert_int_equal(strlen(text), size);
        assert_int_equal(strspn(text, "0123456789abcdef"), size);
        assert_int_equal(text[size + 1], 'Z'); // and not a byte further
    }
}

enum { BLOCKS = 100, BLOCK = 64 * 1024 };

static void *blocks[BLOCKS];

static void allocate(void *unused) {
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = memset(mem_alloc(BLOCK), 1, BLOCK);
}

// What another thread allocated counts, also after that thread has ended, until somebody frees it.
static void test_heap_in_use(void **state) {
    memory_use_thread_enter();
    size_t before = memory_use_heap();
    struct thread thread;
    assert_int_equal(thread_start(&thread, "allocator", allocate, NULL), 0);
    thread_join(&thread);
    size_t full = memory_use_heap();
    assert_in_range(full - before, BLOCKS * BLOCK, BLOCKS * BLOCK * 5 / 4);
    assert_true(memory_use_resident() > BLOCKS * BLOCK);
    for (int i = 0; i < BLOCKS; i++)
        mem_free(blocks[i]);
    assert_true(memory_use_heap() < before + BLOCKS * BLOCK / 4);
    memory_use_thread_leave();
}

static void test_allocator(void **state) {
    struct memory_use_allocator told;
    memory_use_ask_allocator(&told);
    assert_true(told.allocated > 0);
    assert_true(told.resident > 0);
    assert_true(memory_use_system_total() > memory_use_resident());
#ifdef SHOAL_JEMALLOC
    assert_int_equal(strncmp(memory_use_allocator_name(), "jemalloc-", 9), 0);
#else
    assert_string_equal(memory_use_allocator_name(), "libc");
#endif
    memory_use_purge();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks),      cmocka_unit_test(test_cpu_clock),
        cmocka_unit_test(test_random),      cmocka_unit_test(test_random_hex),
        cmocka_unit_test(test_heap_in_use), cmocka_unit_test(test_allocator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
