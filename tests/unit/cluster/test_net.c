// A few cores on a tiny network in memory: no delay, no loss but what a test asks for, saves done at once.
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
};

static struct net {
    struct node nodes[NODES_MAX];
    unsigned count;
    uint64_t now;
    struct list_node flights;
    cluster_node handles[NODES_MAX][NODES_MAX]; // [a][b]: a's handle of its link to b
    bool cut[NODES_MAX][NODES_MAX];             // [a][b]: what a sends is lost on its way to b
    unsigned connects[NODES_MAX][NODES_MAX];    // [a][b]: how often a has knocked at b's door
    unsigned paused[NODES_MAX][NODES_MAX];      // [a][b]: how often a has told b that it is paused
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
    list_append(&net.flights, &flight->node);
}

// A link's name at the accepting end: who made it.
static uint32_t inbound_of(unsigned from) {
    return 1 + from;
}

static void send_now(unsigned index, const struct cluster_action *action) {
    struct cluster_message *message = action->send.message;
    if (action->send.link.inbound) {
        unsigned to = action->send.link.inbound - 1;
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
        event.packet.bytes = bytes_of(flight->message->data, flight->message->size);
        event.packet.link = flight->handle ? (struct cluster_link){flight->handle, 0}
                                           : (struct cluster_link){0, inbound_of(flight->from)};
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

static void order(unsigned index, const char *text, uint64_t keys) {
    struct words words = WORDS_EMPTY;
    assert_true(words_split(bytes_from_string(text), &words));
    struct cluster_event event = {.kind = CLUSTER_EVENT_ORDER};
    event.order = (struct cluster_order){1, words.items, words.count, keys > 0, keys};
    net.nodes[index].outcome[0] = '\0';
    step(index, &event);
    words_free(&words);
}

static void ordered(unsigned index, const char *text) {
    order(index, text, 0);
    if (!net.nodes[index].outcome_ok) print_message("n%u %s: %s\n", index, text, net.nodes[index].outcome);
    assert_true(net.nodes[index].outcome_ok);
}

static void refused(unsigned index, const char *text, uint64_t keys, const char *error) {
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
static void kill_node(unsigned index) {
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

static struct cluster_view_node me(unsigned index) {
    struct cluster_view_node node;
    cluster_view_myself(net.nodes[index].core, &node);
    return node;
}

static struct cluster_view_status status(unsigned index) {
    struct cluster_view_status result;
    cluster_view_status(net.nodes[index].core, &result);
    return result;
}

static unsigned owner_port(unsigned index, unsigned slot) {
    struct cluster_view_node node;
    uint16_t owner = cluster_view_owners(net.nodes[index].core)[slot];
    return cluster_view_node_at(net.nodes[index].core, owner, &node) ? node.port : 0;
}

// Six nodes: n0 n1 n2 primaries of a third each, n3 n4 n5 their replicas; node timeout 1 s.
static int set_up(void **state) {
    memset(&net, 0, sizeof(net));
    list_init(&net.flights);
    cluster_config_default(&net.config);
    net.config.node_timeout = 1000;
    net.count = 6;
    for (unsigned i = 0; i < net.count; i++)
        start(i);
    for (unsigned i = 1; i < net.count; i++) {
        char text[64];
        snprintf(text, sizeof(text), "MEET 127.0.0.1 %u", PORT + i);
        ordered(0, text);
    }
    run(3000);
    ordered(0, "ADDSLOTSRANGE 0 5460");
    ordered(1, "addslotsrange 5461 10922");
    ordered(2, "ADDSLOTSRANGE 10923 16383");
    run(1000);
    for (unsigned i = 3; i < net.count; i++) {
        char text[64];
        snprintf(text, sizeof(text), "REPLICATE %s", me(i - 3).id);
        ordered(i, text);
    }
    run(3000);
    return 0;
}

static int tear_down(void **state) {
    for (unsigned i = 0; i < net.count; i++) {
        if (net.nodes[i].alive) kill_node(i);
        buffer_free(&net.nodes[i].saved);
    }
    while (!list_empty(&net.flights)) {
        struct flight *flight = LIST_ENTRY(net.flights.next, struct flight, node);
        list_remove(&flight->node);
        if (flight->message) cluster_message_release(flight->message);
        mem_free(flight);
    }
    return 0;
}

static void six_nodes_find_together(void **state) {
    for (unsigned i = 0; i < net.count; i++) {
        assert_int_equal(status(i).known_nodes, 6);
        assert_int_equal(status(i).size, 3);
        assert_int_equal(status(i).slots_ok, 16384);
        assert_true(status(i).ok);
        assert_int_equal(owner_port(i, 0), PORT);
        assert_int_equal(owner_port(i, 16383), PORT + 2);
        assert_int_equal(net.nodes[i].replica, i >= 3);
    }
    assert_int_equal(net.nodes[4].replicates, PORT + 1);
    assert_true(me(0).config_epoch != me(1).config_epoch && me(1).config_epoch != me(2).config_epoch);
    assert_string_equal(me(4).shard_id, me(1).shard_id);
}

// Milliseconds until n1's replica serves.
static uint64_t time_failover(void) {
    uint64_t began = net.now;
    while (!(owner_port(4, 6000) == PORT + 4 && status(4).ok && owner_port(0, 6000) == PORT + 4)) {
        run(1);
        assert_true(net.now - began < 20000);
    }
    return net.now - began;
}

static void a_killed_primary_is_replaced_at_once(void **state) {
    kill_node(1);
    assert_true(time_failover() <= 200);
    assert_int_equal(net.nodes[4].became_primary, 1);
    assert_true(me(4).config_epoch > me(0).config_epoch);
    run(1000);
    for (unsigned i = 0; i < net.count; i++)
        if (net.nodes[i].alive) assert_true(status(i).ok);
    // It comes back with what it saved, hears that its slots have gone, and follows the winner.
    start(1);
    run(3000);
    assert_true(net.nodes[1].replica);
    assert_int_equal(net.nodes[1].replicates, PORT + 4);
    assert_int_equal(owner_port(1, 6000), PORT + 4);
    assert_int_equal(status(0).slots_fail, 0);
}

static void who_has_just_joined_is_known_after_a_crash(void **state) {
    start(net.count++);
    // It will hear of no greater epoch, which would be saved at once anyway.
    ordered(6, "SET-CONFIG-EPOCH 100");
    run(500);
    ordered(0, "MEET 127.0.0.1 7006");
    struct cluster_view_node found;
    struct bytes first = bytes_from_string(me(0).id), joined = bytes_from_string(me(6).id);
    for (int i = 0; i < 1000 && !cluster_view_find(net.nodes[6].core, first, &found); i++)
        run(1);
    assert_true(cluster_view_find(net.nodes[0].core, joined, &found));
    kill_node(6);
    start(6);
    assert_true(cluster_view_find(net.nodes[6].core, first, &found));
}

static void without_crash_detection_within_two_seconds(void **state) {
    for (unsigned i = 0; i < net.count; i++) {
        struct cluster_config config = net.config;
        config.crash_detection = false;
        config.port = (uint16_t)(PORT + i);
        config.bus_port = (uint16_t)(PORT + 10000 + i);
        cluster_set_config(net.nodes[i].core, &config);
    }
    for (unsigned round = 0; round < 4; round++) {
        run(37 * round);
        kill_node(1);
        assert_true(time_failover() <= 1500);
        tear_down(state);
        set_up(state);
    }
}

static void no_vote_before_its_save(void **state) {
    // The disks of two of three voters hang: no majority, whatever they say.
    net.nodes[0].disk_is_stuck = net.nodes[2].disk_is_stuck = true;
    kill_node(1);
    run(1500);
    assert_int_equal(net.nodes[4].became_primary, 0);
    assert_true(net.nodes[0].held_count > 0);
    // One of them comes through.
    net.nodes[0].disk_is_stuck = net.nodes[2].disk_is_stuck = false;
    save_done(0, net.nodes[0].held_save);
    save_done(2, net.nodes[2].held_save);
    run(100);
    assert_int_equal(net.nodes[4].became_primary, 1);
}

static void the_administrator_hands_over(void **state) {
    net.nodes[1].offset = net.nodes[4].offset = 500;
    ordered(4, "FAILOVER");
    net.nodes[4].offset = 400; // not all of the stream yet
    run(300);
    assert_true(net.nodes[1].paused);
    assert_int_equal(net.nodes[4].became_primary, 0);
    net.nodes[4].offset = 500;
    run(300);
    assert_int_equal(net.nodes[4].became_primary, 1);
    assert_true(net.nodes[1].replica);
    assert_false(net.nodes[1].paused);
    assert_int_equal(owner_port(2, 6000), PORT + 4);
    ordered(1, "FAILOVER TAKEOVER");
    run(300);
    assert_int_equal(owner_port(2, 6000), PORT + 1);
    assert_true(net.nodes[4].replica);
}

static void a_slot_moves(void **state) {
    char text[80];
    snprintf(text, sizeof(text), "SETSLOT 100 IMPORTING %s", me(0).id);
    ordered(1, text);
    snprintf(text, sizeof(text), "SETSLOT 100 MIGRATING %s", me(1).id);
    ordered(0, text);
    assert_int_equal(cluster_view_migrating(net.nodes[0].core)[100] != CLUSTER_NO_INDEX, 1);
    snprintf(text, sizeof(text), "SETSLOT 100 NODE %s", me(1).id);
    refused(0, text, 3,
            "ERR Can't assign hashslot 100 to a different node while I still hold keys for this hash slot.");
    ordered(1, text);
    ordered(0, text);
    run(300);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(owner_port(i, 100), PORT + 1);
    assert_int_equal(me(1).config_epoch, status(0).current_epoch);
    assert_int_equal(cluster_view_migrating(net.nodes[0].core)[100], CLUSTER_NO_INDEX);
}

static void a_node_is_forgotten_by_all(void **state) {
    char text[80];
    snprintf(text, sizeof(text), "FORGET %s", me(5).id);
    kill_node(5);
    run(10);
    ordered(0, text);
    run(3000);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(status(i).known_nodes, 5);
}

// The words are redis-server's.
static void orders_are_refused_in_its_words(void **state) {
    char text[80];
    refused(0, "MEET foo 1", 0, "ERR Invalid node address specified: foo:1");
    refused(0, "MEET 127.0.0.1 60000", 0, "ERR Invalid node address specified: 127.0.0.1:60000");
    refused(0, "MEET 127.0.0.1 abc", 0, "ERR Invalid TCP base port specified: abc");
    refused(0, "MEET 127.0.0.1", 0, "ERR wrong number of arguments for 'cluster|meet' command");
    refused(0, "ADDSLOTS 9000", 0, "ERR Slot 9000 is already busy");
    refused(0, "ADDSLOTS 16384", 0, "ERR Invalid or out of range slot");
    refused(0, "DELSLOTSRANGE 5 1", 0, "ERR start slot number 5 is greater than end slot number 1");
    refused(0, "DELSLOTS 1 1", 0, "ERR Slot 1 specified multiple times");
    refused(0, "FLUSHSLOTS", 1, "ERR DB must be empty to perform CLUSTER FLUSHSLOTS.");
    refused(3, "SETSLOT 5 STABLE", 0, "ERR Please use SETSLOT only with masters.");
    refused(0, "SETSLOT 1 foo", 0,
            "ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP");
    refused(0, "FAILOVER", 0, "ERR You should send CLUSTER FAILOVER to a replica");
    refused(0, "RESET", 1, "ERR CLUSTER RESET can't be called with master nodes containing keys");
    refused(0, "RESET HARD x", 0,
            "ERR unknown subcommand or wrong number of arguments for 'RESET'. Try CLUSTER HELP.");
    refused(0, "SET-CONFIG-EPOCH 7", 0,
            "ERR The user can assign a config epoch only when the node does not know any other node.");
    snprintf(text, sizeof(text), "FORGET %s", me(0).id);
    refused(3, text, 0, "ERR Can't forget my master!");
    refused(0, text, 0, "ERR I tried hard but I can't forget myself...");
    snprintf(text, sizeof(text), "REPLICATE %s", me(3).id);
    refused(0, text, 0, "ERR I can only replicate a master, not a replica.");
    snprintf(text, sizeof(text), "REPLICATE %s", me(1).id);
    refused(0, text, 0, "ERR To set a master the node must be empty and without assigned slots.");
    order(3, "RESET HARD", 0);
    assert_true(net.nodes[3].outcome_ok);
    assert_false(net.nodes[3].replica);
    assert_int_equal(status(3).known_nodes, 1);
    assert_int_equal(status(3).current_epoch, 0);
}

static void a_restart_remembers(void **state) {
    struct cluster_view_node before = me(2);
    kill_node(2);
    start(2);
    struct cluster_view_node after = me(2);
    assert_string_equal(before.id, after.id);
    assert_int_equal(before.config_epoch, after.config_epoch);
    assert_int_equal(before.slots, after.slots);
    assert_int_equal(status(2).known_nodes, 6);
    assert_false(status(2).ok); // not before it has listened for a while
}

static void foreign_files_are_refused(void **state) {
    static const char *const bad[] = {
        "hello world\n",
        "0123456789012345678901234567890123456789 :7000@17000 myself,master - 0 0 1 connected 0-9\n",
        "0123456789012345678901234567890123456789 :7000@17000 master - 0 0 1 connected 0-9\nvars "
        "currentEpoch 1 lastVoteEpoch 0\n",
        "0123456789012345678901234567890123456789 :7000@17000 myself,master - 0 0 1 connected 0-9 5\nvars "
        "currentEpoch 1 "
        "lastVoteEpoch 0\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buffer error = BUFFER_EMPTY;
        assert_null(cluster_create(&net.config, bytes_from_string(bad[i]), 1, 0, 0, &error));
        assert_true(error.size > 0);
        buffer_free(&error);
    }
}

static void garbage_closes_the_link(void **state) {
    struct cluster_event event = {.kind = CLUSTER_EVENT_PACKET, .now = net.now, .unix_now = net.now};
    event.packet.bytes = BYTES("RCmb\0\0\0\020ABCDEFGH");
    event.packet.link.inbound = 99;
    const struct cluster_actions *actions = cluster_step(net.nodes[0].core, &event);
    for (size_t i = 0; i < actions->count; i++)
        if (actions->items[i].kind == CLUSTER_ACTION_DISCONNECT)
            assert_int_equal(actions->items[i].disconnect.inbound, 99);
    event.packet.bytes = BYTES("GET / HTTP/1.1\r\n\r\n");
    actions = cluster_step(net.nodes[0].core, &event);
    bool closed = false;
    for (size_t i = 0; i < actions->count; i++)
        closed |= actions->items[i].kind == CLUSTER_ACTION_DISCONNECT;
    assert_true(closed);
}

static void cut(unsigned a, unsigned b, bool lost) {
    net.cut[a][b] = net.cut[b][a] = lost;
}

static void isolate(unsigned index, bool lost) {
    for (unsigned i = 0; i < net.count; i++)
        cut(index, i, lost);
}

static struct cluster_view_node seen(unsigned by, unsigned whom) {
    struct cluster_view_node node;
    assert_true(cluster_view_find(net.nodes[by].core, bytes_from_string(me(whom).id), &node));
    return node;
}

// SETSLOT 100, n1 from n0, up to the moment when the keys have moved.
static void open_slot(void) {
    char text[80];
    snprintf(text, sizeof(text), "SETSLOT 100 IMPORTING %s", me(0).id);
    ordered(1, text);
    snprintf(text, sizeof(text), "SETSLOT 100 MIGRATING %s", me(1).id);
    ordered(0, text);
}

static void close_slot(unsigned at) {
    char text[80];
    snprintf(text, sizeof(text), "SETSLOT 100 NODE %s", me(1).id);
    ordered(at, text);
}

static void an_import_goes_on_from_the_sources_successor(void **state) {
    open_slot();
    ordered(3, "FAILOVER TAKEOVER");
    run(1000);
    assert_int_equal(owner_port(1, 100), PORT + 3);
    assert_true(status(1).ok);
    struct cluster_view_node from;
    assert_true(
        cluster_view_node_at(net.nodes[1].core, cluster_view_importing(net.nodes[1].core)[100], &from));
    assert_int_equal(from.port, PORT + 3);
    close_slot(1);
    run(1000);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(owner_port(i, 100), PORT + 1);
}

// n1 closes an import while n0, which it can't hear, takes two newer epochs: n0's claim is the newest until
// it is told to let go.
static void finish_import_unheard(void) {
    open_slot();
    isolate(1, true);
    ordered(0, "BUMPEPOCH");
    run(300);
    ordered(2, "BUMPEPOCH");
    run(300);
    ordered(0, "BUMPEPOCH");
    close_slot(1);
    assert_true(me(0).config_epoch > me(1).config_epoch);
    isolate(1, false);
}

static void what_was_imported_is_kept(void **state) {
    finish_import_unheard();
    run(400);
    close_slot(0);
    run(2000);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(owner_port(i, 100), PORT + 1);
    assert_int_equal(net.nodes[1].dropped_slots, 0);
}

static void what_was_imported_is_kept_when_the_source_was_told_first(void **state) {
    finish_import_unheard();
    cut(0, 1, true);
    run(300);
    close_slot(0);
    cut(0, 1, false);
    run(2000);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(owner_port(i, 100), PORT + 1);
    assert_true(me(1).config_epoch > me(0).config_epoch);
}

// It may go back as it came, though: the administrator's next word ends the defence of the last one.
static void what_was_imported_may_move_back(void **state) {
    char text[80];
    open_slot();
    close_slot(1);
    close_slot(0);
    run(500);
    snprintf(text, sizeof(text), "SETSLOT 100 IMPORTING %s", me(1).id);
    ordered(0, text);
    snprintf(text, sizeof(text), "SETSLOT 100 MIGRATING %s", me(0).id);
    ordered(1, text);
    snprintf(text, sizeof(text), "SETSLOT 100 NODE %s", me(0).id);
    ordered(0, text);
    run(1000);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(owner_port(i, 100), PORT);
}

// The shard of n1 votes for n4 with n1's voice, and n4 wins with n2's. Then n5 asks for votes in the same
// epoch: n0 has a vote left, but not n4.
static void a_winner_has_voted_for_itself(void **state) {
    isolate(5, true);
    cut(4, 0, true);
    ordered(4, "FAILOVER FORCE");
    run(50);
    assert_int_equal(net.nodes[4].became_primary, 1);
    assert_int_equal(status(4).last_vote_epoch, me(4).config_epoch);
    for (unsigned i = 0; i < net.count; i++)
        net.cut[5][i] = net.cut[i][5] = i == 1 || i == 2 || i == 3;
    cut(4, 0, false);
    net.cut[0][5] = true; // n5 must not hear of the epoch but by its votes
    ordered(5, "FAILOVER FORCE");
    net.cut[0][5] = false;
    run(50);
    assert_true(net.nodes[5].became_primary == 0 || me(5).config_epoch != me(4).config_epoch);
}

// n0 loses all it had to n3, stands up in n1's place with a newer epoch, and n2 never heard of n3. What n2
// thinks n0's, and finds so in its file after a restart, n0 does not claim: n2 must not tell n3 so.
static void nobody_is_told_what_the_owner_does_not_claim(void **state) {
    char text[80];
    cut(3, 2, true);
    ordered(3, "FAILOVER TAKEOVER");
    net.cut[0][2] = true; // nor that n0 was a replica meanwhile
    run(200);
    assert_true(net.nodes[0].replica);
    snprintf(text, sizeof(text), "REPLICATE %s", me(1).id);
    ordered(0, text);
    run(100);
    cut(0, 3, true);
    ordered(0, "FAILOVER TAKEOVER");
    net.cut[0][2] = false;
    run(600);
    assert_int_equal(seen(2, 0).config_epoch, me(0).config_epoch);
    cut(0, 2, true);
    kill_node(2);
    start(2);
    assert_int_equal(owner_port(2, 100), PORT);
    cut(3, 2, false);
    run(300);
    assert_int_equal(owner_port(3, 100), PORT + 3);
    cut(0, 2, false);
    cut(0, 3, false);
    run(3000);
    for (unsigned i = 0; i < net.count; i++) {
        assert_int_equal(owner_port(i, 100), PORT + 3);
        assert_int_equal(owner_port(i, 6000), PORT);
    }
}

// The same for a replica: it does not take with its primary's place what that has given away, to whomever it
// was.
static void a_replica_does_not_take_what_its_primary_gave_away(void **state) {
    open_slot();
    ordered(0, "BUMPEPOCH");
    run(300);
    isolate(1, true);
    close_slot(0); // n0 knows no epoch of n1's to tell n3 of
    run(600);
    assert_int_equal(owner_port(3, 100), PORT);
    ordered(3, "FAILOVER TAKEOVER");
    assert_int_equal(owner_port(3, 99), PORT + 3);
    assert_int_equal(owner_port(3, 100), 0);
    isolate(1, false);
    close_slot(1);
    run(2000);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(owner_port(i, 100), PORT + 1);
}

// n3 becomes the fourth primary, with slot 100.
static void make_fourth_primary(void) {
    char text[80];
    ordered(3, "RESET SOFT");
    ordered(0, "MEET 127.0.0.1 7003");
    run(1500);
    snprintf(text, sizeof(text), "SETSLOT 100 IMPORTING %s", me(0).id);
    ordered(3, text);
    snprintf(text, sizeof(text), "SETSLOT 100 NODE %s", me(3).id);
    ordered(3, text);
    ordered(0, text);
    run(500);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(status(i).size, 4);
}

// Two of four voters are no majority, also when one of the four steps down later: the other two may have
// elected somebody else.
static void the_quorum_is_that_of_the_voters_who_were_asked(void **state) {
    char text[80];
    make_fourth_primary();
    cut(4, 0, true);
    cut(4, 3, true);
    ordered(4, "FAILOVER FORCE");
    run(100);
    assert_int_equal(net.nodes[4].became_primary, 0);
    cut(4, 3, false);
    snprintf(text, sizeof(text), "SETSLOT 100 NODE %s", me(0).id);
    ordered(3, text);
    assert_true(net.nodes[3].replica);
    run(700);
    assert_int_equal(status(4).size, 3);
    assert_int_equal(net.nodes[4].became_primary, 0);
    cut(4, 0, false);
}

static void a_takeover_has_the_newest_epoch_after_a_restart(void **state) {
    ordered(1, "BUMPEPOCH");
    run(500);
    assert_int_equal(me(1).config_epoch, status(0).current_epoch);
    kill_node(4);
    start(4);
    run(500);
    ordered(4, "FAILOVER TAKEOVER");
    assert_true(me(4).config_epoch > me(1).config_epoch);
    run(500);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(owner_port(i, 6000), PORT + 4);
    assert_true(net.nodes[1].replica);
}

static void the_epoch_of_a_promotion_is_the_elections(void **state) {
    uint64_t before = status(0).current_epoch;
    kill_node(1);
    time_failover();
    run(500);
    assert_int_equal(me(4).config_epoch, before + 1);
    assert_int_equal(status(4).current_epoch, before + 1);
    for (unsigned i = 0; i < net.count; i++) {
        if (!net.nodes[i].alive) continue;
        assert_int_equal(status(i).current_epoch, before + 1);
        assert_int_equal(seen(i, 4).config_epoch, before + 1);
        assert_true(seen(i, 0).config_epoch <= before && seen(i, 2).config_epoch <= before);
    }
}

// While n4 replicates n1, n1's epoch is shown for it. When it stands up by itself its own, smaller one
// counts.
static void whoever_stands_up_speaks_for_its_own_epoch(void **state) {
    ordered(1, "BUMPEPOCH");
    run(500);
    assert_true(seen(0, 4).flags & CLUSTER_NODE_REPLICA);
    uint64_t own = me(4).config_epoch;
    ordered(4, "RESET SOFT");
    ordered(0, "MEET 127.0.0.1 7004");
    run(2000);
    assert_true(seen(0, 4).flags & CLUSTER_NODE_PRIMARY);
    assert_int_equal(seen(0, 4).config_epoch, me(4).config_epoch);
    assert_true(me(4).config_epoch != me(1).config_epoch || own == me(1).config_epoch);
}

static void write_line(struct buffer *file, unsigned index, const char *role, const char *primary,
                       const char *rest) {
    buffer_appendf(file, "%s 127.0.0.1:%u@%u %s %s 0 0 %s\n", me(index).id, PORT + index,
                   PORT + 10000 + index, role, primary, rest);
}

// By its file n1 replicates n4, and n4 n1. The one that stands up does not know its own last epoch, for the
// file shows its primary's: it takes a new one.
static void whoever_breaks_a_circle_takes_a_new_epoch(void **state) {
    uint64_t before = status(0).current_epoch;
    struct buffer files[2] = {BUFFER_EMPTY, BUFFER_EMPTY};
    for (unsigned i = 0; i < 2; i++) {
        unsigned self = i ? 4 : 1, other = i ? 1 : 4;
        write_line(&files[i], self, "myself,slave", me(other).id, "1 connected");
        write_line(&files[i], other, "master", "-", "1 connected");
        write_line(&files[i], 0, "master", "-", "2 connected 0-5460");
        write_line(&files[i], 2, "master", "-", "3 connected 10923-16383");
        buffer_appendf(&files[i], "vars currentEpoch %u lastVoteEpoch 0\n", (unsigned)before);
    }
    for (unsigned i = 0; i < 2; i++) {
        unsigned self = i ? 4 : 1;
        kill_node(self);
        buffer_free(&net.nodes[self].saved);
        net.nodes[self].saved = files[i];
    }
    start(1);
    start(4);
    run(4000);
    unsigned standing = me(1).flags & CLUSTER_NODE_PRIMARY ? 1 : 4;
    assert_true(me(standing).flags & CLUSTER_NODE_PRIMARY);
    assert_true(me(5 - standing).flags & CLUSTER_NODE_REPLICA);
    assert_true(me(standing).config_epoch > before);
}

static void only_the_replica_that_asked_hears_of_the_pause(void **state) {
    char text[64];
    snprintf(text, sizeof(text), "REPLICATE %s", me(1).id);
    ordered(5, text);
    run(1000);
    net.nodes[1].offset = net.nodes[5].offset = 500;
    net.nodes[4].offset = 400; // so it takes a while
    ordered(4, "FAILOVER");
    run(1500);
    assert_true(net.nodes[1].paused);
    assert_true(net.paused[1][4] > 0);
    for (unsigned from = 0; from < net.count; from++)
        for (unsigned to = 0; to < net.count; to++)
            if (from != 1 || to != 4) assert_int_equal(net.paused[from][to], 0);
    net.nodes[4].offset = 500;
    run(300);
    assert_int_equal(net.nodes[4].became_primary, 1);
    assert_int_equal(net.nodes[5].became_primary, 0);
}

static void a_closed_door_is_knocked_at_less_and_less(void **state) {
    for (unsigned i = 0; i < net.count; i++) {
        struct cluster_config config = net.config;
        config.node_timeout = 15000;
        config.port = (uint16_t)(PORT + i);
        config.bus_port = (uint16_t)(PORT + 10000 + i);
        cluster_set_config(net.nodes[i].core, &config);
    }
    kill_node(5);
    unsigned before = net.connects[0][5];
    run(20000);
    unsigned knocks = net.connects[0][5] - before;
    assert_true(knocks >= 5 && knocks <= 20);
    // Whoever is there again says so, and is not kept waiting.
    start(5);
    run(150);
    assert_true(seen(0, 5).link_up);
}

// n0 promises once more before its first promise is saved: what the first one said is said when that is
// saved.
static void a_slow_disk_does_not_keep_us_from_saying_what_is_saved(void **state) {
    net.nodes[0].disk_is_stuck = true;
    uint64_t before = me(0).config_epoch;
    order(0, "BUMPEPOCH", 0);
    uint64_t bumped = me(0).config_epoch, first = net.nodes[0].held_save;
    order(0, "SAVECONFIG", 0);
    assert_true(bumped > before && net.nodes[0].held_save > first);
    run(600);
    assert_int_equal(seen(1, 0).config_epoch, before);
    save_done(0, first);
    run(600);
    assert_int_equal(seen(1, 0).config_epoch, bumped);
}

// Tells a node that it can't serve, or can again.
static void stall(unsigned index, bool stalled) {
    step(index, &(struct cluster_event){.kind = CLUSTER_EVENT_STALL, .stalled = stalled});
}

static void a_stalled_primary_is_replaced_and_hears_of_it(void **state) {
    stall(1, true);
    run(2500);
    assert_int_equal(net.nodes[4].became_primary, 1);
    assert_int_equal(seen(0, 1).flags & CLUSTER_NODE_FAIL, CLUSTER_NODE_FAIL);
    // It knows already, although it says nothing, and suspects nobody.
    assert_true(me(1).flags & CLUSTER_NODE_REPLICA);
    assert_int_equal(owner_port(1, 6000), PORT + 4);
    for (unsigned i = 0; i < net.count; i++)
        assert_false(seen(1, i).flags & (CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL));
    stall(1, false);
    run(1000);
    for (unsigned i = 0; i < net.count; i++)
        assert_false((seen(1, i).flags | seen(i, 1).flags) & (CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL));
    assert_true(seen(0, 1).flags & CLUSTER_NODE_REPLICA);
}

static void a_short_stall_is_nothing(void **state) {
    uint64_t epoch = status(0).current_epoch;
    for (int i = 0; i < 20; i++) {
        stall(1, i % 2 == 0);
        run(i % 2 ? 20 : 400);
    }
    run(3000);
    assert_true(me(1).flags & CLUSTER_NODE_PRIMARY);
    for (unsigned i = 0; i < net.count; i++) {
        assert_int_equal(status(i).current_epoch, epoch);
        assert_false((seen(i, 1).flags | seen(1, i).flags) & (CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL));
    }
}

static void a_stalled_replica_is_no_successor(void **state) {
    stall(4, true);
    kill_node(1);
    run(3000);
    assert_int_equal(net.nodes[4].became_primary, 0);
    stall(4, false);
    run(1500);
    assert_int_equal(net.nodes[4].became_primary, 1);
}

static void a_link_that_came_up_in_a_stall_is_greeted_after_it(void **state) {
    stall(1, true);
    kill_node(5);
    run(300);
    start(5);
    run(300);
    stall(1, false);
    run(1500);
    assert_true(seen(1, 5).link_up);
    assert_false(seen(1, 5).flags & (CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL));
    assert_int_equal(seen(1, 5).ping_sent, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(six_nodes_find_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_killed_primary_is_replaced_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_crash_detection_within_two_seconds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_vote_before_its_save, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_administrator_hands_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slot_moves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_node_is_forgotten_by_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(orders_are_refused_in_its_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_restart_remembers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(foreign_files_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(garbage_closes_the_link, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_import_goes_on_from_the_sources_successor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_imported_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_imported_is_kept_when_the_source_was_told_first, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_was_imported_may_move_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_replica_does_not_take_what_its_primary_gave_away, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nobody_is_told_what_the_owner_does_not_claim, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_winner_has_voted_for_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_quorum_is_that_of_the_voters_who_were_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_takeover_has_the_newest_epoch_after_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_epoch_of_a_promotion_is_the_elections, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whoever_stands_up_speaks_for_its_own_epoch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whoever_breaks_a_circle_takes_a_new_epoch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_the_replica_that_asked_hears_of_the_pause, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_has_just_joined_is_known_after_a_crash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_closed_door_is_knocked_at_less_and_less, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stalled_primary_is_replaced_and_hears_of_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_short_stall_is_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stalled_replica_is_no_successor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_link_that_came_up_in_a_stall_is_greeted_after_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slow_disk_does_not_keep_us_from_saying_what_is_saved, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
