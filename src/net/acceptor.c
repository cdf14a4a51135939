#include "net/acceptor.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "os/clock.h"
#include "os/socket.h"

enum { REST_US = 100 * 1000, COMPLAIN_EVERY_US = 1000 * 1000 };

static void complain(struct acceptor *acceptor, int error) {
    if (log_is_due(&acceptor->complain_at_us, clock_mono_us(), COMPLAIN_EVERY_US))
        log_write(LOG_WARNING, "Accepting %s: %s", acceptor->what, strerror(error));
}

// 0 or an errno.
static int watch(struct acceptor_socket *listener) {
    int error = loop_add_level(listener->acceptor->loop, &listener->source);
    listener->watched = error == 0;
    return error;
}

static void unwatch(struct acceptor_socket *listener) {
    if (listener->watched) loop_remove(listener->acceptor->loop, &listener->source);
    listener->watched = false;
}

// Only this socket: what comes to another one may not need what is missing.
static void rest(struct acceptor_socket *listener) {
    unwatch(listener);
    loop_timer_set(listener->acceptor->loop, &listener->acceptor->rest_over, clock_mono_us() + REST_US);
}

void acceptor_enter(struct acceptor *acceptor) {
    for (unsigned i = 0; i < acceptor->count; i++) {
        struct acceptor_socket *listener = &acceptor->sockets[i];
        if (!listener->watched && watch(listener) != 0) rest(listener); // to watch it, too, takes what the system may lack
    }
}

static void end_rest(struct timer *timer) {
    acceptor_enter(LIST_ENTRY(timer, struct acceptor, rest_over));
}

static void accept_ready(struct source *source, uint32_t events) {
    struct acceptor_socket *listener = LIST_ENTRY(source, struct acceptor_socket, source);
    struct acceptor *acceptor = listener->acceptor;
    if (!listener->watched) return; // closed after this event was fetched: its descriptor may be another's by now
    for (unsigned i = 0; i < acceptor->at_once; i++) {
        int fd = socket_accept(source->fd);
        if (fd == -EAGAIN) return;
        if (fd < 0) {
            complain(acceptor, -fd);
            if (socket_is_shortage(fd)) rest(listener);
            return;
        }
        acceptor->accepted(fd, listener->is_unix);
    }
}

void acceptor_init(struct acceptor *acceptor, struct loop *loop, const char *what, unsigned at_once,
                   void (*accepted)(int fd, bool is_unix)) {
    *acceptor = (struct acceptor){.loop = loop, .what = what, .at_once = at_once, .accepted = accepted};
    timer_init(&acceptor->rest_over, end_rest);
}

int acceptor_add(struct acceptor *acceptor, int fd, bool is_unix) {
    if (fd < 0) return fd;
    if (acceptor->count == ACCEPTOR_SOCKETS_MAX) {
        socket_close(fd);
        return -ENOSPC;
    }
    struct acceptor_socket *listener = &acceptor->sockets[acceptor->count];
    *listener = (struct acceptor_socket){
        .source = {.fd = fd, .ready = accept_ready}, .acceptor = acceptor, .is_unix = is_unix};
    int error = watch(listener);
    if (error)
        socket_close(fd);
    else
        acceptor->count++;
    return -error;
}

void acceptor_leave(struct acceptor *acceptor, struct loop *to) {
    loop_timer_cancel(&acceptor->rest_over);
    for (unsigned i = 0; i < acceptor->count; i++)
        unwatch(&acceptor->sockets[i]);
    acceptor->loop = to;
}

void acceptor_close(struct acceptor *acceptor) {
    while (acceptor->count) {
        struct acceptor_socket *listener = &acceptor->sockets[--acceptor->count];
        unwatch(listener);
        socket_close(listener->source.fd);
    }
}
