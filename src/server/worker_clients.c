// Connections come, go, and move from worker to worker.
//
// A move is the old worker's doing: between two commands of the client, when nobody else knows it by its
// worker, it takes it out of its own lists and its poller, and posts it to the new one. On its way it is in
// no worker's lists, and nobody misses it: those who look for a client by its worker look for such as wait,
// follow, monitor or track, and these stay. Whoever is exclusive meanwhile finds its session among all
// others, and may kill it: the new worker sees that.
#include <stdio.h>
#include <string.h>

#include "base/counter.h"
#include "base/memory.h"
#include "call/watches.h"
#include "os/socket.h"
#include "server/crew.h"
#include "server/worker_private.h"

// Of all workers: their own counts do not add up while a client moves.
static _Atomic unsigned client_count;

static struct connection **chain_of(struct worker *worker, uint64_t id) {
    return &worker->by_id[id % WORKER_IDS];
}

struct connection *worker_find(struct worker *worker, uint64_t id) {
    struct connection *connection = *chain_of(worker, id);
    while (connection && connection->session.id != id)
        connection = connection->next_by_id;
    return connection;
}

// Makes the connection the worker's, which counts it already. False: its poller does not take it.
static bool join(struct worker *worker, struct connection *connection) {
    list_append(&worker->connections, &connection->all);
    struct connection **chain = chain_of(worker, connection->session.id);
    connection->next_by_id = *chain;
    *chain = connection;
    return loop_add(worker->loop, &connection->source) == 0;
}

// Takes it out of all that its worker has of it.
static void leave(struct connection *connection) {
    struct worker *worker = connection->worker;
    loop_remove(worker->loop, &connection->source);
    struct connection **link = chain_of(worker, connection->session.id);
    while (*link != connection)
        link = &(*link)->next_by_id;
    *link = connection->next_by_id;
    list_remove(&connection->ready);
    list_remove(&connection->dirty);
    list_remove(&connection->hungry);
    if (!list_empty(&connection->parked)) worker->blocked--;
    list_remove(&connection->parked);
    list_remove(&connection->unsettled);
    list_remove(&connection->all);
    worker->clients--;
}

void worker_close(struct connection *connection) {
    struct worker *worker = connection->worker;
    struct session *session = &connection->session;
    worker_hooks.closing(session);
    watches_clear(session, worker->dispatcher.keyspace, false);
    leave(connection);
    socket_close(connection->source.fd);
    list_append(&worker->dead, &connection->all); // the wave may still name it; freed at the end of the turn
    session->closing = true;
    client_count--;
}

void worker_free_dead(struct worker *worker) {
    while (!list_empty(&worker->dead)) {
        struct connection *connection = LIST_ENTRY(worker->dead.next, struct connection, all);
        list_remove(&connection->all);
        session_close(&connection->session);
        resp_parser_free(&connection->parser);
        buffer_free(&connection->input);
        mem_free(connection);
    }
}

static void name_endpoints(struct session *session, int fd, bool unix_socket) {
    char text[SOCKET_NAME_MAX];
    uint16_t port;
    socket_local_name(fd, text, &port);
    const char *bracket = strchr(text, ':') && !unix_socket ? "[" : "", *end = *bracket ? "]" : "";
    snprintf(session->local_address, sizeof session->local_address, "%s%.100s%s:%u", bracket, text, end,
             port);
    if (unix_socket) {
        memcpy(session->address, session->local_address, sizeof session->address);
        return;
    }
    socket_peer_name(fd, text, &port);
    bracket = strchr(text, ':') ? "[" : "", end = *bracket ? "]" : "";
    snprintf(session->address, sizeof session->address, "%s%.100s%s:%u", bracket, text, end, port);
}

// --- They arrive.

static void receive_all(void *worker) {
    worker_receive(worker);
}

// Puts the connection into the worker's inbox, taking it from the worker that has it, if one does. False: this one is
// detained and takes nobody. Thread: that of the worker that has it, or whoever has just made it.
static bool hand_to(struct worker *to, struct connection *connection) {
    lock_acquire(&to->inbox.lock);
    bool takes_it = !to->inbox.closed;
    if (takes_it) {
        if (connection->worker) leave(connection);
        bool first = list_empty(&to->inbox.connections);
        list_append(&to->inbox.connections, &connection->all);
        to->clients++;
        connection->worker = to;
        connection->session.worker = (uint16_t)to->index;
        if (first) loop_post(to->loop, receive_all, to);
    }
    lock_release(&to->inbox.lock);
    return takes_it;
}

static void receive(struct worker *worker, struct connection *connection) {
    bool joined = join(worker, connection);
    if (!joined || connection->session.closing) {
        worker_close(connection);
        return;
    }
    if (connection->session.close_after_reply) mark_dirty(connection);
    if (connection->input.size) enlist(&worker->ready, &connection->ready);
}

