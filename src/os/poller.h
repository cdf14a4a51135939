// poller: epoll, edge-triggered, an eventfd to wake it and a timerfd to end its waits: one that is set stays set for the
// next waits, while a timeout would be set up and taken down with each. Belongs to one thread, except poller_wake.
#ifndef SHOAL_OS_POLLER_H
#define SHOAL_OS_POLLER_H

#include <stdbool.h>
#include <stdint.h>

enum {
    POLLER_READ = 1,
    POLLER_WRITE = 2,
    POLLER_HANGUP = 4, // the peer closed, or an error is pending: a read will tell
};

struct poller;

struct poller_event {
    void *source;    // as given to poller_add
    uint32_t events; // POLLER_*
};

// NULL with errno set when the system refuses.
struct poller *poller_create(void);
void poller_destroy(struct poller *poller);

// Watches `fd` for reading and writing, once for each change of state ("edge"): whoever is told reads until there is
// no more. 0 or an errno.
int poller_add(struct poller *poller, int fd, void *source);

// As poller_add, but told again as long as bytes or connections wait ("level"), and for reading only.
int poller_add_level(struct poller *poller, int fd, void *source);
void poller_remove(struct poller *poller, int fd);

// Waits at most `timeout_us` (0: not at all; negative: for ever) and fills up to `limit` events; returns how many.
// A wake ends the wait and is not reported as an event.
int poller_wait(struct poller *poller, struct poller_event *events, int limit, int64_t timeout_us);

// The two halves of poller_wait, for a thread that must go through a gate between the wait and the look at what came:
// fetch waits until `until_us` of the monotonic clock (or POLLER_NO_WAIT, POLLER_NO_END) and returns how many events there
// are; collect fills them (fewer, when a wake was among them). A wait may end early, with nothing.
enum { POLLER_NO_WAIT = 0, POLLER_NO_END = -1 };
int poller_fetch(struct poller *poller, int limit, int64_t until_us);
int poller_collect(struct poller *poller, int fetched, struct poller_event *events);

// Ends the current or the next wait. Thread: any, signal handlers too.
void poller_wake(struct poller *poller);

#endif
