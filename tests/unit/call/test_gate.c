// The gate: readers and closers at the same time, nobody inside while it is closed; grace periods.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdatomic.h>

#include "base/memory.h"
#include "call/gate.h"
#include "os/clock.h"
#include "os/thread.h"

enum { READERS = 3, TURNS = 3000, CLOSES = 300 };

static struct gate *gate;
static _Atomic unsigned inside, exclusive, violations;
// Plain on purpose: readers read it inside, closers write it while it is closed. A data race is a failure under TSan.
static uint64_t shared;

static int open_gate(void **state) {
    gate = gate_create(READERS);
    inside = exclusive = violations = 0;
    shared = 0;
    return 0;
}

static int close_gate(void **state) {
    gate_destroy(gate);
    return 0;
}

static void be_exclusive(int reader) {
    gate_close(gate, reader);
    if (exclusive++ || inside) violations++;
    shared++;
    if (--exclusive) violations++;
    gate_open(gate, reader);
}

static void read_turns(void *argument) {
    unsigned reader = (unsigned)(uintptr_t)argument;
    uint64_t last = 0;
    for (int i = 0; i < TURNS; i++) {
        gate_enter(gate, reader);
        inside++;
        if (exclusive || shared < last) violations++;
        last = shared;
        inside--;
        gate_make_way(gate, reader); // a long turn
        inside++;
        if (exclusive || shared < last) violations++;
        last = shared;
        inside--;
        // Now and then a reader needs the server for itself, from inside.
        if (i % (TURNS / CLOSES) == (int)reader) be_exclusive((int)reader);
        gate_leave(gate, reader);
    }
}

static void close_often(void *argument) {
    for (int i = 0; i < CLOSES; i++)
        be_exclusive(GATE_NO_READER);
}

static void nobody_is_inside_while_it_is_closed(void **state) {
    struct thread readers[READERS], closers[2];
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(thread_start(&readers[i], "reader", read_turns, (void *)(uintptr_t)i), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(thread_start(&closers[i], "closer", close_often, NULL), 0);
    for (unsigned i = 0; i < READERS; i++)
        thread_join(&readers[i]);
    for (int i = 0; i < 2; i++)
        thread_join(&closers[i]);
    assert_int_equal(violations, 0);
    assert_int_equal(shared, (READERS + 2) * CLOSES);
    assert_true(gate_turns(gate, 0) >= TURNS);
}

static void a_grace_period_ends_when_each_reader_was_outside(void **state) {
    struct gate_mark mark;
    gate_mark(gate, &mark);
    assert_true(gate_passed(gate, &mark)); // all were out
    gate_enter(gate, 0);
    gate_enter(gate, 2);
    gate_mark(gate, &mark);
    assert_false(gate_passed(gate, &mark));
    gate_leave(gate, 0);
    assert_false(gate_passed(gate, &mark));
    gate_enter(gate, 0); // inside again, but in a later turn
    assert_false(gate_passed(gate, &mark));
    gate_leave(gate, 2);
    assert_true(gate_passed(gate, &mark));
    gate_leave(gate, 0);
}

static atomic_bool closed_now;

static void who_makes_way_for_nobody_stays_inside(void **state) {
    struct gate_mark mark;
    gate_enter(gate, 0);
    gate_mark(gate, &mark);
    assert_false(gate_make_way(gate, 0));
    assert_false(gate_passed(gate, &mark));
    gate_leave(gate, 0);
}

static void close_once(void *argument) {
    be_exclusive(GATE_NO_READER);
}

static void a_reader_that_stays_makes_way(void **state) {
    struct thread closer;
    gate_enter(gate, 0);
    uint64_t before = shared;
    assert_int_equal(thread_start(&closer, "closer", close_once, NULL), 0);
    while (!gate_make_way(gate, 0))
        clock_sleep_us(100);
    assert_true(shared == before + 1);
    gate_leave(gate, 0);
    thread_join(&closer);
}

static void a_grace_period_waits_for_who_is_exclusive(void **state) {
    struct gate_mark mark;
    gate_enter(gate, 0);
    gate_close(gate, 0);
    gate_mark(gate, &mark);
    assert_false(gate_passed(gate, &mark));
    gate_open(gate, 0);
    assert_true(gate_passed(gate, &mark)); // reader 0 is inside, but came in after the mark
    gate_mark(gate, &mark);
    gate_close(gate, 0);
    assert_true(gate_passed(gate, &mark));
    gate_open(gate, 0);
    gate_leave(gate, 0);
}

static void close_and_tell(void *argument) {
    gate_close(gate, GATE_NO_READER);
    closed_now = true;
    gate_open(gate, GATE_NO_READER);
}

static void closing_waits_for_who_is_inside(void **state) {
    struct thread closer;
    closed_now = false;
    gate_enter(gate, 1);
    assert_int_equal(thread_start(&closer, "closer", close_and_tell, NULL), 0);
    clock_sleep_us(50000);
    assert_false(closed_now);
    gate_leave(gate, 1);
    thread_join(&closer);
    assert_true(closed_now);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_is_inside_while_it_is_closed, open_gate, close_gate),
        cmocka_unit_test_setup_teardown(a_grace_period_ends_when_each_reader_was_outside, open_gate, close_gate),
        cmocka_unit_test_setup_teardown(who_makes_way_for_nobody_stays_inside, open_gate, close_gate),
        cmocka_unit_test_setup_teardown(a_reader_that_stays_makes_way, open_gate, close_gate),
        cmocka_unit_test_setup_teardown(a_grace_period_waits_for_who_is_exclusive, open_gate, close_gate),
        cmocka_unit_test_setup_teardown(closing_waits_for_who_is_inside, open_gate, close_gate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
