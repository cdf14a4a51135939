// The links of the bus: our outgoing one to each node, and those that others opened to us. Anybody may open
// one: however many do, and however much they send or leave unread, what it costs is bounded.
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/memory.h"
#include "bus/bus_private.h"
#include "net/acceptor.h"
#include "os/clock.h"
#include "os/socket.h"

enum {
    CHAINS = 1024,
    HEADER_SIZE = 8,               // signature and total length
    SENDER_AT = 40,                // where a packet tells who speaks
    PACKET_MAX = 64 * 1024 * 1024, // a longer one is no packet of this protocol
    READ_ROOM = 16 * 1024,
    READS_AT_ONCE = 64,
    BACKLOG = 511,
    ACCEPTS_AT_ONCE = 1000,
    STRANGERS_MAX = 1024,            // inbound links of nobody that we know; of more the quietest goes
    ACQUAINTANCES_MAX = 1024,        // and of those whom we know, beyond two for each
    QUIET_NODE_TIMEOUTS = 10, // who says nothing for so long over a link that it made has no use for it
    QUIET_MIN_MS = 20 * 1000,
    ANSWERS_MAX = 1024 * 1024, // who leaves so much unread is not listened to until it reads
    INPUT_KEPT = 64 * 1024,    // an empty buffer that is larger is given back
    INPUT_SHARE = 64 * 1024,   // what each link may have of input, even when all of them together ...
    INPUT_TOTAL_MAX = 128 * 1024 * 1024, // ... have more than this
};

// Of what a node does not take in, even where cluster-link-sendbuf-limit is 0.
static const size_t queued_bytes_max = 64 * 1024 * 1024;

// A message on its way out; it may have to wait for a save.
struct outgoing {
    struct cluster_message *message;
    uint64_t save;
};

// items[first..count) are in it.
struct send_queue {
    struct outgoing *items;
    size_t first, count, capacity;
};

struct link {
    struct source source;
    struct list_node chain;
    struct list_node quiet; // of inbound links: who was heard last comes last
    int64_t heard_ms;       // monotonic
    struct cluster_link id;
    bool known; // a node that we know has spoken over this inbound link
    bool connecting, blocked;
    bool lost; // broken, and soon reported
    bool mute; // not listened to until it has read its answers
    char peer_ip[SOCKET_NAME_MAX], local_ip[SOCKET_NAME_MAX];
    struct buffer input;
    struct send_queue ready;
    struct send_queue
        held;    // what waits for a save: others go past it, so that a slow disk holds up no heartbeat
    size_t sent; // bytes of the first that is ready that have gone
    size_t queued_bytes;
    int64_t created_ms;
};

static struct list_node by_node[CHAINS], by_number[CHAINS];
static struct list_node
    quiet[2]; // inbound links, the quietest first: of strangers, and of nodes that we know
static unsigned inbound_count[2];
static size_t input_total;    // capacity of all links' input
static struct list_node dead; // closed in this turn: the poller may have fetched an event that names them
static uint32_t next_number = 1;
static struct acceptor acceptor;
static atomic_uint connections;

// --- Queues.

static bool queue_is_empty(const struct send_queue *queue) {
    return queue->first == queue->count;
}

static void queue_make_room(struct send_queue *queue) {
    if (queue->count < queue->capacity) return;
    if (queue->count > queue->first)
        memmove(queue->items, queue->items + queue->first,
                (queue->count - queue->first) * sizeof *queue->items);
    queue->count -= queue->first;
    queue->first = 0;
    if (queue->count * 2 < queue->capacity) return;
    queue->capacity = queue->capacity ? queue->capacity * 2 : 8;
    queue->items = mem_realloc(queue->items, queue->capacity * sizeof *queue->items);
}

static void queue_push(struct send_queue *queue, struct outgoing out) {
    queue_make_room(queue);
    queue->items[queue->count++] = out;
}

static struct outgoing queue_pop(struct send_queue *queue) {
    struct outgoing first = queue->items[queue->first++];
    if (queue_is_empty(queue)) queue->first = queue->count = 0;
    return first;
}

static size_t queue_memory(const struct link *link) {
    return (link->ready.capacity + link->held.capacity) * sizeof(struct outgoing);
}

