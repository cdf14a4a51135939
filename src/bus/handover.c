// Before a shutdown a replica takes our place: we order it to, as an administrator would, over a connection
// to its client port, and wait until it owns our slots. One replica after the other is asked, until one can.
// The connection stays open meanwhile: when it breaks, the replica has died. On the bus thread, but for what
// says otherwise.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "bus/bus_private.h"
#include "bus/heir.h"
#include "os/socket.h"

enum {
    ANSWER_MS = 1000,         // a replica that does not answer within this is passed over
    ELECTION_MARGIN_MS = 600, // beyond the time of a manual failover: its clock and ours
    READ_ROOM = 1024,
};

// What worker 0 has ordered; the texts are copies.
struct task {
    struct bus_handover order;
    char *user, *password;
};

static struct {
    struct task *task; // NULL: none runs
    unsigned next;     // of its heirs
    struct cluster_view_node heir;
    bool asking;    // `connection` is open
    bool connected; // and made
    bool promised;  // the heir has said that it takes over
    struct source connection;
    struct buffer request, answer;
    size_t sent;
    unsigned answers;
    uint64_t patience_until_ms;
} handover;

// --- The end.

struct outcome {
    uint64_t number;
    bool handed_over;
    void (*ended)(uint64_t number, bool handed_over);
};

static void tell(void *argument) {
    struct outcome *outcome = argument;
    outcome->ended(outcome->number, outcome->handed_over);
    mem_free(outcome);
}

static void free_task(struct task *task) {
    if (!task) return;
    mem_free(task->user);
    mem_free(task->password);
    mem_free(task);
}

static void hang_up(void) {
    if (!handover.asking) return;
    loop_remove(bus.loop, &handover.connection);
    socket_close(handover.connection.fd);
    handover.asking = handover.connected = handover.promised = false;
    buffer_free(&handover.request);
    buffer_free(&handover.answer);
}

static void forget(void) {
    hang_up();
    free_task(handover.task);
    handover.task = NULL;
}

static void finish(bool handed_over) {
    struct outcome *outcome = mem_alloc(sizeof *outcome);
    const struct bus_handover *order = &handover.task->order;
    *outcome = (struct outcome){order->number, handed_over, order->ended};
    forget();
    loop_post(bus.worker_loop, tell, outcome);
}

void handover_end(void) {
    forget();
}

// --- Choosing.

static bool can_succeed(const struct cluster_view_node *node, const struct cluster_view_node *myself) {
    const unsigned unfit = CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL | CLUSTER_NODE_HANDSHAKE |
                           CLUSTER_NODE_NOADDR | CLUSTER_NODE_NOFAILOVER;
    return node->flags & CLUSTER_NODE_REPLICA && node->primary_index == myself->index &&
           !(node->flags & unfit);
}

// The node that replicates from us and listens there. Behind an address translation the connection that it
// made to us comes from another address than the one that it announces; then its port must tell, if only one
// has it.
static bool find_heir(const struct bus_heir *heir, struct cluster_view_node *found) {
    struct cluster_view_node myself, node;
    unsigned of_port = 0;
    cluster_view_myself(bus.cluster, &myself);
    for (uint32_t cursor = 0; cluster_view_next(bus.cluster, &cursor, &node);) {
        if (!can_succeed(&node, &myself) || node.port != heir->port) continue;
        *found = node;
        if (strcmp(node.ip, heir->ip) == 0) return true;
        of_port++;
    }
    return of_port == 1;
}

// --- Asking one.

static void ask_next(void);

static void give_up_on_heir(const char *why, struct bytes detail) {
    log_write(LOG_WARNING, "The handover to replica %.40s failed: %s%.*s", handover.heir.id, why,
              (int)detail.size, detail.size ? detail.data : "");
    hang_up();
    ask_next();
}

static bool write_request(void) {
    while (handover.sent < handover.request.size) {
        ssize_t put = socket_write(handover.connection.fd, handover.request.data + handover.sent,
                                   handover.request.size - handover.sent);
        if (put == -EAGAIN) return true;
        if (put < 0) return false;
        handover.sent += (size_t)put;
    }
    return true;
}

