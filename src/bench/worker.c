#include "bench/worker.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"
#include "bench/reply_scan.h"
#include "bench/routes.h"
#include "os/clock.h"
#include "os/poller.h"
#include "os/socket.h"

enum {
    READ_SIZE = 64 << 10,
    EVENTS_MAX = 256,
    REST_MS = 20,     // a client that was told to try again waits so long
    LOOK_UP_MS = 100, // a worker looks at least so often whether it has to stop
    STALL_MS = 15000, // without an answer for so long, a run over a cluster gives up
};

enum client_state {
    CLIENT_RESTING, // has no connection or was told to wait; goes on at wake_ms
    CLIENT_CONNECTING,
    CLIENT_BUSY, // requests are under way
    CLIENT_DONE,
};

struct client {
    struct worker *worker;
    int fd; // -1: none
    enum client_state state;
    unsigned number;
    const struct route_node *node; // in a cluster; of worker->routes
    char *batch;                   // greeting, then options->pipeline requests
    size_t sent;
    size_t to_send;
    unsigned greetings; // replies to the greeting still to come
    unsigned pending;   // replies to requests still to come
    unsigned owed;      // requests of the batch that must be asked again
    bool rest_after;    // the batch met an error that a pause may cure
    int64_t started_ns;
    int64_t wake_ms;
    struct reply_scan scan;
};

struct worker {
    struct load *load;
    struct thread thread;
    struct poller *poller;
    struct client *clients;
    unsigned client_count;
    unsigned active;  // clients that are not CLIENT_DONE
    unsigned resting; // clients that are CLIENT_RESTING
    size_t greeting_size;
    size_t batch_size; // of the requests alone
    const struct routes *routes;
    bool routes_old;
    int64_t answered_ms;      // when a request was last seen to be answered
    uint64_t answered_before; // how many were answered then
    struct prng prng;
    struct histogram latency;
    _Atomic uint64_t requests; // also latency.total and .sum, readable from outside
    _Atomic uint64_t latency_us;
    uint64_t moved, asked, retried, lost;
    char input[READ_SIZE];
};

struct worker *worker_create(struct load *load, unsigned first, unsigned clients) {
    struct worker *worker = mem_calloc(1, sizeof *worker);
    const struct options *options = load->options;
    worker->load = load;
    worker->client_count = clients;
    worker->greeting_size = load->greeting.size;
    worker->batch_size = load->shape->bytes.size * options->pipeline;
    worker->clients = mem_calloc(clients, sizeof *worker->clients);
    prng_seed(&worker->prng, load->seed + first);
    for (unsigned i = 0; i < clients; i++) {
        struct client *client = &worker->clients[i];
        client->worker = worker;
        client->fd = -1;
        client->number = first + i;
        client->batch = mem_alloc(worker->greeting_size + worker->batch_size);
        if (worker->greeting_size) memcpy(client->batch, load->greeting.data, worker->greeting_size);
        for (unsigned copy = 0; copy < options->pipeline; copy++)
            memcpy(client->batch + worker->greeting_size + copy * load->shape->bytes.size,
                   load->shape->bytes.data, load->shape->bytes.size);
    }
    return worker;
}

void worker_destroy(struct worker *worker) {
    for (unsigned i = 0; i < worker->client_count; i++)
        mem_free(worker->clients[i].batch);
    mem_free(worker->clients);
    mem_free(worker);
}

static void set_state(struct client *client, enum client_state state) {
    struct worker *worker = client->worker;
    if (client->state == CLIENT_RESTING) worker->resting--;
    if (state == CLIENT_RESTING) worker->resting++;
    if (state == CLIENT_DONE && client->state != CLIENT_DONE) worker->active--;
    client->state = state;
}

static void rest(struct client *client) {
    set_state(client, CLIENT_RESTING);
    client->wake_ms = clock_mono_ms() + REST_MS;
}

static void disconnect(struct client *client) {
    if (client->fd < 0) return;
    poller_remove(client->worker->poller, client->fd);
    socket_close(client->fd);
    client->fd = -1;
}

static const char *server_name(const struct client *client, uint16_t *port) {
    const struct options *options = client->worker->load->options;
    *port = client->node ? client->node->port : options->port;
    return client->node ? client->node->address : options->host;
}

