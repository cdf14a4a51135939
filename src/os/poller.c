#include "os/poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"

enum { EVENTS_MAX = 512 };

struct poller {
    int epoll;
    int wake;
    struct epoll_event ready[EVENTS_MAX];
};

struct poller *poller_create(void) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) return NULL;
    int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake < 0) {
        close(epoll);
        return NULL;
    }
    struct poller *poller = mem_alloc(sizeof *poller);
    poller->epoll = epoll;
    poller->wake = wake;
    // Edge-triggered: every write to the eventfd is a new edge, so it never has to be read.
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event);
    return poller;
}

void poller_destroy(struct poller *poller) {
    close(poller->wake);
    close(poller->epoll);
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

int poller_fetch(struct poller *poller, int limit, int64_t timeout_us) {
    if (limit > EVENTS_MAX) limit = EVENTS_MAX;
    struct timespec timeout = {timeout_us / 1000000, timeout_us % 1000000 * 1000};
    int count = epoll_pwait2(poller->epoll, poller->ready, limit, timeout_us < 0 ? NULL : &timeout, NULL);
    if (count < 0 && errno == ENOSYS)
        count = epoll_wait(poller->epoll, poller->ready, limit, timeout_us < 0 ? -1 : (int)((timeout_us + 999) / 1000));
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
    return poller_collect(poller, poller_fetch(poller, limit, timeout_us), events);
}

void poller_wake(struct poller *poller) {
    uint64_t one = 1;
    ssize_t ignored = write(poller->wake, &one, sizeof one);
    (void)ignored;
}
