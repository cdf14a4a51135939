#include "net/loop.h"

#include <stdatomic.h>
#include <stddef.h>

#include "base/memory.h"
#include "os/clock.h"
#include "os/lock.h"

enum { EVENTS_A_TURN = 256, FULL_WAIT_US = 100, FULL_WAITS_MAX = 1000 };

// The loop whose turn this thread is in.
static _Thread_local struct loop *current;

struct message {
    void (*run)(void *argument);
    void *argument;
};

struct loop {
    struct poller *poller;
    struct list_node timers; // few, so unsorted
    struct poller_event events[EVENTS_A_TURN];
    int event_count, event_next; // those fetched and not told yet
    struct lock posts_lock;      // guards the queue
    struct message *posts;
    size_t post_count, post_capacity;
    struct message *running; // the queue being run; the two arrays change places
    size_t running_capacity;
    atomic_bool posted; // whether the poller has been woken for what is in the queue
};

struct loop *loop_create(void) {
    struct poller *poller = poller_create();
    if (!poller) return NULL;
    struct loop *loop = mem_calloc(1, sizeof *loop);
    loop->poller = poller;
    list_init(&loop->timers);
    return loop;
}

void loop_destroy(struct loop *loop) {
    poller_destroy(loop->poller);
    mem_free(loop->posts);
    mem_free(loop->running);
    mem_free(loop);
}

int loop_add(struct loop *loop, struct source *source) {
    return poller_add(loop->poller, source->fd, source);
}

int loop_add_level(struct loop *loop, struct source *source) {
    return poller_add_level(loop->poller, source->fd, source);
}

void loop_remove(struct loop *loop, struct source *source) {
    poller_remove(loop->poller, source->fd);
    for (int i = loop->event_next; i < loop->event_count; i++)
        if (loop->events[i].source == source) loop->events[i].source = NULL;
}

void loop_timer_set(struct loop *loop, struct timer *timer, int64_t at_us) {
    timer->at_us = at_us;
    list_remove(&timer->node);
    list_append(&loop->timers, &timer->node);
}

void loop_timer_cancel(struct timer *timer) {
    list_remove(&timer->node);
}

void loop_post(struct loop *loop, void (*run)(void *argument), void *argument) {
    lock_acquire(&loop->posts_lock);
    // Not for ever: the loop may itself wait for its poster (for room in its queue, or at the gate).
    for (int i = 0; loop->post_count >= LOOP_POSTS_MAX && loop != current && i < FULL_WAITS_MAX; i++) {
        lock_release(&loop->posts_lock);
        poller_wake(loop->poller);
        clock_sleep_us(FULL_WAIT_US);
        lock_acquire(&loop->posts_lock);
    }
    if (loop->post_count == loop->post_capacity) {
        loop->post_capacity = loop->post_capacity ? loop->post_capacity * 2 : 16;
        loop->posts = mem_realloc(loop->posts, loop->post_capacity * sizeof *loop->posts);
    }
    loop->posts[loop->post_count++] = (struct message){run, argument};
    lock_release(&loop->posts_lock);
    if (!atomic_exchange(&loop->posted, true)) poller_wake(loop->poller);
}

void loop_wake(struct loop *loop) {
    poller_wake(loop->poller);
}

static void run_posts(struct loop *loop) {
    if (!atomic_load_explicit(&loop->posted, memory_order_acquire)) return;
    atomic_store(&loop->posted, false);
    lock_acquire(&loop->posts_lock);
    struct message *posts = loop->posts;
    size_t count = loop->post_count, capacity = loop->post_capacity;
    loop->posts = loop->running;
    loop->post_capacity = loop->running_capacity;
    loop->post_count = 0;
    loop->running = posts;
    loop->running_capacity = capacity;
    lock_release(&loop->posts_lock);
    for (size_t i = 0; i < count; i++)
        posts[i].run(posts[i].argument);
}

// Until when the turn may wait: for the earliest timer, and not longer than `wait_us`.
static int64_t wait_until(const struct loop *loop, int64_t wait_us) {
    if (wait_us == 0) return POLLER_NO_WAIT;
    int64_t until_us = wait_us > 0 ? clock_mono_us() + wait_us : INT64_MAX;
    LIST_EACH(node, (struct list_node *)&loop->timers) {
        int64_t at_us = LIST_ENTRY(node, struct timer, node)->at_us;
        if (at_us < until_us) until_us = at_us;
    }
    return until_us == INT64_MAX ? POLLER_NO_END : until_us;
}

static void run_timers(struct loop *loop) {
    if (list_empty(&loop->timers)) return;
    int64_t now = clock_mono_us();
    // Taken out first: a timer that sets itself again runs in a later turn.
    struct list_node due;
    list_init(&due);
    LIST_EACH(node, &loop->timers) {
        if (LIST_ENTRY(node, struct timer, node)->at_us > now) continue;
        list_remove(node);
        list_append(&due, node);
    }
    while (!list_empty(&due)) {
        struct timer *timer = LIST_ENTRY(due.next, struct timer, node);
        list_remove(&timer->node);
        timer->run(timer);
    }
}

void loop_turn(struct loop *loop, int64_t wait_us, void (*waited)(void *context), void *context) {
    current = loop;
    if (atomic_load_explicit(&loop->posted, memory_order_acquire)) wait_us = 0;
    int fetched = poller_fetch(loop->poller, EVENTS_A_TURN, wait_until(loop, wait_us));
    if (waited) waited(context);
    // Only now, inside the gate: whoever was exclusive meanwhile may have looked through the events.
    loop->event_next = 0;
    loop->event_count = poller_collect(loop->poller, fetched, loop->events);
    while (loop->event_next < loop->event_count) {
        struct poller_event event = loop->events[loop->event_next++];
        struct source *source = event.source;
        if (source) source->ready(source, event.events);
    }
    run_posts(loop);
    run_timers(loop);
}
