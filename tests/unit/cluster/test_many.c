// One core that knows two hundred primaries, with links to all of them: what it does when the others speak.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/cluster.h"
#include "cluster/cluster_view.h"
#include "cluster/packet.h"

enum {
    NODES = 200,
    ACCUSERS = NODES / 2, // with our own suspicion a majority
    SUSPECTS_MAX = 128,   // in a heartbeat
    FANOUT = 31,          // primaries that hear of a suspicion at once, ourselves aside
    TIMEOUT_MS = 15000,
    TICK_MS = 100,
    SPREAD_MS = 100,
    UNIX_AHEAD = 1000000,
    SAVE_MAX_MS = 1000,
    PORT = 7000,
    READS_EXTENSIONS = 1024, // in a header's flags
    PACKET_ROOM = PACKET_HEADER_SIZE + 2 * PACKET_GOSSIP_SIZE,
};

static struct cluster *core;
static uint64_t now;
static cluster_node links[NODES + 1];     // what the core calls them, and one that it does not know yet
static unsigned sent[PACKET_MFSTART + 1]; // messages by type, since the last look
static uint64_t save_number;              // of the last save
static bool save_sync;

static unsigned pinged[NODES]; // PINGs by node
static unsigned suspects_most; // that a message spoke of, since the last look
static bool spoken_of[NODES];  // as suspects, since the last look
static unsigned last_count;    // of all nodes that the last heartbeat spoke of

static void look_at_gossip(const struct cluster_message *message) {
    struct packet packet;
    struct packet_gossip gossip;
    unsigned suspects = 0;
    assert_int_equal(packet_decode(bytes_of(message->data, message->size), &packet), PACKET_OK);
    if (packet.type > PACKET_MEET) return;
    last_count = packet.count;
    for (uint16_t i = 0; i < packet.count; i++) {
        packet_gossip_at(&packet, i, &gossip);
        if (!(gossip.flags & CLUSTER_NODE_PFAIL)) continue;
        spoken_of[gossip.port - PORT] = true;
        suspects++;
    }
    if (suspects > suspects_most) suspects_most = suspects;
}

static void name_of(unsigned node, char *id) {
    snprintf(id, CLUSTER_ID_SIZE + 1, "%040u", node + 1);
}

static void step(struct cluster_event event) {
    event.now = now;
    event.unix_now = now + UNIX_AHEAD;
    const struct cluster_actions *actions = cluster_step(core, &event);
    for (size_t i = 0; i < actions->count; i++) {
        const struct cluster_action *action = &actions->items[i];
        if (action->kind == CLUSTER_ACTION_CONNECT)
            links[action->connect.port - PORT - 10000] = action->connect.node;
        if (action->kind == CLUSTER_ACTION_SEND) {
            sent[action->send.message->data[13]]++;
            for (unsigned node = 1; node < NODES; node++)
                if (action->send.message->data[13] == PACKET_PING)
                    pinged[node] += action->send.link.node == links[node];
            look_at_gossip(action->send.message);
        }
        if (action->kind != CLUSTER_ACTION_SAVE) continue;
        save_number = action->save.number;
        save_sync = action->save.sync;
    }
}

static void tick(uint64_t ms) {
    for (uint64_t end = now + ms; now < end; now++)
        if (cluster_deadline(core) <= now) step((struct cluster_event){.kind = CLUSTER_EVENT_TICK});
}

static void link_up(unsigned node) {
    step((struct cluster_event){.kind = CLUSTER_EVENT_LINK_UP, .link = {.node = links[node]}});
}

static void hear(unsigned node, const uint8_t *bytes, uint32_t size) {
    struct cluster_event event = {.kind = CLUSTER_EVENT_PACKET};
    event.packet.link.node = links[node];
    event.packet.bytes = bytes_of(bytes, size);
    event.packet.peer_ip = event.packet.local_ip = "127.0.0.1";
    step(event);
}

static void header_of(unsigned node, struct packet *packet) {
    char id[CLUSTER_ID_SIZE + 1];
    name_of(node, id);
    packet->flags = CLUSTER_NODE_PRIMARY | READS_EXTENSIONS;
    packet->port = (uint16_t)(PORT + node);
    packet->bus_port = (uint16_t)(packet->port + 10000);
    packet->config_epoch = node + 1;
    packet->current_epoch = NODES;
    memcpy(packet->sender, id, CLUSTER_ID_SIZE);
}

