// net: a few cores on a tiny network in memory: no delay, no loss but what a test asks for, saves done at
// once. One for each program, set up anew for each test.
#ifndef SHOAL_TESTS_CLUSTER_NET_H
#define SHOAL_TESTS_CLUSTER_NET_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/list.h"
#include "base/memory.h"
#include "base/words.h"
#include "cluster/cluster.h"
#include "cluster/cluster_view.h"

enum {
    NODES_MAX = 8,
    PORT = 7000,
    UNIX_AHEAD = 1000000,
    FLIGHTS_MAX = 100000,
    HEADER_MESSAGE_FLAGS = 2253, // of the wire's header ...
    MESSAGE_FLAG_PAUSED = 1      // ... and its first bit
};

struct node {
    struct cluster *core;
    struct buffer saved; // nodes.conf as on disk
    uint64_t held_save;  // a save that the test holds back
    bool alive, disk_is_stuck;
    bool replica;
    uint16_t replicates; // port
    unsigned became_primary, dropped_slots;
    uint64_t offset;
    bool paused;
    char outcome[256];
    bool outcome_ok;
    struct held {
        struct cluster_action action;
    } held[64];
    size_t held_count;
    uint64_t saved_number;
};

// Something on its way.
struct flight {
    struct list_node node;
    unsigned from, to;
    enum cluster_event_kind kind;
    cluster_node handle;       // of the link, at the receiver; 0: inbound
    cluster_node reply_handle; // at the sender
    struct cluster_message *message;
    bool late;
};

static struct net {
    struct node nodes[NODES_MAX];
    unsigned count;
    uint64_t now;
    struct list_node flights;
    cluster_node handles[NODES_MAX][NODES_MAX]; // [a][b]: a's handle of its link to b
    bool cut[NODES_MAX][NODES_MAX];             // [a][b]: what a sends is lost on its way to b
    enum slow {
        SLOW_NOTHING,
        SLOW_ANSWERS,
        SLOW_OWN
    } slow[NODES_MAX][NODES_MAX]; // [a][b]: what a says over b's link, or its own, is long on its way ...
    struct list_node late;        // ... and waits here until a test lets it arrive
    unsigned connects[NODES_MAX][NODES_MAX]; // [a][b]: how often a has knocked at b's door
    unsigned paused[NODES_MAX][NODES_MAX];   // [a][b]: how often a has told b that it is paused
    struct cluster_config config;
} net;

static void carry_out(unsigned index, const struct cluster_actions *actions);

static void step(unsigned index, struct cluster_event *event) {
    if (!net.nodes[index].alive) return;
    event->now = net.now;
    event->unix_now = net.now + UNIX_AHEAD;
    carry_out(index, cluster_step(net.nodes[index].core, event));
}

static void fly(unsigned from, unsigned to, enum cluster_event_kind kind, cluster_node handle,
                struct cluster_message *message) {
    if (message && message->data[HEADER_MESSAGE_FLAGS] & MESSAGE_FLAG_PAUSED) net.paused[from][to]++;
    if (message && net.cut[from][to]) {
        cluster_message_release(message);
        return;
    }
    struct flight *flight = mem_calloc(1, sizeof(*flight));
    *flight = (struct flight){.from = from, .to = to, .kind = kind, .handle = handle, .message = message};
    bool late = message && net.slow[from][to] == (handle ? SLOW_ANSWERS : SLOW_OWN);
    list_append(late ? &net.late : &net.flights, &flight->node);
}

// What arrives late by a link of its own comes by one that was accepted before all others, and was replaced.
#define INBOUND_REPLACED UINT32_MAX

// A link's name at the accepting end: who made it.
static uint32_t inbound_of(unsigned from) {
    return 1 + from;
}

static void send_now(unsigned index, const struct cluster_action *action) {
    struct cluster_message *message = action->send.message;
    if (action->send.link.inbound) {
        unsigned to = action->send.link.inbound - 1;
        if (action->send.link.inbound == INBOUND_REPLACED) return;
        fly(index, to, CLUSTER_EVENT_PACKET, net.handles[to][index], cluster_message_retain(message));
        return;
    }
    for (unsigned to = 0; to < net.count; to++)
        if (net.handles[index][to] == action->send.link.node) {
            fly(index, to, CLUSTER_EVENT_PACKET, 0, cluster_message_retain(message));
            return;
        }
}

static void save_done(unsigned index, uint64_t number) {
    struct node *node = &net.nodes[index];
    struct cluster_event event = {.kind = CLUSTER_EVENT_SAVED, .saved = {number, true}};
    node->saved_number = number;
    step(index, &event);
    size_t kept = 0;
    for (size_t i = 0; i < node->held_count; i++) {
        struct cluster_action *action = &node->held[i].action;
        if (action->send.save > number) {
            node->held[kept++] = node->held[i];
            continue;
        }
        send_now(index, action);
        cluster_message_release(action->send.message);
    }
    node->held_count = kept;
}