// The connection broke or was refused. In a cluster its requests are given back and it is made anew, perhaps
// to another node; elsewhere the run ends.
static void lose(struct client *client, const char *why, bool connecting) {
    struct worker *worker = client->worker;
    struct load *load = worker->load;
    if (!load->options->cluster) {
        uint16_t port;
        const char *name = server_name(client, &port);
        if (!connecting)
            load_fail(load, "Error: %s", why);
        else if (load->options->socket)
            load_fail(load, "Could not connect to %s: %s", load->options->socket, why);
        else
            load_fail(load, "Could not connect to %s:%u: %s", name, port, why);
        return;
    }
    disconnect(client);
    atomic_fetch_add_explicit(&load->todo, client->pending + client->owed, memory_order_relaxed);
    client->pending = client->owed = 0;
    worker->lost++;
    worker->routes_old = true;
    rest(client);
}

static void write_batch(struct client *client) {
    while (client->sent < client->to_send) {
        ssize_t put = socket_write(client->fd, client->batch + client->sent, client->to_send - client->sent);
        if (put == -EAGAIN) return;
        if (put < 0) {
            lose(client, strerror((int)-put), false);
            return;
        }
        client->sent += (size_t)put;
    }
}

// Takes `count` requests from what is still to do, the last time perhaps more than there are; false when none
// is left.
static bool take(struct load *load, unsigned count) {
    int64_t todo = atomic_load_explicit(&load->todo, memory_order_relaxed);
    do
        if (todo <= 0) return false;
    while (!atomic_compare_exchange_weak_explicit(&load->todo, &todo, todo - count, memory_order_relaxed,
                                                  memory_order_relaxed));
    return true;
}

// Takes requests and sends them, behind the greeting when the connection is new.
static void send_batch(struct client *client, bool greet) {
    struct worker *worker = client->worker;
    struct load *load = worker->load;
    unsigned count = load->options->pipeline;
    if (!take(load, count)) {
        disconnect(client);
        set_state(client, CLIENT_DONE);
        return;
    }
    struct request_fill fill = {&worker->prng, load->options->keyspace, NULL, 0, load->tag_of_slot};
    if (client->node) {
        fill.slots = client->node->slots;
        fill.slot_count = client->node->slot_count;
    }
    request_fill(load->shape, client->batch + worker->greeting_size, count, &fill);
    set_state(client, CLIENT_BUSY);
    client->greetings = greet ? load->greeting_replies : 0;
    client->pending = count;
    client->owed = 0;
    client->rest_after = false;
    client->sent = greet ? 0 : worker->greeting_size;
    client->to_send = worker->greeting_size + worker->batch_size;
    client->started_ns = clock_mono_ns();
    write_batch(client);
}

static void connect_client(struct client *client) {
    struct worker *worker = client->worker;
    const struct options *options = worker->load->options;
    if (options->socket) {
        client->fd = socket_connect_unix(options->socket);
        if (client->fd >= 0) socket_set_blocking(client->fd, false);
    } else {
        uint16_t port;
        const char *address = server_name(client, &port);
        client->fd = socket_connect_start(address, port, NULL);
        if (client->fd >= 0) socket_set_nodelay(client->fd, true);
    }
    memset(&client->scan, 0, sizeof client->scan);
    if (client->fd < 0) {
        int error = -client->fd;
        client->fd = -1;
        lose(client, strerror(error), true);
        return;
    }
    set_state(client, CLIENT_CONNECTING);
    int error = poller_add(worker->poller, client->fd, client);
    if (error) load_fail(worker->load, "Cannot watch a connection: %s", strerror(error));
}

static void go_on(struct client *client) {
    if (client->fd < 0)
        connect_client(client);
    else
        send_batch(client, false);
}

static bool starts_with(const char *text, const char *word) {
    return strncmp(text, word, strlen(word)) == 0;
}

