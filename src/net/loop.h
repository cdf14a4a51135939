// loop: one thread's event loop: sources (sockets), timers, and messages posted by other threads.
// Everything but loop_post and loop_wake belongs to the loop's thread.
#ifndef SHOAL_NET_LOOP_H
#define SHOAL_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "os/poller.h"

struct loop;

// Something with a file descriptor. Embedded in what it belongs to; `ready` is told POLLER_* bits, once for each edge.
struct source {
    int fd;
    void (*ready)(struct source *source, uint32_t events);
};

struct loop *loop_create(void);
void loop_destroy(struct loop *loop);

// 0 or an errno. Level-triggered for listeners: told again as long as something waits.
int loop_add(struct loop *loop, struct source *source);
int loop_add_level(struct loop *loop, struct source *source);

// After this the source is not told again, even of events that were already fetched.
void loop_remove(struct loop *loop, struct source *source);

// A timer, embedded in its owner; `run` is called once at or after `at_us` (monotonic) and may set it again.
struct timer {
    struct list_node node;
    int64_t at_us;
    void (*run)(struct timer *timer);
};
void loop_timer_set(struct loop *loop, struct timer *timer, int64_t at_us); // also moves one that is set
void loop_timer_cancel(struct timer *timer);
static inline void timer_init(struct timer *timer, void (*run)(struct timer *timer)) {
    list_init(&timer->node);
    timer->run = run;
}

// A message to the loop's thread: run(argument) is called in the order of posting. Thread: any. The queue holds
// LOOP_POSTS_MAX messages; a poster waits while it is full, for a tenth of a second at most, so that no two threads wait
// for each other (a loop's own thread never does).
enum { LOOP_POSTS_MAX = 65536 };
void loop_post(struct loop *loop, void (*run)(void *argument), void *argument);
void loop_wake(struct loop *loop);

// Waits for events (at most `wait_us`, less when a timer is due; negative: no bound), then runs what came.
// `waited` (may be NULL) is called after the wait, before anything runs: the worker goes through its gate there.
void loop_turn(struct loop *loop, int64_t wait_us, void (*waited)(void *context), void *context);

#endif
