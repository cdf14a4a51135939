#include "os/thread.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/memory.h"
#include "os/memory_use.h"

struct start {
    char name[16];
    void (*run)(void *argument);
    void *argument;
};

static void *run_thread(void *opaque) {
    struct start start = *(struct start *)opaque;
    mem_free(opaque);
    pthread_setname_np(pthread_self(), start.name);
    memory_use_thread_enter();
    start.run(start.argument);
    memory_use_thread_leave();
    return NULL;
}

int thread_start(struct thread *thread, const char *name, void (*run)(void *argument), void *argument) {
    struct start *start = mem_alloc(sizeof *start);
    size_t size = strnlen(name, sizeof start->name - 1);
    memcpy(start->name, name, size);
    start->name[size] = '\0';
    start->run = run;
    start->argument = argument;
    sigset_t all, before;
    sigfillset(&all);
    // The signals that report a crash stay open in every thread.
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread->handle, NULL, run_thread, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) mem_free(start);
    return error;
}

void thread_join(struct thread *thread) {
    pthread_join(thread->handle, NULL);
}

void thread_detach(struct thread *thread) {
    pthread_detach(thread->handle);
}

void thread_sleep_exactly(void) {
    enum { SLACK_NS = 1000 };
    prctl(PR_SET_TIMERSLACK, SLACK_NS, 0, 0, 0);
}

void monitor_init(struct monitor *monitor) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&monitor->mutex, NULL);
    pthread_cond_init(&monitor->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void monitor_destroy(struct monitor *monitor) {
    pthread_cond_destroy(&monitor->changed);
    pthread_mutex_destroy(&monitor->mutex);
}

void monitor_enter(struct monitor *monitor) {
    pthread_mutex_lock(&monitor->mutex);
}

void monitor_leave(struct monitor *monitor) {
    pthread_mutex_unlock(&monitor->mutex);
}

void monitor_wait(struct monitor *monitor, int64_t timeout_us) {
    if (timeout_us < 0) {
        pthread_cond_wait(&monitor->changed, &monitor->mutex);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_us / 1000000;
    until.tv_nsec += timeout_us % 1000000 * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&monitor->changed, &monitor->mutex, &until);
}

void monitor_notify(struct monitor *monitor) {
    pthread_cond_broadcast(&monitor->changed);
}