// A packet of `node`, about `other`: FAIL, or a PONG that says `flags` of it.
static void speak(unsigned node, uint16_t type, unsigned other, uint16_t flags, uint64_t epoch) {
    uint8_t bytes[PACKET_ROOM] = {0}, slots[PACKET_SLOTS_SIZE] = {0};
    struct packet packet = {.type = type, .count = type <= PACKET_MEET, .slots = slots};
    struct packet_gossip gossip = {.port = (uint16_t)(PORT + other), .flags = flags};
    gossip.pong_received = (uint32_t)((now + UNIX_AHEAD) / 1000);
    char id[CLUSTER_ID_SIZE + 1];
    uint32_t total = PACKET_HEADER_SIZE + (type == PACKET_FAIL ? CLUSTER_ID_SIZE : PACKET_GOSSIP_SIZE);
    header_of(node, &packet);
    packet.current_epoch = epoch;
    slots[node / 8] = (uint8_t)(1 << node % 8);
    packet_header_write(bytes, &packet, total);
    name_of(other, id);
    memcpy(gossip.id, id, CLUSTER_ID_SIZE);
    if (type == PACKET_FAIL)
        memcpy(bytes + PACKET_HEADER_SIZE, id, CLUSTER_ID_SIZE);
    else
        packet_gossip_write(bytes + PACKET_HEADER_SIZE, &gossip);
    hear(node, bytes, total);
}

// A packet of `node` about nobody, with extensions unless NULL.
static void tell(unsigned node, uint16_t type, const struct packet_extensions *extensions) {
    uint8_t bytes[PACKET_ROOM] = {0}, slots[PACKET_SLOTS_SIZE] = {0};
    struct packet packet = {.type = type, .slots = slots};
    uint32_t total = PACKET_HEADER_SIZE;
    header_of(node, &packet);
    slots[node / 8] = (uint8_t)(1 << node % 8);
    if (extensions) {
        packet.message_flags[0] = PACKET_HAS_EXTENSIONS;
        total += packet_extensions_size(extensions, &packet.extensions);
        packet_extensions_write(bytes + PACKET_HEADER_SIZE, extensions);
    }
    packet_header_write(bytes, &packet, total);
    hear(node, bytes, total);
}

// `node` was told to forget `other`, and tells it on.
static void tell_to_forget(unsigned node, unsigned other) {
    char id[CLUSTER_ID_SIZE + 1];
    name_of(other, id);
    struct packet_extensions extensions = {.forgotten_id = bytes_of(id, CLUSTER_ID_SIZE),
                                           .forgotten_ttl = 60};
    tell(node, PACKET_PONG, &extensions);
}

static void order_to_forget(unsigned other) {
    char id[CLUSTER_ID_SIZE + 1];
    name_of(other, id);
    struct bytes words[] = {BYTES("FORGET"), bytes_of(id, CLUSTER_ID_SIZE)};
    step((struct cluster_event){.kind = CLUSTER_EVENT_ORDER,
                                .order = {.number = 1, .arguments = words, .count = 2}});
}

static void let_die(unsigned node) {
    step((struct cluster_event){.kind = CLUSTER_EVENT_LINK_DOWN, .link = {.node = links[node]}});
    step((struct cluster_event){.kind = CLUSTER_EVENT_LINK_REFUSED, .link = {.node = links[node]}});
}

// The last one has died, and we know; all but one of those who are needed have said so.
static void let_the_last_one_die(void) {
    let_die(NODES - 1);
    sent[PACKET_FAIL] = 0;
    for (unsigned node = 1; node < ACCUSERS; node++)
        speak(node, PACKET_PONG, NODES - 1, CLUSTER_NODE_PFAIL | CLUSTER_NODE_PRIMARY, NODES);
}

static struct cluster_view_node see(unsigned node) {
    struct cluster_view_node seen;
    char id[CLUSTER_ID_SIZE + 1];
    name_of(node, id);
    assert_true(cluster_view_find(core, bytes_from_string(id), &seen));
    return seen;
}

static int reports_of(unsigned node) {
    char id[CLUSTER_ID_SIZE + 1];
    name_of(node, id);
    return cluster_view_failure_reports(core, bytes_from_string(id));
}