static void on_connect(unsigned index, const struct cluster_action *action) {
    unsigned to = action->connect.port - PORT - 10000u;
    bool up = to < net.count && net.nodes[to].alive;
    if (to < net.count) net.handles[index][to] = action->connect.node, net.connects[index][to]++;
    fly(to, index, up ? CLUSTER_EVENT_LINK_UP : CLUSTER_EVENT_LINK_REFUSED, action->connect.node, NULL);
}

static void on_disconnect(unsigned index, struct cluster_link link) {
    for (unsigned to = 0; to < net.count; to++)
        if (link.node && net.handles[index][to] == link.node) net.handles[index][to] = 0;
}

static void carry_out(unsigned index, const struct cluster_actions *actions) {
    struct node *node = &net.nodes[index];
    uint64_t saves = 0;
    for (size_t i = 0; i < actions->count; i++) {
        const struct cluster_action *action = &actions->items[i];
        switch (action->kind) {
        case CLUSTER_ACTION_SEND:
            if (action->send.save <= node->saved_number) {
                send_now(index, action);
            } else {
                assert_true(node->held_count < 64);
                node->held[node->held_count++].action = *action;
                cluster_message_retain(action->send.message);
            }
            break;
        case CLUSTER_ACTION_CONNECT: on_connect(index, action); break;
        case CLUSTER_ACTION_DISCONNECT: on_disconnect(index, action->disconnect); break;
        case CLUSTER_ACTION_SAVE: saves = action->save.number; break;
        case CLUSTER_ACTION_BECOME_PRIMARY: node->replica = false, node->became_primary++; break;
        case CLUSTER_ACTION_BECOME_REPLICA:
            node->replica = true, node->replicates = action->primary.port;
            break;
        case CLUSTER_ACTION_DROP_SLOT: node->dropped_slots++; break;
        case CLUSTER_ACTION_PAUSE_WRITES: node->paused = true; break;
        case CLUSTER_ACTION_RESUME_WRITES: node->paused = false; break;
        case CLUSTER_ACTION_OUTCOME:
            snprintf(node->outcome, sizeof(node->outcome), "%.*s", (int)action->outcome.text.size,
                     action->outcome.text.data);
            node->outcome_ok = action->outcome.ok;
            break;
        case CLUSTER_ACTION_NOTE:
            if (getenv("NET_NOTES"))
                fprintf(stderr, "%6llu n%u %s\n", (unsigned long long)net.now, index, action->note.text);
            break;
        default: break;
        }
    }
    if (saves == 0) return;
    node->saved.size = 0;
    cluster_nodes_conf(node->core, &node->saved);
    if (node->disk_is_stuck)
        node->held_save = saves;
    else
        save_done(index, saves);
}

static void land(struct flight *flight) {
    struct cluster_event event = {.kind = flight->kind};
    if (flight->kind == CLUSTER_EVENT_PACKET) {
        uint32_t inbound = flight->late ? INBOUND_REPLACED : inbound_of(flight->from);
        event.packet.bytes = bytes_of(flight->message->data, flight->message->size);
        event.packet.link =
            flight->handle ? (struct cluster_link){flight->handle, 0} : (struct cluster_link){0, inbound};
        event.packet.peer_ip = event.packet.local_ip = "127.0.0.1";
    } else {
        event.link = (struct cluster_link){flight->handle, 0};
    }
    step(flight->to, &event);
}

static void deliver(void) {
    for (int i = 0; i < FLIGHTS_MAX && !list_empty(&net.flights); i++) {
        struct flight *flight = LIST_ENTRY(net.flights.next, struct flight, node);
        list_remove(&flight->node);
        land(flight);
        if (flight->message) cluster_message_release(flight->message);
        mem_free(flight);
    }
    assert_true(list_empty(&net.flights));
}

// What was long on its way arrives.
static inline void let_late_arrive(void) {
    memset(net.slow, 0, sizeof(net.slow));
    while (!list_empty(&net.late)) {
        struct list_node *first = net.late.next;
        LIST_ENTRY(first, struct flight, node)->late = true;
        list_remove(first);
        list_append(&net.flights, first);
    }
    deliver();
}

// Lets time pass, every node ticking as it asks to.
static void run(uint64_t ms) {
    deliver();
    for (uint64_t end = net.now + ms; net.now < end; net.now++) {
        for (unsigned i = 0; i < net.count; i++) {
            struct node *node = &net.nodes[i];
            if (!node->alive || cluster_deadline(node->core) > net.now) continue;
            struct cluster_event event = {.kind = CLUSTER_EVENT_REPLICATION};
            event.replication.offset = node->offset;
            event.replication.primary_link_up = event.replication.ever_synchronised = node->replica;
            event.replication.writes_paused = node->paused;
            step(i, &event);
            step(i, &(struct cluster_event){.kind = CLUSTER_EVENT_TICK});
        }
        deliver();
    }
}

static inline void order(unsigned index, const char *text, uint64_t keys) {
    struct words words = WORDS_EMPTY;
    assert_true(words_split(bytes_from_string(text), &words));
    struct cluster_event event = {.kind = CLUSTER_EVENT_ORDER};
    event.order = (struct cluster_order){1, words.items, words.count, keys > 0, keys};
    net.nodes[index].outcome[0] = '\0';
    step(index, &event);
    words_free(&words);
}

