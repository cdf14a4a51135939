#include "os/poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/memory.h"
#include "os/clock.h"

enum { EVENTS_MAX = 512 };

struct poller {
    int epoll;
    int wake, alarm;
    int64_t alarm_us; // when the alarm rings, or rang last
    struct epoll_event ready[EVENTS_MAX];
};

// Edge-triggered: every wake, and every ring of the alarm, is a new edge, so that neither ever has to be read.
static bool watch_silently(struct poller *poller, int fd) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    return fd >= 0 && epoll_ctl(poller->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void close_if_open(int fd) {
    if (fd >= 0) close(fd);
}

struct poller *poller_create(void) {
    struct poller *poller = mem_calloc(1, sizeof *poller);
    poller->epoll = epoll_create1(EPOLL_CLOEXEC);
    poller->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    poller->alarm = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (watch_silently(poller, poller->wake) && watch_silently(poller, poller->alarm)) return poller;
    int error = errno;
    poller_destroy(poller);
    errno = error;
    return NULL;
}

void poller_destroy(struct poller *poller) {
    close_if_open(poller->alarm);
    close_if_open(poller->wake);
    close_if_open(poller->epoll);
    mem_free(poller);
}

static int add(struct poller *poller, int fd, void *source, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = source};
    return epoll_ctl(poller->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

int poller_add(struct poller *poller, int fd, void *source) {
    return add(poller, fd, source, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

int poller_add_level(struct poller *poller, int fd, void *source) {
    return add(poller, fd, source, EPOLLIN);
}

void poller_remove(struct poller *poller, int fd) {
    epoll_ctl(poller->epoll, EPOLL_CTL_DEL, fd, NULL);
}

static uint32_t translate(uint32_t events) {
    uint32_t result = 0;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) result |= POLLER_READ;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) result |= POLLER_WRITE;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) result |= POLLER_HANGUP;
    return result;
}

// Sees to it that the alarm rings by `until_us`: one that is set to ring earlier will do.
static void set_alarm(struct poller *poller, int64_t now_us, int64_t until_us) {
    if (poller->alarm_us > now_us && poller->alarm_us <= until_us) return;
    struct itimerspec at = {.it_value = {until_us / 1000000, until_us % 1000000 * 1000}};
    timerfd_settime(poller->alarm, TFD_TIMER_ABSTIME, &at, NULL);
    poller->alarm_us = until_us;
}

int poller_fetch(struct poller *poller, int limit, int64_t until_us) {
    if (limit > EVENTS_MAX) limit = EVENTS_MAX;
    int timeout = -1;
    if (until_us != POLLER_NO_END) {
        int64_t now_us = until_us == POLLER_NO_WAIT ? 0 : clock_mono_us();
        if (until_us <= now_us)
            timeout = 0;
        else
            set_alarm(poller, now_us, until_us);
    }
    int count = epoll_wait(poller->epoll, poller->ready, limit, timeout);
    return count > 0 ? count : 0;
}

int poller_collect(struct poller *poller, int fetched, struct poller_event *events) {
    int filled = 0;
    for (int i = 0; i < fetched; i++) {
        if (!poller->ready[i].data.ptr) continue;
        events[filled].source = poller->ready[i].data.ptr;
        events[filled++].events = translate(poller->ready[i].events);
    }
    return filled;
}

int poller_wait(struct poller *poller, struct poller_event *events, int limit, int64_t timeout_us) {
    int64_t until_us = timeout_us > 0 ? clock_mono_us() + timeout_us : timeout_us < 0 ? POLLER_NO_END : POLLER_NO_WAIT;
    return poller_collect(poller, poller_fetch(poller, limit, until_us), events);
}

void poller_wake(struct poller *poller) {
    uint64_t one = 1;
    ssize_t ignored = write(poller->wake, &one, sizeof one);
    (void)ignored;
}