static int begin(void **state) {
    struct buffer conf = BUFFER_EMPTY, error = BUFFER_EMPTY;
    struct cluster_config config;
    cluster_config_default(&config);
    config.node_timeout = TIMEOUT_MS;
    for (unsigned node = 0; node < NODES; node++) {
        char id[CLUSTER_ID_SIZE + 1];
        name_of(node, id);
        buffer_appendf(&conf, "%s 127.0.0.1:%u@%u %smaster - 0 0 %u connected %u\n", id, PORT + node,
                       PORT + 10000 + node, node ? "" : "myself,", node + 1, node);
    }
    buffer_appendf(&conf, "vars currentEpoch %u lastVoteEpoch 0\n", NODES);
    now = 1000;
    core = cluster_create(&config, buffer_bytes(&conf), 7, now, now + UNIX_AHEAD, &error);
    buffer_free(&conf);
    if (!core) return -1;
    memset(links, 0, sizeof links);
    memset(sent, 0, sizeof sent);
    memset(pinged, 0, sizeof pinged);
    tick(500);
    for (unsigned node = 1; node < NODES; node++)
        link_up(node);
    for (unsigned node = 1; node < NODES; node++)
        speak(node, PACKET_PONG, 0, CLUSTER_NODE_PRIMARY, NODES);
    tick(SAVE_MAX_MS);
    step((struct cluster_event){.kind = CLUSTER_EVENT_SAVED, .saved = {save_number, true}});
    save_number = 0;
    return 0;
}

static int end(void **state) {
    cluster_destroy(core);
    return 0;
}

// Nobody else tells of it: we do, soon, once, and to everybody.
static void a_failure_is_told_soon(void **state) {
    let_the_last_one_die();
    assert_false(see(NODES - 1).flags & CLUSTER_NODE_FAIL);
    speak(ACCUSERS, PACKET_PONG, NODES - 1, CLUSTER_NODE_PFAIL | CLUSTER_NODE_PRIMARY, NODES);
    assert_true(see(NODES - 1).flags & CLUSTER_NODE_FAIL); // we act on it at once
    tick(SPREAD_MS + 1);
    assert_int_equal(sent[PACKET_FAIL], NODES - 2);
    tick(TIMEOUT_MS / 2);
    assert_int_equal(sent[PACKET_FAIL], NODES - 2);
}

// Whoever hears of it meanwhile keeps silent.
static void a_failure_is_told_by_one(void **state) {
    let_the_last_one_die();
    speak(ACCUSERS, PACKET_PONG, NODES - 1, CLUSTER_NODE_PFAIL | CLUSTER_NODE_PRIMARY, NODES);
    assert_int_equal(sent[PACKET_FAIL], 0); // not drawn to be the first, with this seed
    speak(1, PACKET_FAIL, NODES - 1, 0, NODES);
    tick(2 * SPREAD_MS);
    assert_int_equal(sent[PACKET_FAIL], 0);
}

static void a_forgotten_node_is_told_soon(void **state) {
    sent[PACKET_PONG] = 0;
    order_to_forget(1);
    tick(SPREAD_MS + 1);
    assert_int_equal(sent[PACKET_PONG], NODES - 2);
}

static void a_forgotten_node_is_told_by_one(void **state) {
    sent[PACKET_PONG] = 0;
    order_to_forget(1);
    tell_to_forget(2, 1);
    tick(2 * SPREAD_MS);
    assert_int_equal(sent[PACKET_PONG], 0);
}

// There is room for one: the first is told at once.
static void two_forgotten_nodes_are_both_told(void **state) {
    sent[PACKET_PONG] = 0;
    order_to_forget(1);
    order_to_forget(3);
    tell_to_forget(2, 1);
    tick(SPREAD_MS + 1);
    assert_int_equal(sent[PACKET_PONG], NODES - 2 + NODES - 3);
}

// A report counts for one and a half node timeouts at least, and two at most.
static void reports_grow_old(void **state) {
    for (uint64_t offset = 0; offset < TIMEOUT_MS; offset += TIMEOUT_MS / 8) {
        speak(1, PACKET_PONG, 2, CLUSTER_NODE_PFAIL | CLUSTER_NODE_PRIMARY, NODES);
        assert_int_equal(reports_of(2), 1);
        tick(TIMEOUT_MS * 3 / 2);
        assert_int_equal(reports_of(2), 1);
        tick(TIMEOUT_MS / 2 + 1);
        assert_int_equal(reports_of(2), 0);
        tick(TIMEOUT_MS / 8);
    }
}