static inline __attribute__((format(printf, 2, 3))) void ordered(unsigned index, const char *format, ...) {
    char text[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    order(index, text, 0);
    if (!net.nodes[index].outcome_ok) print_message("n%u %s: %s\n", index, text, net.nodes[index].outcome);
    assert_true(net.nodes[index].outcome_ok);
}

static inline void refused(unsigned index, const char *text, uint64_t keys, const char *error) {
    order(index, text, keys);
    assert_false(net.nodes[index].outcome_ok);
    assert_string_equal(net.nodes[index].outcome, error);
}

static void start(unsigned index) {
    struct node *node = &net.nodes[index];
    struct buffer error = BUFFER_EMPTY;
    struct cluster_config config = net.config;
    config.port = (uint16_t)(PORT + index);
    config.bus_port = (uint16_t)(PORT + 10000 + index);
    node->core = cluster_create(&config, buffer_bytes(&node->saved), 77 + index + net.now, net.now,
                                net.now + UNIX_AHEAD, &error);
    assert_non_null(node->core);
    node->saved_number = node->held_count = 0;
    node->replica = node->disk_is_stuck = false;
    node->alive = true;
    buffer_free(&error);
}

// kill -9: links break, and nobody listens.
static inline void kill_node(unsigned index) {
    struct node *node = &net.nodes[index];
    node->alive = false;
    for (size_t i = 0; i < node->held_count; i++)
        cluster_message_release(node->held[i].action.send.message);
    node->held_count = 0;
    cluster_destroy(node->core);
    node->core = NULL;
    for (unsigned i = 0; i < net.count; i++) {
        if (net.handles[i][index]) fly(index, i, CLUSTER_EVENT_LINK_DOWN, net.handles[i][index], NULL);
        net.handles[index][i] = 0;
    }
}

static inline struct cluster_view_node me(unsigned index) {
    struct cluster_view_node node;
    cluster_view_myself(net.nodes[index].core, &node);
    return node;
}

static inline struct cluster_view_status status(unsigned index) {
    struct cluster_view_status result;
    cluster_view_status(net.nodes[index].core, &result);
    return result;
}

static inline unsigned owner_port(unsigned index, unsigned slot) {
    struct cluster_view_node node;
    uint16_t owner = cluster_view_owners(net.nodes[index].core)[slot];
    return cluster_view_node_at(net.nodes[index].core, owner, &node) ? node.port : 0;
}

// Six nodes: n0 n1 n2 primaries of a third each, n3 n4 n5 their replicas; node timeout 1 s.
static inline int set_up(void **state) {
    memset(&net, 0, sizeof(net));
    list_init(&net.flights);
    list_init(&net.late);
    cluster_config_default(&net.config);
    net.config.node_timeout = 1000;
    net.count = 6;
    for (unsigned i = 0; i < net.count; i++)
        start(i);
    for (unsigned i = 1; i < net.count; i++)
        ordered(0, "MEET 127.0.0.1 %u", PORT + i);
    run(3000);
    ordered(0, "ADDSLOTSRANGE 0 5460");
    ordered(1, "addslotsrange 5461 10922");
    ordered(2, "ADDSLOTSRANGE 10923 16383");
    run(1000);
    for (unsigned i = 3; i < net.count; i++)
        ordered(i, "REPLICATE %s", me(i - 3).id);
    run(3000);
    return 0;
}

static inline void drop_flights(struct list_node *flights) {
    while (!list_empty(flights)) {
        struct flight *flight = LIST_ENTRY(flights->next, struct flight, node);
        list_remove(&flight->node);
        if (flight->message) cluster_message_release(flight->message);
        mem_free(flight);
    }
}

static inline int tear_down(void **state) {
    for (unsigned i = 0; i < net.count; i++) {
        if (net.nodes[i].alive) kill_node(i);
        buffer_free(&net.nodes[i].saved);
    }
    drop_flights(&net.flights);
    drop_flights(&net.late);
    return 0;
}

// Milliseconds until n1's replica serves.
static inline uint64_t time_failover(void) {
    uint64_t began = net.now;
    while (!(owner_port(4, 6000) == PORT + 4 && status(4).ok && owner_port(0, 6000) == PORT + 4)) {
        run(1);
        assert_true(net.now - began < 20000);
    }
    return net.now - began;
}

static inline void cut(unsigned a, unsigned b, bool lost) {
    net.cut[a][b] = net.cut[b][a] = lost;
}

static inline void isolate(unsigned index, bool lost) {
    for (unsigned i = 0; i < net.count; i++)
        cut(index, i, lost);
}

static inline struct cluster_view_node seen(unsigned by, unsigned whom) {
    struct cluster_view_node node;
    assert_true(cluster_view_find(net.nodes[by].core, bytes_from_string(me(whom).id), &node));
    return node;
}

// Tells a node that it can't serve, or can again.
static inline void stall(unsigned index, bool stalled) {
    step(index, &(struct cluster_event){.kind = CLUSTER_EVENT_STALL, .stalled = stalled});
}

// A test with six nodes of its own.
#define NET_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
