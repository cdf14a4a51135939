// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "os/clock.h"
#include "os/lock.h"
#include "os/thread.h"

enum { THREADS = 4, ROUNDS = 20000 };

static struct lock lock;
static long counter; // guarded by lock

static void count_up(void *unused) {
    for (int i = 0; i < ROUNDS; i++) {
        lock_acquire(&lock);
        counter++;
        lock_release(&lock);
    }
}

// Without exclusion, some of the additions would be lost.
static void test_lock_excludes(void **state) {
    struct thread threads[THREADS];
    counter = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(thread_start(&threads[i], "counter", count_up, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
    assert_int_equal(counter, THREADS * ROUNDS);
    assert_int_equal(atomic_load(&lock.state), 0);
}

static void acquire_and_release(void *unused) {
    lock_acquire(&lock);
    counter = 2;
    lock_release(&lock);
}

static void test_lock_sleeps_until_released(void **state) {
    struct thread thread;
    counter = 1;
    assert_true(lock_try(&lock));
    assert_false(lock_try(&lock));
    assert_int_equal(thread_start(&thread, "sleeper", acquire_and_release, NULL), 0);
    while (atomic_load(&lock.state) != 2) // until it says that it sleeps
        clock_sleep_us(100);
    assert_int_equal(counter, 1);
    lock_release(&lock);
    thread_join(&thread);
    assert_int_equal(counter, 2);
    assert_true(lock_try(&lock));
    lock_release(&lock);
}

struct seen {
    char name[16];
    sigset_t blocked;
};

static void look(void *opaque) {
    struct seen *seen = opaque;
    pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
}

static void test_thread_start(void **state) {
    struct thread thread;
    struct seen seen;
    assert_int_equal(thread_start(&thread, "a-name-of-more-than-15", look, &seen), 0);
    thread_join(&thread);
    assert_string_equal(seen.name, "a-name-of-more-");
    assert_true(sigismember(&seen.blocked, SIGTERM));
    assert_true(sigismember(&seen.blocked, SIGINT));
    assert_false(sigismember(&seen.blocked, SIGSEGV));
    sigset_t mine;
    pthread_sigmask(SIG_SETMASK, NULL, &mine);
    assert_false(sigismember(&mine, SIGTERM)); // ours is as it was
}

static struct monitor monitor;
static bool told; // guarded by monitor

static void tell(void *unused) {
    clock_sleep_us(10000);
    monitor_enter(&monitor);
    told = true;
    monitor_notify(&monitor);
    monitor_leave(&monitor);
}

static void test_monitor(void **state) {
    struct thread thread;
    monitor_init(&monitor);
    told = false;
    assert_int_equal(thread_start(&thread, "teller", tell, NULL), 0);
    monitor_enter(&monitor);
    while (!told)
        monitor_wait(&monitor, -1);
    // Nobody tells any more: the wait ends by itself, a second's boundary crossed or not.
    int64_t began = clock_mono_us();
    while (clock_mono_us() - began < 30000)
        monitor_wait(&monitor, 30000 - (clock_mono_us() - began));
    monitor_leave(&monitor);
    thread_join(&thread);
    monitor_destroy(&monitor);
    assert_true(told);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lock_excludes),
        cmocka_unit_test(test_lock_sleeps_until_released),
        cmocka_unit_test(test_thread_start),
        cmocka_unit_test(test_monitor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
