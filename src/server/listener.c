#include "server/listener.h"

#include <stdatomic.h>
#include <string.h>

#include "base/counter.h"
#include "bus/bus.h"
#include "call/settings.h"
#include "net/acceptor.h"
#include "os/lock.h"
#include "os/socket.h"
#include "server/crew.h"
#include "server/worker.h"

enum { ACCEPTS_A_TURN = 1000 };

struct listener_rules listener_rules = {.max_clients = 10000, .protect = true};
static uint64_t rejected; // counted by the host, read by anybody
static struct lock changing_hands; // guards the two below, while workers are called away and others take over
static struct acceptor acceptor;
static _Atomic unsigned host; // whose loop watches; changed by itself only

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
    counter_add(&rejected, 1);
}

static bool is_foreign(int fd) {
    char address[SOCKET_NAME_MAX];
    uint16_t port;
    if (!socket_peer_name(fd, address, &port)) return true;
    return strcmp(address, "127.0.0.1") != 0 && strcmp(address, "::1") != 0;
}

static void accepted(int fd, bool is_unix) {
    if (workers_clients() + bus_connections() >= listener_rules.max_clients)
        refuse(fd, "-ERR max number of clients reached\r\n");
    else if (listener_rules.protect && !settings.requirepass[0] && !is_unix && is_foreign(fd))
        refuse(fd, protected_text);
    else
        workers_adopt(host, fd, is_unix);
}

void listener_start(void) {
    acceptor_init(&acceptor, worker_loop(worker_at(0)), "client connection", ACCEPTS_A_TURN, accepted);
}

// On worker number `argument`, unless it was called away before it began: then another one has been asked.
static void become_host(void *argument) {
    unsigned worker = (unsigned)(uintptr_t)argument;
    lock_acquire(&changing_hands);
    if (host == worker) acceptor_enter(&acceptor);
    lock_release(&changing_hands);
}

static void hand_over(unsigned to) {
    acceptor_leave(&acceptor, worker_loop(worker_at(to)));
    host = to;
    loop_post(worker_loop(worker_at(to)), become_host, (void *)(uintptr_t)to);
}

void listener_leave(unsigned worker) {
    lock_acquire(&changing_hands);
    // Looked for only now: whoever is detained from here on finds itself the host, and leaves in turn.
    unsigned free_worker = crew_place(crew_now(), 0);
    if (host == worker && free_worker != worker) hand_over(free_worker);
    lock_release(&changing_hands);
}

int listener_open_tcp(const char *address, uint16_t port, int backlog) {
    return acceptor_add(&acceptor, socket_listen_tcp(address, port, backlog), false);
}

int listener_open_unix(const char *path, unsigned mode, int backlog) {
    return acceptor_add(&acceptor, socket_listen_unix(path, mode, backlog), true);
}

void listener_close_all(void) {
    acceptor_close(&acceptor);
}

bool listener_exists(void) {
    return acceptor.count > 0;
}

uint64_t listener_rejected(void) {
    return counter_read(&rejected);
}
