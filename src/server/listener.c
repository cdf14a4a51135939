#include "server/listener.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "bus/bus.h"
#include "call/settings.h"
#include "net/loop.h"
#include "os/clock.h"
#include "os/socket.h"
#include "server/worker.h"

enum {
    LISTENERS_MAX = 32,
    ACCEPTS_A_TURN = 1000,
    REST_US = 100 * 1000,            // after the system had no descriptor for us
    COMPLAIN_EVERY_US = 1000 * 1000, // about that
};

struct listener {
    struct source source;
    bool unix_socket;
    bool watched; // by its host's loop; else it rests, or its host changes
};

struct listener_rules listener_rules = {.max_clients = 10000, .protect = true};
static struct listener listeners[LISTENERS_MAX];
static unsigned listener_count;
static uint64_t rejected;      // the host's
static _Atomic unsigned host;  // whose loop watches the listeners; changed by itself only

static const char protected_text[] =
    "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set "
    "for the default user. In this mode connections are only accepted from the loopback interface. If you "
    "want to connect from external computers to Redis you may adopt one of the following solutions: 1) "
    "Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback "
    "interface by connecting to Redis from the same host the server is running, however MAKE SURE Redis is "
    "not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. "
    "2) Alternatively you can just disable the protected mode by editing the Redis configuration file, and "
    "setting the protected mode option to 'no', and then restarting the server. 3) If you started the "
    "server manually just for testing, restart it with the '--protected-mode no' option. 4) Set up an "
    "authentication password for the default user. NOTE: You only need to do one of the above things in "
    "order for the server to start accepting connections from the outside.\r\n";

static void refuse(int fd, const char *text) {
    socket_write(fd, text, strlen(text));
    socket_close(fd);
    rejected++;
}

static bool is_foreign(int fd) {
    char address[SOCKET_NAME_MAX];
    uint16_t port;
    if (!socket_peer_name(fd, address, &port)) return true;
    return strcmp(address, "127.0.0.1") != 0 && strcmp(address, "::1") != 0;
}

static struct loop *loop_of_host(void) {
    return worker_loop(worker_at(host));
}

// 0 or an errno.
static int watch(struct listener *listener) {
    int error = loop_add_level(loop_of_host(), &listener->source);
    listener->watched = error == 0;
    return error;
}

static void unwatch(struct listener *listener) {
    if (listener->watched) loop_remove(loop_of_host(), &listener->source);
    listener->watched = false;
}

static void complain(int error) {
    static int64_t next_us;
    if (log_is_due(&next_us, clock_mono_us(), COMPLAIN_EVERY_US))
        log_write(LOG_WARNING, "Accepting client connection: %s", strerror(error));
}

// The host's alone: another worker, which may close the listeners, can't take it back.
static void end_rest(struct timer *timer);
static struct timer rest_over = {.node = {&rest_over.node, &rest_over.node}, .run = end_rest};

// The connection that waits goes on waiting, and the socket would tell of it again and again: so it is left
// alone for a while, in which some client may end.
static void rest(struct listener *listener) {
    unwatch(listener);
    loop_timer_set(loop_of_host(), &rest_over, clock_mono_us() + REST_US);
}

static void watch_all(void) {
    for (unsigned i = 0; i < listener_count; i++) {
        struct listener *listener = &listeners[i];
        if (listener->watched || watch(listener) == 0) continue;
        loop_timer_set(loop_of_host(), &rest_over, clock_mono_us() + REST_US); // it, too, takes what the system may lack
    }
}

static void end_rest(struct timer *timer) {
    watch_all();
}

static void become_host(void *argument) {
    watch_all();
}

void listener_leave(unsigned worker, unsigned to) {
    if (host != worker || to == worker) return;
    loop_timer_cancel(&rest_over);
    for (unsigned i = 0; i < listener_count; i++)
        unwatch(&listeners[i]);
    host = to;
    loop_post(loop_of_host(), become_host, NULL);
}

static void accept_ready(struct source *source, uint32_t events) {
    struct listener *listener = LIST_ENTRY(source, struct listener, source);
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd = socket_accept(source->fd);
        if (fd == -EAGAIN) return;
        if (fd < 0) {
            complain(-fd);
            if (socket_is_shortage(fd)) rest(listener);
            return;
        }
        if (workers_clients() + bus_connections() >= listener_rules.max_clients)
            refuse(fd, "-ERR max number of clients reached\r\n");
        else if (listener_rules.protect && !settings.requirepass[0] && !listener->unix_socket &&
                 is_foreign(fd))
            refuse(fd, protected_text);
        else
            workers_adopt(host, fd, listener->unix_socket);
    }
}

static int add(int fd, bool unix_socket) {
    if (fd < 0) return fd;
    if (listener_count == LISTENERS_MAX) {
        socket_close(fd);
        return -ENOSPC;
    }
    struct listener *listener = &listeners[listener_count++];
    *listener = (struct listener){.source = {.fd = fd, .ready = accept_ready}, .unix_socket = unix_socket};
    return -watch(listener);
}

int listener_open_tcp(const char *address, uint16_t port, int backlog) {
    return add(socket_listen_tcp(address, port, backlog), false);
}

int listener_open_unix(const char *path, unsigned mode, int backlog) {
    return add(socket_listen_unix(path, mode, backlog), true);
}

void listener_close_all(void) {
    while (listener_count) {
        struct listener *listener = &listeners[--listener_count];
        unwatch(listener);
        socket_close(listener->source.fd);
    }
}

bool listener_exists(void) {
    return listener_count > 0;
}

uint64_t listener_rejected(void) {
    return rejected;
}