static void queue_free(struct send_queue *queue) {
    while (!queue_is_empty(queue))
        cluster_message_release(queue_pop(queue).message);
    mem_free(queue->items);
}

// --- Links.

static struct list_node *chain_of(struct cluster_link id) {
    return id.node ? &by_node[id.node % CHAINS] : &by_number[id.inbound % CHAINS];
}

static struct link *find(struct cluster_link id) {
    LIST_EACH(node, chain_of(id)) {
        struct link *link = LIST_ENTRY(node, struct link, chain);
        if (link->id.node == id.node && link->id.inbound == id.inbound) return link;
    }
    return NULL;
}

static struct link *add(int fd, struct cluster_link id,
                        void (*ready)(struct source *source, uint32_t events)) {
    struct link *link = mem_calloc(1, sizeof *link);
    atomic_fetch_add_explicit(&connections, 1, memory_order_relaxed);
    link->source = (struct source){.fd = fd, .ready = ready};
    link->id = id;
    link->created_ms = clock_wall_ms();
    list_init(&link->chain);
    list_append(chain_of(id), &link->chain);
    list_init(&link->quiet);
    if (id.inbound) {
        list_append(&quiet[link->known], &link->quiet);
        inbound_count[link->known]++;
    }
    link->heard_ms = clock_mono_ms();
    if (loop_add(bus.loop, &link->source) != 0)
        log_write(LOG_WARNING, "can't watch a link of the cluster bus");
    return link;
}

static void ignore(struct source *source, uint32_t events) {}

static void input_free(struct link *link) {
    input_total -= link->input.capacity;
    buffer_free(&link->input);
}

static void destroy(struct link *link) {
    loop_remove(bus.loop, &link->source);
    socket_close(link->source.fd);
    atomic_fetch_sub_explicit(&connections, 1, memory_order_relaxed);
    link->source.ready = ignore;
    list_remove(&link->chain);
    list_append(&dead, &link->chain);
    list_remove(&link->quiet);
    if (link->id.inbound) inbound_count[link->known]--;
    queue_free(&link->ready);
    queue_free(&link->held);
    input_free(link);
}

void links_free_dead(void) {
    while (!list_empty(&dead)) {
        struct link *link = LIST_ENTRY(dead.next, struct link, chain);
        list_remove(&link->chain);
        mem_free(link);
    }
}

static void report(enum cluster_event_kind kind, struct cluster_link id) {
    struct cluster_event event = {.kind = kind, .link = id};
    bus_step(&event);
}

// Closes the link and tells the core.
static void lose(struct link *link, bool refused) {
    struct cluster_link id = link->id;
    destroy(link);
    report(refused ? CLUSTER_EVENT_LINK_REFUSED : CLUSTER_EVENT_LINK_DOWN, id);
}

// --- Out.

// Sends what may be sent. False: the link is broken (and not yet destroyed).
static bool flush(struct link *link) {
    while (!link->connecting && !link->blocked && !queue_is_empty(&link->ready)) {
        struct cluster_message *message = link->ready.items[link->ready.first].message;
        ssize_t put = socket_write(link->source.fd, message->data + link->sent, message->size - link->sent);
        if (put == -EAGAIN) {
            link->blocked = true;
            return true;
        }
        if (put < 0) return false;
        link->sent += (size_t)put;
        if (link->sent < message->size) continue;
        link->queued_bytes -= message->size;
        link->sent = 0;
        cluster_message_release(queue_pop(&link->ready).message);
    }
    return true;
}

// A link that broke while the core was in the middle of its actions is reported once it is through them.
static void lose_later(void *argument) {
    struct cluster_link *id = argument;
    struct link *link = find(*id);
    if (link && link->lost) lose(link, false); // and not another that was made since
    mem_free(id);
}

static void schedule_loss(struct link *link) {
    if (link->lost) return;
    link->lost = true;
    struct cluster_link *id = mem_alloc(sizeof *id);
    *id = link->id;
    loop_post(bus.loop, lose_later, id);
}

void links_send(struct cluster_link id, struct cluster_message *message, uint64_t save) {
    struct link *link = find(id);
    if (!link || link->lost) return;
    struct outgoing out = {cluster_message_retain(message), save};
    queue_push(save > bus.saved ? &link->held : &link->ready, out);
    link->queued_bytes += message->size;
    uint64_t limit = bus.config.link_buffer_limit ? bus.config.link_buffer_limit : queued_bytes_max;
    bool over = link->queued_bytes > limit;
    if (over) bus.links_over_limit++;
    if (over || !flush(link)) schedule_loss(link);
}

