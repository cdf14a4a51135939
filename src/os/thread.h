// thread: starting and joining threads; a mutex with a condition for the slow paths.
#ifndef SHOAL_OS_THREAD_H
#define SHOAL_OS_THREAD_H

#include <pthread.h>
#include <stdint.h>

struct thread {
    pthread_t handle;
};

// Starts `run(argument)` on a thread named `name` (at most 15 bytes) with all signals blocked, so that only the main
// thread receives them. 0, or an errno.
int thread_start(struct thread *thread, const char *name, void (*run)(void *argument), void *argument);

void thread_join(struct thread *thread);

// Lets it end by itself; it is not joined.
void thread_detach(struct thread *thread);

// The calling thread's sleeps and waits end when they are due, not up to 50 us later, as is the system's habit.
void thread_sleep_exactly(void);

// A mutex and a condition that go together.
struct monitor {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
};

void monitor_init(struct monitor *monitor);
void monitor_destroy(struct monitor *monitor);
void monitor_enter(struct monitor *monitor);
void monitor_leave(struct monitor *monitor);

// Waits for monitor_notify, at most `timeout_us` (negative: for ever). Called inside the monitor; may wake for nothing.
void monitor_wait(struct monitor *monitor, int64_t timeout_us);
void monitor_notify(struct monitor *monitor);

#endif
