// The loop: timers, messages of many threads, sources that go while others are told.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "net/loop.h"
#include "os/clock.h"
#include "os/thread.h"

static struct loop *loop;

static int open_loop(void **state) {
    loop = loop_create();
    return loop ? 0 : -1;
}

static int close_loop(void **state) {
    loop_destroy(loop);
    return 0;
}

static int order[16], ordered;

struct named_timer {
    struct timer timer;
    int name, again;
};

static void note(struct timer *timer) {
    struct named_timer *named = LIST_ENTRY(timer, struct named_timer, timer);
    order[ordered++] = named->name;
    if (named->again-- > 0) loop_timer_set(loop, timer, clock_mono_us());
}

static void timers_run_when_due_and_may_be_set_again(void **state) {
    struct named_timer a = {.name = 1, .again = 1}, b = {.name = 2}, c = {.name = 3};
    int64_t now = clock_mono_us();
    ordered = 0;
    timer_init(&a.timer, note);
    timer_init(&b.timer, note);
    timer_init(&c.timer, note);
    loop_timer_set(loop, &a.timer, now);
    loop_timer_set(loop, &b.timer, now + 60 * 1000000ll);
    loop_timer_set(loop, &c.timer, now);
    loop_timer_cancel(&c.timer);
    loop_turn(loop, -1, NULL, NULL);
    assert_int_equal(ordered, 1); // the timer that set itself again waits for the next turn
    loop_turn(loop, -1, NULL, NULL);
    assert_int_equal(ordered, 2);
    loop_timer_set(loop, &b.timer, clock_mono_us() + 20000); // moved nearer
    int64_t before = clock_mono_us();
    while (ordered < 3)
        loop_turn(loop, -1, NULL, NULL);
    assert_true(clock_mono_us() - before >= 19000);
    assert_int_equal(order[2], 2);
}

enum { POSTERS = 3, POSTS = 20000 };

static unsigned got[POSTERS];
static bool in_order;

static void receive(void *argument) {
    uintptr_t message = (uintptr_t)argument;
    unsigned poster = (unsigned)(message >> 32), number = (unsigned)message;
    if (number != got[poster]) in_order = false;
    got[poster]++;
}

static void post_many(void *argument) {
    for (uintptr_t i = 0; i < POSTS; i++)
        loop_post(loop, receive, (void *)((uintptr_t)argument << 32 | i));
}

static void messages_of_many_threads_come_in_order(void **state) {
    struct thread threads[POSTERS];
    in_order = true;
    for (uintptr_t i = 0; i < POSTERS; i++) {
        got[i] = 0;
        assert_int_equal(thread_start(&threads[i], "poster", post_many, (void *)i), 0);
    }
    // Each wait is without bound: a wake that gets lost would hang.
    while (got[0] + got[1] + got[2] < POSTERS * POSTS)
        loop_turn(loop, -1, NULL, NULL);
    for (int i = 0; i < POSTERS; i++)
        thread_join(&threads[i]);
    assert_true(in_order);
}

static unsigned counted;

static void count(void *argument) {
    counted++;
}

static void post_beyond_the_limit(void *argument) {
    for (int i = 0; i < LOOP_POSTS_MAX + 100; i++)
        loop_post(loop, count, NULL);
}

static void its_own_thread_never_waits_for_room(void **state) {
    counted = 0;
    loop_post(loop, post_beyond_the_limit, NULL);
    int64_t before = clock_mono_ms();
    loop_turn(loop, 0, NULL, NULL);
    loop_turn(loop, 0, NULL, NULL);
    assert_int_equal(counted, LOOP_POSTS_MAX + 100);
    assert_true(clock_mono_ms() - before < 5000);
}

static atomic_bool all_posted;

enum { LATE_POSTS = 3 }; // each waits as long as a post may

static void post_to_a_loop_that_stands(void *argument) {
    for (int i = 0; i < LOOP_POSTS_MAX + LATE_POSTS; i++)
        loop_post(loop, count, NULL);
    all_posted = true;
}

// A poster may be what the loop's thread waits for: it must come through without a turn.
static void a_full_queue_does_not_stop_its_posters(void **state) {
    struct thread thread;
    counted = 0;
    all_posted = false;
    assert_int_equal(thread_start(&thread, "poster", post_to_a_loop_that_stands, NULL), 0);
    thread_join(&thread);
    assert_true(all_posted);
    while (counted < LOOP_POSTS_MAX + LATE_POSTS)
        loop_turn(loop, -1, NULL, NULL);
}

struct pair {
    struct source source;
    int other;
    unsigned told;
    struct pair *victim;
};

static void told(struct source *source, uint32_t events) {
    struct pair *pair = LIST_ENTRY(source, struct pair, source);
    if (!(events & POLLER_READ)) return;
    pair->told++;
    if (pair->victim) loop_remove(loop, &pair->victim->source);
}

static void open_pair(struct pair *pair) {
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    *pair = (struct pair){.source = {.fd = fds[0], .ready = told}, .other = fds[1]};
    assert_int_equal(loop_add(loop, &pair->source), 0);
}

static void a_source_removed_by_another_is_not_told(void **state) {
    struct pair a, b;
    open_pair(&a);
    open_pair(&b);
    loop_turn(loop, 0, NULL, NULL); // both are writable
    a.victim = &b;
    b.victim = &a;
    assert_int_equal(write(a.other, "x", 1), 1);
    assert_int_equal(write(b.other, "x", 1), 1);
    loop_turn(loop, -1, NULL, NULL);
    loop_turn(loop, 0, NULL, NULL);
    assert_int_equal(a.told + b.told, 1);
    close(a.source.fd);
    close(a.other);
    close(b.source.fd);
    close(b.other);
}

static void an_edge_is_told_once_a_level_again(void **state) {
    struct pair edge, level;
    int fds[2];
    open_pair(&edge);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    level = (struct pair){.source = {.fd = fds[0], .ready = told}, .other = fds[1]};
    assert_int_equal(loop_add_level(loop, &level.source), 0);
    assert_int_equal(write(edge.other, "x", 1), 1);
    assert_int_equal(write(level.other, "x", 1), 1);
    for (int i = 0; i < 3; i++)
        loop_turn(loop, 0, NULL, NULL);
    assert_int_equal(edge.told, 1);
    assert_int_equal(level.told, 3);
    loop_remove(loop, &edge.source);
    loop_remove(loop, &level.source);
    close(edge.source.fd);
    close(edge.other);
    close(fds[0]);
    close(fds[1]);
}

static void note_wait(void *context) {
    ++*(unsigned *)context;
    assert_int_equal(counted, 0); // before anything runs
}

static void what_follows_the_wait_comes_first(void **state) {
    unsigned waits = 0;
    counted = 0;
    loop_post(loop, count, NULL);
    loop_turn(loop, -1, note_wait, &waits);
    assert_int_equal(waits, 1);
    assert_int_equal(counted, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_run_when_due_and_may_be_set_again, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(messages_of_many_threads_come_in_order, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(its_own_thread_never_waits_for_room, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(a_full_queue_does_not_stop_its_posters, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(a_source_removed_by_another_is_not_told, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(an_edge_is_told_once_a_level_again, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(what_follows_the_wait_comes_first, open_loop, close_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