static void each_link(void (*visit)(struct link *link, uint64_t save), uint64_t save) {
    for (unsigned i = 0; i < CHAINS; i++) {
        LIST_EACH(node, &by_node[i]) {
            visit(LIST_ENTRY(node, struct link, chain), save);
        }
        LIST_EACH(other, &by_number[i]) {
            visit(LIST_ENTRY(other, struct link, chain), save);
        }
    }
}

// What waits stands in the order of its saves.
static void release_one(struct link *link, uint64_t save) {
    while (!queue_is_empty(&link->held) && link->held.items[link->held.first].save <= save)
        queue_push(&link->ready, queue_pop(&link->held));
    if (!flush(link)) schedule_loss(link);
}

void links_flush_held(void) {
    each_link(release_one, bus.saved);
}

static void drop_one(struct link *link, uint64_t save) {
    while (!queue_is_empty(&link->held) && link->held.items[link->held.first].save <= save) {
        struct cluster_message *message = queue_pop(&link->held).message;
        link->queued_bytes -= message->size;
        cluster_message_release(message);
    }
}

void links_drop_held(uint64_t save) {
    each_link(drop_one, save);
}

// --- In.

static uint32_t packet_size(const char *header) {
    const unsigned char *at = (const unsigned char *)header + 4;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void note_heard(struct link *link) {
    link->heard_ms = clock_mono_ms();
    if (!link->id.inbound) return;
    list_remove(&link->quiet);
    list_append(&quiet[link->known], &link->quiet);
}

static void lose_quietest(bool known) {
    lose(LIST_ENTRY(quiet[known].next, struct link, quiet), false);
}

// A packet of this name has come over the link. Whose link it is by now, tells the core.
static void meet(struct cluster_link id, struct bytes name) {
    struct link *link = find(id);
    struct cluster_view_node node;
    struct cluster_view_status status;
    if (!link || !id.inbound || link->known) return;
    if (!cluster_view_find(bus.cluster, name, &node) || node.inbound != id.inbound) return;
    cluster_view_status(bus.cluster, &status);
    if (inbound_count[true] >= ACQUAINTANCES_MAX + 2 * status.known_nodes) lose_quietest(true);
    inbound_count[false]--;
    inbound_count[true]++;
    link->known = true;
    note_heard(link);
}

// Delivers one packet. The core may close the link while it reads: the bytes are taken out first.
static void deliver_packet(const struct link *link, const char *bytes, uint32_t size) {
    struct cluster_event event = {.kind = CLUSTER_EVENT_PACKET};
    struct buffer packet = BUFFER_EMPTY;
    char peer_ip[SOCKET_NAME_MAX], local_ip[SOCKET_NAME_MAX];
    memcpy(peer_ip, link->peer_ip, sizeof peer_ip);
    memcpy(local_ip, link->local_ip, sizeof local_ip);
    buffer_append(&packet, bytes, size);
    event.packet.link = link->id;
    event.packet.bytes = buffer_bytes(&packet);
    event.packet.peer_ip = peer_ip;
    event.packet.local_ip = local_ip;
    bus_step(&event);
    if (size >= SENDER_AT + CLUSTER_ID_SIZE)
        meet(event.packet.link, bytes_of(packet.data + SENDER_AT, CLUSTER_ID_SIZE));
    buffer_free(&packet);
}

// Drops what was delivered. A large packet's room is not kept for the small ones that follow.
static void drop_delivered(struct link *link, size_t size) {
    buffer_drop_front(&link->input, size);
    if (link->input.size == 0 && link->input.capacity > INPUT_KEPT) input_free(link);
}

// Delivers the whole packets in the input. False: what comes is no bus protocol.
static bool deliver(struct cluster_link id) {
    struct link *link;
    size_t at = 0; // delivered so far
    while ((link = find(id)) != NULL) {
        size_t left = link->input.size - at;
        const char *bytes = link->input.data + at;
        uint32_t size = left < HEADER_SIZE ? HEADER_SIZE : packet_size(bytes);
        if (left >= HEADER_SIZE &&
            (memcmp(bytes, "RCmb", 4) != 0 || size < HEADER_SIZE || size > PACKET_MAX)) {
            log_write(LOG_VERBOSE, "Bad message length or signature received from Cluster bus.");
            return false;
        }
        if (left < size) {
            drop_delivered(link, at);
            if (left >= HEADER_SIZE) report(CLUSTER_EVENT_DATA, id);
            return true;
        }
        deliver_packet(link, bytes, size);
        at += size;
    }
    return true; // the core closed it
}

// Room for what comes; false when others have taken too much of it.
static bool input_reserve(struct link *link) {
    input_total -= link->input.capacity;
    buffer_reserve(&link->input, READ_ROOM);
    input_total += link->input.capacity;
    if (input_total <= INPUT_TOTAL_MAX || link->input.capacity <= INPUT_SHARE) return true;
    log_write(LOG_VERBOSE, "Too many large messages come in over the Cluster bus at once: closing a link.");
    return false;
}

static bool read_some(struct link *link, bool *more) {
    *more = false;
    if (!input_reserve(link)) return false;
    ssize_t got = socket_read(link->source.fd, link->input.data + link->input.size,
                              link->input.capacity - link->input.size);
    *more = got > 0;
    if (got == -EAGAIN) return true;
    if (got <= 0) return false;
    link->input.size += (size_t)got;
    note_heard(link);
    return true;
}

static void name_ends(struct link *link) {
    uint16_t port;
    socket_peer_name(link->source.fd, link->peer_ip, &port);
    socket_local_name(link->source.fd, link->local_ip, &port);
}

static bool came_up(struct link *link) {
    int error = socket_error(link->source.fd);
    if (error) {
        lose(link, error == ECONNREFUSED);
        return false;
    }
    link->connecting = false;
    socket_set_nodelay(link->source.fd, true);
    name_ends(link);
    struct cluster_link id = link->id;
    report(CLUSTER_EVENT_LINK_UP, id);
    return find(id) == link;
}

// Has it read its answers?
static bool may_listen_again(struct link *link) {
    if (!link->mute || link->queued_bytes > ANSWERS_MAX / 2) return false;
    link->mute = false;
    return true;
}

static void link_ready(struct source *source, uint32_t events) {
    struct link *link = LIST_ENTRY(source, struct link, source);
    struct cluster_link id = link->id;
    if (link->connecting && !came_up(link)) return;
    if (events & POLLER_WRITE) {
        link->blocked = false;
        if (!flush(link)) {
            lose(link, false);
            return;
        }
    }
    bool more = (events & POLLER_READ) != 0 || may_listen_again(link);
    for (int i = 0; more; i++) {
        if (id.inbound &&
            link->queued_bytes > ANSWERS_MAX) { // a flood of pings by somebody who does not want the pongs
            link->mute = true;
            return;
        }
        bool fine = read_some(link, &more) && (!more || deliver(id));
        link = find(id); // a step may have closed it
        if (!link) return;
        if (!fine) {
            lose(link, false);
            return;
        }
        if (i == READS_AT_ONCE && more) { // others wait; the rest comes in the next turn
            loop_remove(bus.loop, &link->source);
            loop_add(bus.loop, &link->source);
            return;
        }
    }
}

// --- Coming and going.

struct failed_connect {
    struct cluster_link id;
    bool refused;
};

static void report_failed_connect(void *argument) {
    struct failed_connect *failed = argument;
    if (!find(failed->id))
        report(failed->refused ? CLUSTER_EVENT_LINK_REFUSED : CLUSTER_EVENT_LINK_DOWN, failed->id);
    mem_free(failed);
}

void links_connect(cluster_node node, const char *ip, uint16_t port) {
    struct cluster_link id = {.node = node};
    struct link *old = find(id);
    if (old) destroy(old);
    int fd = socket_connect_start(ip, port, bus.source_address);
    if (fd < 0) {
        struct failed_connect *failed = mem_alloc(sizeof *failed);
        *failed = (struct failed_connect){id, fd == -ECONNREFUSED};
        loop_post(bus.loop, report_failed_connect, failed);
        return;
    }
    add(fd, id, link_ready)->connecting = true;
}

void links_disconnect(struct cluster_link id) {
    struct link *link = find(id);
    if (link) destroy(link);
}

void links_drop_quiet(void) {
    uint64_t patience = bus.config.cluster.node_timeout > bus.config.cluster.ping_interval
                            ? bus.config.cluster.node_timeout
                            : bus.config.cluster.ping_interval;
    int64_t longest = (int64_t)(patience * QUIET_NODE_TIMEOUTS), now = clock_mono_ms();
    if (longest < QUIET_MIN_MS) longest = QUIET_MIN_MS;
    for (int known = 0; known < 2; known++)
        while (!list_empty(&quiet[known]) &&
               now - LIST_ENTRY(quiet[known].next, struct link, quiet)->heard_ms > longest)
            lose_quietest(known);
}

static void accepted(int fd, bool is_unix) {
    if (inbound_count[false] >= STRANGERS_MAX) lose_quietest(false);
    socket_set_nodelay(fd, true);
    socket_set_keepalive(fd, (unsigned)(bus.config.cluster.node_timeout / 1000 * 2));
    struct cluster_link id = {.inbound = next_number++};
    if (next_number == 0) next_number = 1;
    name_ends(add(fd, id, link_ready));
}

void links_init(void) {
    acceptor_init(&acceptor, bus.loop, "cluster node connection", ACCEPTS_AT_ONCE, accepted);
    list_init(&dead);
    list_init(&quiet[false]);
    list_init(&quiet[true]);
    for (unsigned i = 0; i < CHAINS; i++) {
        list_init(&by_node[i]);
        list_init(&by_number[i]);
    }
}

bool links_listen(const char *const *addresses, uint16_t port, struct buffer *error) {
    for (; *addresses; addresses++) {
        // A leading '-' marks an address that may be missing.
        bool optional = **addresses == '-';
        int result = acceptor_add(&acceptor, socket_listen_tcp(*addresses + optional, port, BACKLOG), false);
        if (result < 0 && optional && (result == -EADDRNOTAVAIL || result == -EAFNOSUPPORT)) continue;
        if (result < 0) {
            buffer_appendf(error, "Could not create the cluster bus's TCP listening socket %s:%u: %s",
                           *addresses, port, strerror(-result));
            buffer_string(error);
            return false;
        }
    }
    return true;
}

void links_close_all(void) {
    acceptor_close(&acceptor);
    for (unsigned i = 0; i < CHAINS; i++) {
        LIST_EACH(node, &by_node[i]) {
            destroy(LIST_ENTRY(node, struct link, chain));
        }
        LIST_EACH(other, &by_number[i]) {
            destroy(LIST_ENTRY(other, struct link, chain));
        }
    }
    links_free_dead();
}

unsigned bus_connections(void) {
    return atomic_load_explicit(&connections, memory_order_relaxed);
}

// --- CLUSTER LINKS.

static void reply_link(struct reply *reply, const struct link *link, const char *node_id) {
    reply_map(reply, 6);
    reply_bulk_string(reply, "direction");
    reply_bulk_string(reply, link->id.node ? "to" : "from");
    reply_bulk_string(reply, "node");
    reply_bulk_string(reply, node_id);
    reply_bulk_string(reply, "create-time");
    reply_integer(reply, link->created_ms);
    reply_bulk_string(reply, "events");
    reply_bulk_string(reply, queue_is_empty(&link->ready) ? "r" : "rw");
    reply_bulk_string(reply, "send-buffer-allocated");
    reply_integer(reply, (int64_t)(queue_memory(link) + link->queued_bytes));
    reply_bulk_string(reply, "send-buffer-used");
    reply_integer(reply, (int64_t)link->queued_bytes);
}

void links_reply(struct reply *reply) {
    size_t place = reply_array_begin(reply), count = 0;
    struct cluster_view_node node;
    for (uint32_t cursor = 0; cluster_view_next(bus.cluster, &cursor, &node);) {
        const struct link *to = find((struct cluster_link){.node = node.handle});
        const struct link *from = node.inbound ? find((struct cluster_link){.inbound = node.inbound}) : NULL;
        if (to) reply_link(reply, to, node.id);
        if (from) reply_link(reply, from, node.id);
        count += (to != NULL) + (from != NULL);
    }
    reply_array_end(reply, place, count);
}