// An error reply that a client of a cluster follows or waits out; false for any other.
static bool follow(struct client *client, const char *error) {
    struct worker *worker = client->worker;
    if (!worker->load->options->cluster || client->greetings) return false;
    if (starts_with(error, "MOVED ")) {
        worker->moved++;
        worker->routes_old = true;
    } else if (starts_with(error, "ASK ")) {
        worker->asked++;
        worker->routes_old = true;
    } else if (starts_with(error, "TRYAGAIN") || starts_with(error, "CLUSTERDOWN") ||
               starts_with(error, "LOADING") || starts_with(error, "MASTERDOWN") ||
               starts_with(error, "READONLY")) {
        worker->retried++;
        worker->routes_old = true;
        client->rest_after = true;
    } else {
        return false;
    }
    client->owed++;
    return true;
}

// Settles `completed` replies of which the last is an error when `error` is not NULL; false when the run must
// end.
static bool settle(struct client *client, unsigned completed, const char *error, int64_t now_ns) {
    struct worker *worker = client->worker;
    if (completed > client->greetings + client->pending) {
        load_fail(worker->load, "Error: the server sent more replies than were asked for");
        return false;
    }
    bool refused = error && !follow(client, error);
    if (refused) {
        load_fail(worker->load, "Error from server: %s", error);
        return false;
    }
    unsigned greetings = completed < client->greetings ? completed : client->greetings;
    client->greetings -= greetings;
    client->pending -= completed - greetings;
    unsigned good = completed - greetings - (error ? 1 : 0);
    if (!good) return true;
    uint64_t took_us = (uint64_t)((now_ns - client->started_ns) / 1000);
    histogram_record(&worker->latency, took_us, good);
    atomic_store_explicit(&worker->requests, worker->latency.total, memory_order_relaxed);
    atomic_store_explicit(&worker->latency_us, worker->latency.sum, memory_order_relaxed);
    return true;
}

static void finish_batch(struct client *client) {
    struct load *load = client->worker->load;
    if (client->owed) atomic_fetch_add_explicit(&load->todo, client->owed, memory_order_relaxed);
    client->owed = 0;
    if (!load->options->keep_alive) disconnect(client);
    if (client->rest_after)
        rest(client);
    else
        go_on(client);
}

// Feeds what was read to the scanner; false when the run must end.
static bool take_replies(struct client *client, size_t size, int64_t now_ns) {
    size_t at = 0;
    enum reply_found found;
    do {
        unsigned completed = 0;
        found = reply_scan_feed(&client->scan, client->worker->input, size, &at, &completed);
        if (found == REPLY_BROKEN) {
            load_fail(client->worker->load, "Error: the server does not speak RESP");
            return false;
        }
        if (!settle(client, completed, found == REPLY_ERROR ? client->scan.error : NULL, now_ns))
            return false;
    } while (found == REPLY_ERROR);
    return true;
}

// Reads until all replies of the batch are here or no more bytes are. After the last reply none can follow,
// so it is never read once more only to hear that there is nothing.
static void read_replies(struct client *client) {
    struct worker *worker = client->worker;
    while (client->state == CLIENT_BUSY) {
        ssize_t got = socket_read(client->fd, worker->input, READ_SIZE);
        if (got == -EAGAIN) return;
        if (got <= 0) {
            lose(client, got ? strerror((int)-got) : "Server closed the connection", false);
            return;
        }
        if (!take_replies(client, (size_t)got, clock_mono_ns())) return;
        if (!client->greetings && !client->pending) {
            finish_batch(client);
            return;
        }
        if (got < READ_SIZE) return;
    }
}

static void handle(struct client *client, uint32_t events) {
    if (client->state == CLIENT_CONNECTING && events & (POLLER_WRITE | POLLER_HANGUP)) {
        int error = socket_error(client->fd);
        if (error) {
            lose(client, strerror(error), true);
            return;
        }
        send_batch(client, true);
    } else if (client->state == CLIENT_BUSY && events & POLLER_WRITE && client->sent < client->to_send) {
        write_batch(client);
    }
    if (client->state == CLIENT_BUSY && events & POLLER_READ) {
        read_replies(client);
    } else if (client->state == CLIENT_RESTING && client->fd >= 0 && events & POLLER_HANGUP) {
        disconnect(client);
    }
}

