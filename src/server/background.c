#include "server/background.h"

#include <stdatomic.h>

#include "keyspace/keyspace.h"
#include "os/thread.h"

struct job {
    void (*run)(void *argument);
    void *argument;
};

static struct monitor monitor; // guards the ring
static struct job ring[BACKGROUND_JOBS_MAX];
static unsigned first, waiting;
static bool started, stopping;
static struct thread thread;
static _Atomic uint64_t pending, done;

static void work(void *argument) {
    for (;;) {
        monitor_enter(&monitor);
        while (waiting == 0 && !stopping)
            monitor_wait(&monitor, -1);
        if (waiting == 0) {
            monitor_leave(&monitor);
            return;
        }
        struct job job = ring[first];
        first = (first + 1) % BACKGROUND_JOBS_MAX;
        waiting--;
        monitor_leave(&monitor);
        job.run(job.argument);
        atomic_fetch_sub(&pending, 1);
        atomic_fetch_add(&done, 1);
    }
}

void background_start(void) {
    monitor_init(&monitor);
    started = thread_start(&thread, "background", work, NULL) == 0;
}

void background_stop(bool everything) {
    if (!started) return;
    monitor_enter(&monitor);
    stopping = true;
    if (!everything) waiting = 0;
    monitor_notify(&monitor);
    monitor_leave(&monitor);
    thread_join(&thread);
    started = false;
}

static bool add(struct job job) {
    bool fits = false;
    if (!started) return false;
    monitor_enter(&monitor);
    if (waiting < BACKGROUND_JOBS_MAX) {
        ring[(first + waiting++) % BACKGROUND_JOBS_MAX] = job;
        atomic_fetch_add(&pending, 1);
        monitor_notify(&monitor);
        fits = true;
    }
    monitor_leave(&monitor);
    return fits;
}

void background_run(void (*run)(void *argument), void *argument) {
    if (!add((struct job){run, argument})) run(argument);
}

static void free_content(void *content) {
    keyspace_free_detached(content);
}

void background_free(struct detached *content) {
    background_run(free_content, content);
}

uint64_t background_pending(void) {
    return atomic_load(&pending);
}

uint64_t background_done(void) {
    return atomic_load(&done);
}