// What is heard again counts from then on; what is taken back counts no more, however often it was said.
static void reports_are_renewed_and_taken_back(void **state) {
    for (int times = 0; times < 6; times++) {
        speak(1, PACKET_PONG, 2, CLUSTER_NODE_PFAIL | CLUSTER_NODE_PRIMARY, NODES);
        speak(3, PACKET_PONG, 2, CLUSTER_NODE_PFAIL | CLUSTER_NODE_PRIMARY, NODES);
        assert_int_equal(reports_of(2), 2);
        tick(TIMEOUT_MS / 2);
    }
    speak(1, PACKET_PONG, 2, CLUSTER_NODE_PRIMARY, NODES);
    assert_int_equal(reports_of(2), 1);
}

// That a third node has heard a peer is a sign of life, but not while somebody says that the peer fails. What
// was said before the peer answered us does not count.
static void an_answer_outweighs_what_was_said_before(void **state) {
    speak(1, PACKET_PONG, 2, CLUSTER_NODE_PFAIL | CLUSTER_NODE_PRIMARY, NODES);
    uint64_t before = see(2).pong_received;
    tick(3000);
    speak(3, PACKET_PONG, 2, CLUSTER_NODE_PRIMARY, NODES);
    assert_true(see(2).pong_received == before);
    tell(2, PACKET_PONG, NULL);
    uint64_t answered = see(2).pong_received;
    tick(3000);
    speak(3, PACKET_PONG, 2, CLUSTER_NODE_PRIMARY, NODES);
    assert_int_equal(reports_of(2), 1);
    assert_true(see(2).pong_received > answered);
}

// Others tell that the peers live, again and again, so that they need not be asked; only they themselves tell
// whose replicas they are.
static void all_are_asked_now_and_then(void **state) {
    for (uint64_t passed = 0; passed < 4 * TIMEOUT_MS + TICK_MS; passed += 1000) {
        tick(1000);
        for (unsigned node = 2; node < NODES; node++)
            speak(1, PACKET_PONG, node, CLUSTER_NODE_PRIMARY, NODES);
    }
    for (unsigned node = 2; node < NODES; node++)
        assert_in_range(pinged[node], 2, 3); // the greeting among them
}

// Where hundreds are suspected, a heartbeat speaks of some, and the next ones of the others.
static void suspects_take_turns(void **state) {
    enum { SUSPECTS = NODES - 50, QUESTIONS = 3 };
    for (unsigned node = NODES - SUSPECTS; node < NODES; node++)
        let_die(node);
    tick(2 * TICK_MS);
    suspects_most = 0;
    memset(spoken_of, 0, sizeof spoken_of);
    for (int question = 0; question < QUESTIONS; question++)
        speak(1, PACKET_PING, 2, CLUSTER_NODE_PRIMARY, NODES);
    assert_true(suspects_most && suspects_most <= SUSPECTS_MAX);
    for (unsigned node = NODES - SUSPECTS; node < NODES; node++)
        assert_true(spoken_of[node]);
}

// Whoever gathers suspicions is told again as long as they stand, before they grow old.
static void suspicions_are_told_again(void **state) {
    let_die(NODES - 1);
    tick(2 * TICK_MS);
    for (int times = 0; times < 3; times++) {
        sent[PACKET_PONG] = 0;
        for (int quarter = 0; quarter < 4; quarter++) {
            for (unsigned node = 1; node < NODES - 1; node++)
                tell(node, PACKET_PONG, NULL);
            tick(TIMEOUT_MS / 4);
        }
        assert_in_range(sent[PACKET_PONG], FANOUT, 2 * FANOUT);
    }
}

// There are many links to greet over when a network heals.
static void greetings_are_brief(void **state) {
    step((struct cluster_event){.kind = CLUSTER_EVENT_LINK_DOWN, .link = {.node = links[1]}});
    sent[PACKET_PING] = 0;
    link_up(1);
    assert_int_equal(sent[PACKET_PING], 1);
    assert_int_equal(last_count, 0);
    tell(1, PACKET_PING, NULL);
    assert_int_equal(last_count, 0);
    speak(1, PACKET_PING, 2, CLUSTER_NODE_PRIMARY, NODES);
    assert_true(last_count >= NODES / 10);
}