// Gives the client the primary that suits its number, or leaves it where it is when that is still a primary.
static void assign(struct client *client, const struct routes *routes) {
    const struct route_node *old = client->node;
    client->node = &routes->nodes[client->number % routes->node_count];
    for (unsigned i = 0; old && i < routes->node_count; i++) {
        const struct route_node *node = &routes->nodes[i];
        if (node->port == old->port && strcmp(node->address, old->address) == 0) client->node = node;
    }
    if (!old || (client->node->port == old->port && strcmp(client->node->address, old->address) == 0)) return;
    if (client->fd < 0) return;
    disconnect(client);
    atomic_fetch_add_explicit(&client->worker->load->todo, client->pending + client->owed,
                              memory_order_relaxed);
    client->pending = client->owed = 0;
    if (client->state != CLIENT_DONE) rest(client);
}

static void adopt_routes(struct worker *worker) {
    const struct routes *fresh = routes_hold();
    if (fresh == worker->routes) {
        routes_release(fresh);
        return;
    }
    for (unsigned i = 0; i < worker->client_count; i++)
        assign(&worker->clients[i], fresh);
    if (worker->routes) routes_release(worker->routes);
    worker->routes = fresh;
}

// What only a run over a cluster needs, between two waits.
static void tend_cluster(struct worker *worker) {
    int64_t now_ms = clock_mono_ms();
    if (worker->latency.total != worker->answered_before) {
        worker->answered_before = worker->latency.total;
        worker->answered_ms = now_ms;
    }
    if (now_ms - worker->answered_ms > STALL_MS)
        load_fail(worker->load, "Error: the cluster answered nothing for %d seconds%s", STALL_MS / 1000,
                  worker->moved ? " but redirections: does the key hold {tag}?" : "");
    if (!worker->routes_old) return;
    worker->routes_old = false;
    routes_refresh(worker->load->options);
    adopt_routes(worker);
}

static void wake_resting(struct worker *worker) {
    int64_t now_ms = clock_mono_ms();
    for (unsigned i = 0; i < worker->client_count && worker->resting; i++) {
        struct client *client = &worker->clients[i];
        if (client->state == CLIENT_RESTING && client->wake_ms <= now_ms) go_on(client);
    }
}

static void run(void *argument) {
    struct worker *worker = argument;
    struct load *load = worker->load;
    struct poller_event events[EVENTS_MAX];
    worker->active = worker->resting = worker->client_count;
    worker->answered_ms = clock_mono_ms();
    if (load->options->cluster) adopt_routes(worker);
    while (worker->active && !atomic_load_explicit(&load->stop, memory_order_relaxed)) {
        if (worker->resting) wake_resting(worker);
        int64_t wait_ms = worker->resting ? REST_MS : LOOK_UP_MS;
        int count = worker->active ? poller_wait(worker->poller, events, EVENTS_MAX, wait_ms * 1000) : 0;
        for (int i = 0; i < count; i++)
            handle(events[i].source, events[i].events);
        if (load->options->cluster) tend_cluster(worker);
    }
    for (unsigned i = 0; i < worker->client_count; i++)
        disconnect(&worker->clients[i]);
    if (worker->routes) routes_release(worker->routes);
    poller_destroy(worker->poller);
    atomic_fetch_sub(&load->running, 1);
    monitor_enter(&load->guard);
    monitor_notify(&load->guard);
    monitor_leave(&load->guard);
}

int worker_start(struct worker *worker) {
    worker->poller = poller_create();
    if (!worker->poller) return errno;
    int error = thread_start(&worker->thread, "bench", run, worker);
    if (error) poller_destroy(worker->poller);
    return error;
}

void worker_join(struct worker *worker) {
    thread_join(&worker->thread);
}

void worker_progress(const struct worker *worker, uint64_t *requests, uint64_t *latency_us) {
    *requests += atomic_load_explicit(&worker->requests, memory_order_relaxed);
    *latency_us += atomic_load_explicit(&worker->latency_us, memory_order_relaxed);
}

void worker_collect(const struct worker *worker, struct load_result *result) {
    histogram_merge(&result->latency, &worker->latency);
    result->requests += worker->latency.total;
    result->moved += worker->moved;
    result->asked += worker->asked;
    result->retried += worker->retried;
    result->lost += worker->lost;
}