void worker_receive(struct worker *worker) {
    struct list_node arrived;
    lock_acquire(&worker->inbox.lock);
    move_list(&arrived, &worker->inbox.connections);
    lock_release(&worker->inbox.lock);
    while (!list_empty(&arrived)) {
        struct connection *connection = LIST_ENTRY(arrived.next, struct connection, all);
        list_remove(&connection->all);
        receive(worker, connection);
    }
}

// Others know a session by this worker from the moment it is put into the inbox.
struct session *worker_session(struct worker *worker, uint64_t session_id) {
    struct connection *connection = worker_find(worker, session_id);
    if (!connection) {
        worker_receive(worker);
        connection = worker_find(worker, session_id);
    }
    return connection ? &connection->session : NULL;
}

// --- New ones.

static struct connection *create(int fd, bool unix_socket) {
    struct connection *connection = mem_calloc(1, sizeof *connection);
    connection->source = (struct source){.fd = fd, .ready = worker_connection_ready};
    list_init(&connection->all);
    list_init(&connection->ready);
    list_init(&connection->dirty);
    list_init(&connection->hungry);
    list_init(&connection->parked);
    list_init(&connection->unsettled);
    struct session *session = &connection->session;
    session_open(session, 0, SESSION_NORMAL);
    session->fd = fd;
    session->unix_socket = unix_socket;
    session->authenticated = settings.requirepass[0] == '\0';
    session->connection = connection;
    name_endpoints(session, fd, unix_socket);
    return connection;
}

void workers_adopt(unsigned here, int fd, bool unix_socket) {
    static uint64_t next_number;
    if (!unix_socket) {
        socket_set_nodelay(fd, true);
        socket_set_keepalive(fd, connection_limits.keepalive_seconds);
    }
    struct connection *connection = create(fd, unix_socket);
    connection->number = next_number++;
    client_count++; // before it arrives anywhere: maxclients must hold
    counter_add(&worker_at(here)->network.connections, 1);
    while (!hand_to(worker_at(crew_first_place(connection->number)), connection))
        ; // it was detained meanwhile, and the next place is another
}

// --- They move.

static bool is_tied(const struct session *session) {
    return session->tied || session->kind != SESSION_NORMAL || session->monitor || session->replica;
}

static bool is_between_commands(const struct session *session) {
    return session->waiting == WAIT_NOTHING && !session->transaction.open && list_empty(&session->watches);
}

static bool may_move(const struct connection *connection) {
    const struct session *session = &connection->session;
    bool stays_open = !session->closing && !session->close_after_reply && !connection->protocol_error;
    bool all_sent = !connection->blocked && session_output_size(session) == 0;
    return stays_open && all_sent && is_between_commands(session) && !is_tied(session);
}

// To its place, when that is elsewhere and it may.
static void settle(struct worker *worker, struct connection *connection) {
    if (!may_move(connection)) return;
    struct worker *to;
    do { // whoever takes nobody was detained meanwhile, and the place is another: a worker that is held up can't look later
        uint32_t crew = crew_now();
        connection->crew = crew;
        to = worker_at(crew_place(crew, connection->number));
    } while (to != worker && !hand_to(to, connection));
}

void worker_settle(struct worker *worker) {
    while (!list_empty(&worker->unsettled)) {
        struct connection *connection = LIST_ENTRY(worker->unsettled.next, struct connection, unsettled);
        list_remove(&connection->unsettled);
        settle(worker, connection);
    }
}

void worker_give_away(struct worker *worker, const struct connection *except) {
    lock_acquire(&worker->inbox.lock);
    worker->inbox.closed = true;
    lock_release(&worker->inbox.lock);
    worker_receive(worker); // whoever had only just been sent here
    LIST_EACH(node, &worker->connections) {
        struct connection *connection = LIST_ENTRY(node, struct connection, all);
        if (connection != except) settle(worker, connection);
    }
}

void worker_take_again(struct worker *worker) {
    lock_acquire(&worker->inbox.lock);
    worker->inbox.closed = false;
    lock_release(&worker->inbox.lock);
}

unsigned workers_clients(void) {
    return client_count;
}

// --- They are looked over.

void worker_look_over(struct worker *worker) {
    uint64_t count = dispatch_exclusive_count();
    if (count == worker->seen_exclusive) return;
    worker->seen_exclusive = count;
    LIST_EACH(node, &worker->connections) {
        struct connection *connection = LIST_ENTRY(node, struct connection, all);
        if (connection->session.closing)
            worker_close(connection);
        else if (connection->session.close_after_reply)
            mark_dirty(connection);
    }
}
