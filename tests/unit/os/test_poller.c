// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <sys/socket.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/poller.h"
#include "os/thread.h"

enum { ROOM = 16 };

static struct poller *poller;
static struct poller_event events[ROOM];

static int open_poller(void **state) {
    poller = poller_create();
    return poller ? 0 : -1;
}

static int close_poller(void **state) {
    poller_destroy(poller);
    return 0;
}

static void make_pair(int pair[2]) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
}

static void test_edges(void **state) {
    int pair[2], source;
    make_pair(pair);
    assert_int_equal(poller_add(poller, pair[0], &source), 0);
    assert_int_equal(poller_wait(poller, events, ROOM, 1000000), 1);
    assert_ptr_equal(events[0].source, &source);
    assert_int_equal(events[0].events, POLLER_WRITE);
    assert_int_equal(poller_wait(poller, events, ROOM, 0), 0); // said once

    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(poller_wait(poller, events, ROOM, 1000000), 1);
    assert_true(events[0].events & POLLER_READ);
    assert_int_equal(poller_wait(poller, events, ROOM, 0), 0); // although the byte still waits

    close(pair[1]);
    assert_int_equal(poller_wait(poller, events, ROOM, 1000000), 1);
    assert_true(events[0].events & POLLER_HANGUP);
    assert_true(events[0].events & POLLER_READ);
    close(pair[0]);
}

static void test_level(void **state) {
    int pair[2], source;
    make_pair(pair);
    assert_int_equal(poller_add_level(poller, pair[0], &source), 0);
    assert_int_equal(poller_wait(poller, events, ROOM, 0), 0); // writable is not told
    assert_int_equal(write(pair[1], "x", 1), 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(poller_wait(poller, events, ROOM, 1000000), 1);
        assert_true(events[0].events & POLLER_READ);
    }
    poller_remove(poller, pair[0]);
    assert_int_equal(poller_wait(poller, events, ROOM, 0), 0);
    assert_int_not_equal(poller_add(poller, -1, &source), 0);
    close(pair[0]);
    close(pair[1]);
}

static void test_timeout(void **state) {
    int64_t began = clock_mono_us();
    assert_int_equal(poller_wait(poller, events, ROOM, 20000), 0);
    assert_true(clock_mono_us() - began >= 20000);
}

static void test_wake_is_kept(void **state) {
    for (int i = 0; i < 3; i++) {
        poller_wake(poller);
        poller_wake(poller);
        int64_t began = clock_mono_us();
        assert_int_equal(poller_wait(poller, events, ROOM, 60000000), 0);
        assert_true(clock_mono_us() - began < 30000000);
    }
    // The two wakes made one: the next wait waits.
    int64_t began = clock_mono_us();
    assert_int_equal(poller_wait(poller, events, ROOM, 20000), 0);
    assert_true(clock_mono_us() - began >= 20000);
}

// An alarm that is set may serve a later wait, and one that rang must not: every wait ends, and in time.
static void test_waits_of_all_lengths(void **state) {
    static const int64_t lengths[] = {30000, 5000, 20000, 1000, 1, 0, 4000, 4000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        int64_t until = clock_mono_us() + lengths[i], count = 0;
        do {
            assert_int_equal(poller_collect(poller, poller_fetch(poller, ROOM, until), events), 0);
            count++;
        } while (clock_mono_us() < until);
        assert_true(count <= 4); // it may end early, but does not spin
    }
}

static void wake_soon(void *unused) {
    clock_sleep_us(20000);
    poller_wake(poller);
}

static void test_wake_from_another_thread(void **state) {
    struct thread thread;
    assert_int_equal(thread_start(&thread, "waker", wake_soon, NULL), 0);
    assert_int_equal(poller_wait(poller, events, ROOM, -1), 0);
    thread_join(&thread);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_edges, open_poller, close_poller),
        cmocka_unit_test_setup_teardown(test_level, open_poller, close_poller),
        cmocka_unit_test_setup_teardown(test_timeout, open_poller, close_poller),
        cmocka_unit_test_setup_teardown(test_waits_of_all_lengths, open_poller, close_poller),
        cmocka_unit_test_setup_teardown(test_wake_is_kept, open_poller, close_poller),
        cmocka_unit_test_setup_teardown(test_wake_from_another_thread, open_poller, close_poller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