// But somebody who has just come has yet to hear of the others.
static void who_is_new_hears_of_the_others(void **state) {
    char port[8];
    snprintf(port, sizeof port, "%u", PORT + NODES);
    struct bytes words[] = {BYTES("MEET"), BYTES("127.0.0.1"), bytes_from_string(port)};
    step((struct cluster_event){.kind = CLUSTER_EVENT_ORDER,
                                .order = {.number = 1, .arguments = words, .count = 3}});
    tick(2 * TICK_MS);
    assert_true(links[NODES] != 0);
    link_up(NODES);
    tell(NODES, PACKET_PONG, NULL);
    assert_int_equal(see(NODES).flags & CLUSTER_NODE_HANDSHAKE, 0);
    last_count = 0;
    tell(NODES, PACKET_PING, NULL);
    assert_true(last_count >= NODES / 10);
    tick(TIMEOUT_MS + TICK_MS);
    tell(NODES, PACKET_PING, NULL);
    assert_int_equal(last_count, 0);
}

// Those of whom nothing was heard are not all asked in the same moment.
static void pings_are_spread(void **state) {
    enum { RANDOM_PINGS = 10, PARTS = 5 };
    uint64_t first = TIMEOUT_MS * 3 / 8, last = TIMEOUT_MS / 2;
    tick(first - SAVE_MAX_MS - 2 * TICK_MS);
    assert_true(sent[PACKET_PING] < NODES + RANDOM_PINGS); // since the greetings
    unsigned asked = 0;
    for (int part = 0; part < PARTS; part++, asked += sent[PACKET_PING]) {
        sent[PACKET_PING] = 0;
        tick((last - first + 4 * TICK_MS) / PARTS);
        assert_true(sent[PACKET_PING] < NODES / PARTS * 2);
    }
    assert_true(asked > NODES - RANDOM_PINGS);
    sent[PACKET_PING] = 0;
    tick(TIMEOUT_MS / 4);
    assert_true(sent[PACKET_PING] <= RANDOM_PINGS);
}

// Gossip tells times in seconds: at a short node timeout nobody is spared by those who ask early.
static void pings_are_not_early_in_vain(void **state) {
    enum { SHORT_MS = 2000, RANDOM_PINGS = 2 };
    struct cluster_config config;
    cluster_config_default(&config);
    config.node_timeout = SHORT_MS;
    cluster_set_config(core, &config);
    tick(2 * TICK_MS);
    for (unsigned node = 1; node < NODES; node++)
        speak(node, PACKET_PONG, 0, CLUSTER_NODE_PRIMARY, NODES);
    sent[PACKET_PING] = 0;
    tick(SHORT_MS / 2 - TICK_MS);
    assert_true(sent[PACKET_PING] <= RANDOM_PINGS);
    tick(3 * TICK_MS);
    assert_true(sent[PACKET_PING] >= NODES - 1 - RANDOM_PINGS);
}

// All nodes hear of each epoch; that alone is no reason to write a file at once.
static void an_epoch_that_was_heard_is_saved_in_time(void **state) {
    for (uint64_t epoch = NODES + 1; epoch < NODES + 50; epoch++)
        speak(1, PACKET_PONG, 0, CLUSTER_NODE_PRIMARY, epoch);
    assert_int_equal(save_number, 0);
    uint64_t before = now;
    while (save_number == 0)
        tick(1);
    assert_true(save_sync && now - before < SAVE_MAX_MS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_failure_is_told_soon, begin, end),
        cmocka_unit_test_setup_teardown(a_failure_is_told_by_one, begin, end),
        cmocka_unit_test_setup_teardown(a_forgotten_node_is_told_soon, begin, end),
        cmocka_unit_test_setup_teardown(a_forgotten_node_is_told_by_one, begin, end),
        cmocka_unit_test_setup_teardown(two_forgotten_nodes_are_both_told, begin, end),
        cmocka_unit_test_setup_teardown(reports_grow_old, begin, end),
        cmocka_unit_test_setup_teardown(reports_are_renewed_and_taken_back, begin, end),
        cmocka_unit_test_setup_teardown(an_answer_outweighs_what_was_said_before, begin, end),
        cmocka_unit_test_setup_teardown(all_are_asked_now_and_then, begin, end),
        cmocka_unit_test_setup_teardown(suspects_take_turns, begin, end),
        cmocka_unit_test_setup_teardown(suspicions_are_told_again, begin, end),
        cmocka_unit_test_setup_teardown(greetings_are_brief, begin, end),
        cmocka_unit_test_setup_teardown(who_is_new_hears_of_the_others, begin, end),
        cmocka_unit_test_setup_teardown(pings_are_spread, begin, end),
        cmocka_unit_test_setup_teardown(pings_are_not_early_in_vain, begin, end),
        cmocka_unit_test_setup_teardown(an_epoch_that_was_heard_is_saved_in_time, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