static bool read_answer(void) {
    for (;;) {
        buffer_reserve(&handover.answer, READ_ROOM);
        ssize_t got =
            socket_read(handover.connection.fd, handover.answer.data + handover.answer.size, READ_ROOM);
        if (got == -EAGAIN) return true;
        if (got <= 0) return false;
        handover.answer.size += (size_t)got;
        if (handover.answer.size > HEIR_ANSWER_MAX) return true; // the verdict is about that
    }
}

static void judge_answer(void) {
    struct bytes why;
    if (handover.promised) return;
    switch (heir_answer(buffer_bytes(&handover.answer), handover.answers, &why)) {
    case HEIR_WAIT: break;
    case HEIR_REFUSES: give_up_on_heir("it answers ", why); break;
    case HEIR_TAKES_OVER:
        handover.promised = true;
        handover.patience_until_ms =
            bus_now() + bus.config.cluster.manual_failover_timeout + ELECTION_MARGIN_MS;
        break;
    }
}

static void heir_ready(struct source *source, uint32_t events) {
    if (!handover.connected) {
        int error = socket_error(source->fd);
        if (error) {
            give_up_on_heir(strerror(error), BYTES(""));
            return;
        }
        handover.connected = true;
        socket_set_nodelay(source->fd, true);
    }
    bool fine = write_request();
    if (fine && events & POLLER_READ) fine = read_answer();
    if (fine)
        judge_answer();
    else
        give_up_on_heir("the connection broke", BYTES(""));
}

// False: not even a socket could be had.
static bool call_heir(void) {
    int fd = socket_connect_start(handover.heir.ip, handover.heir.port, bus.source_address);
    if (fd < 0) return false;
    handover.connection = (struct source){.fd = fd, .ready = heir_ready};
    handover.asking = true;
    handover.sent = 0;
    handover.answers = heir_request(handover.task->user, handover.task->password, &handover.request);
    handover.patience_until_ms = bus_now() + ANSWER_MS;
    loop_add(bus.loop, &handover.connection);
    return true;
}

static void ask_next(void) {
    const struct bus_handover *order = &handover.task->order;
    while (handover.next < order->heir_count) {
        if (!find_heir(&order->heirs[handover.next++], &handover.heir)) continue;
        log_write(LOG_NOTICE, "Handing my slots over to replica %.40s at %s:%u before the shutdown.",
                  handover.heir.id, handover.heir.ip, handover.heir.port);
        if (call_heir()) return;
    }
    log_write(LOG_WARNING, "No replica could take my slots over.");
    finish(false);
}

// --- From turn to turn.

static bool have_slots(void) {
    struct cluster_view_node myself;
    cluster_view_myself(bus.cluster, &myself);
    return myself.flags & CLUSTER_NODE_PRIMARY && myself.slots;
}

static bool heir_fails(void) {
    struct cluster_view_node now;
    bool known = cluster_view_find(bus.cluster, bytes_of(handover.heir.id, CLUSTER_ID_SIZE), &now);
    return !known || now.flags & (CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL);
}

void handover_look(void) {
    if (!handover.task) return;
    if (!have_slots()) {
        finish(true);
    } else if (bus_now() >= (uint64_t)handover.task->order.until_ms) {
        log_write(LOG_WARNING, "The handover of my slots takes longer than shutdown-timeout allows.");
        finish(false);
    } else if (heir_fails()) {
        give_up_on_heir("it fails", BYTES(""));
    } else if (bus_now() >= handover.patience_until_ms) {
        give_up_on_heir(handover.promised ? "it was not elected in time" : "it does not answer", BYTES(""));
    }
}

static void begin(void *argument) {
    forget();
    handover.task = argument;
    handover.next = 0;
    if (have_slots())
        ask_next();
    else
        finish(true);
}

static void stop(void *nothing) {
    forget();
}

void bus_hand_over(const struct bus_handover *order) {
    struct task *task = mem_alloc(sizeof *task);
    *task = (struct task){*order, mem_strdup(order->user), mem_strdup(order->password)};
    loop_post(bus.loop, begin, task);
}

void bus_hand_over_stop(void) {
    loop_post(bus.loop, stop, NULL);
}
