// Drives one core of the cluster protocol through its one door. The input is a little program: time passes,
// links come and go, saves end or fail, an administrator types, the process is restarted, and packets of
// every kind come in, built by our own encoder and then spoilt. The driver keeps the law of
// cluster/cluster.h. After each step everything that must always hold is checked.
//
// Every input is a program, so that random bytes do as well as a corpus (unit/cluster/test_step_fuzz).
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cluster/cluster.h"
#include "cluster/cluster_view.h"
#include "cluster/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *count, char ***arguments);

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccc"
#define D "dddddddddddddddddddddddddddddddddddddddd"
#define E "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"

enum {
    STEPS_MAX = 512,
    INBOUND_MAX = 8,
    SAVES_MAX = 16,
    ARGUMENTS_MAX = 6,
    PEERS_LIMIT = 16384,  // however many strangers speak
    CROWD_PRIMARIES = 80, // more nodes than a small cluster has
    CROWD_REPLICAS = 20,
    NODE_TIMEOUT_MS = 1000,
    UNIX_START_MS = 1000000,
};

// Where the programs begin: alone, as a primary, as a replica, or in a crowd.
static const char *const confs[] = {
    "",
    A " 127.0.0.1:7000@17000,,shard-id=" A " myself,master - 0 0 1 connected 0-5000 [7-<-" B "] [9->-" B
      "]\n" B " 127.0.0.1:7001@17001 master - 0 0 2 connected 5001-16383\n" C " 127.0.0.1:7002@17002 slave " A
      " 0 0 1 connected\n" D " 127.0.0.1:7003@17003 slave " B
      " 0 0 2 connected\nvars currentEpoch 2 lastVoteEpoch 1\n",
    A " 127.0.0.1:7000@17000 myself,slave " B " 0 0 3 connected\n" B
      " 127.0.0.1:7001@17001,host master - 0 0 3 connected 0-8000\n" C
      " 127.0.0.1:7002@17002 master - 0 0 2 connected 8001-16383\n" D " 127.0.0.1:7003@17003 slave " B
      " 0 0 3 connected\n" E " :0@0 slave,noaddr - 0 0 0 disconnected\nvars currentEpoch 3 lastVoteEpoch 0\n",
};
enum { CONFS = sizeof(confs) / sizeof(confs[0]) };

enum wire { WIRE_CONNECTING, WIRE_UP };

struct wire_to {
    cluster_node node;
    enum wire state;
};

// A save that the disk has not done yet.
struct pending_save {
    uint64_t number;
    struct buffer text;
};

// Said only once its save is done.
struct held_word {
    uint64_t save, epoch, vote;
};

static struct world {
    const uint8_t *at, *end; // what is left of the program
    struct cluster_config config;
    struct cluster *cluster;
    uint64_t now, unix_now, steps;
    struct wire_to *wires;
    size_t wire_count;
    uint32_t inbound[INBOUND_MAX], inbound_last; // open links, 0: a gap
    struct pending_save saves[SAVES_MAX];
    size_t save_count;
    uint64_t save_asked, save_done, reset_save;
    struct held_word *held;
    size_t held_count;
    struct buffer disk;         // the last save that is done
    uint64_t epoch, vote;       // as the core had them after the last step
    uint64_t said_epoch, voted; // what others have heard; what was promised at all
    uint64_t said_vote;
    uint64_t orders;
    char id[CLUSTER_ID_SIZE];
} world;

static const char *fuzz_origin = "the input";
static bool fuzz_trace; // tell what happens; FUZZ_TRACE in the environment asks for it

#define MUST(what) ((what) ? (void)0 : violated(#what, __LINE__))

static void violated(const char *what, int line) {
    fprintf(stderr, "%s: after step %llu, line %d: does not hold: %s\n", fuzz_origin,
            (unsigned long long)world.steps, line, what);
    abort();
}

// ---- The program ----

static uint8_t next(void) {
    return world.at < world.end ? *world.at++ : 0;
}

static uint16_t next16(void) {
    uint16_t high = next();
    return (uint16_t)(high << 8 | next());
}

static uint32_t below(uint32_t bound) {
    return bound > 256 ? next16() % bound : next() % bound;
}

// Seldom, and not when the program is at its end.
static bool seldom(void) {
    return next() > 230;
}

static uint64_t next_epoch(uint64_t around) {
    uint8_t choice = next();
    if (choice < 200) return around + choice % 4;
    if (choice < 230) return choice % 8;
    if (choice < 240) return UINT64_MAX - choice % 4;
    return (uint64_t)next16() << choice % 49;
}

// Names that are in use, and others.
static const char *next_id(void) {
    static const char *const names[] = {A,
                                        B,
                                        C,
                                        D,
                                        E,
                                        "ffffffffffffffffffffffffffffffffffffffff",
                                        "0123456789012345678901234567890123456789",
                                        "rubbish, with\n separators=@ \033[2J and...",
                                        "\0 a name that no text can hold, but a packet"};
    enum { NAMES = sizeof(names) / sizeof(names[0]) };
    static char copied[CLUSTER_ID_SIZE + 1];
    uint8_t choice = next();
    struct cluster_view_node node;
    if (choice >= 64) return names[choice % NAMES];
    uint32_t cursor = 0, skip = choice;
    while (cluster_view_next(world.cluster, &cursor, &node))
        if (skip-- == 0) break;
    memcpy(copied, node.id, sizeof(copied));
    return copied;
}

static const char *next_ip(void) {
    static const char *const texts[] = {"",
                                        "",
                                        "",
                                        "127.0.0.1",
                                        "127.0.0.1",
                                        "127.0.0.9",
                                        "10.255.255.255",
                                        "::1",
                                        "fe80::1:2:3:4",
                                        "999.1.1.1",
                                        "a host",
                                        "x,y=z@1",
                                        "0",
                                        "123456789012345678901234567890123456789012345"};
    return texts[below(sizeof(texts) / sizeof(texts[0]))];
}

static uint16_t next_port(void) {
    uint8_t choice = next();
    return choice < 8 ? 0 : choice < 200 ? (uint16_t)(7000 + choice % 8) : next16();
}

static uint16_t next_flags(void) {
    static const uint16_t usual[] = {1,      2,  1 | 256,  2 | 512, 1 | 4, 2 | 8,
                                     1 | 64, 32, 1 | 1024, 3,       0,     1 | 16};
    return seldom() ? next16() : usual[below(sizeof(usual) / sizeof(usual[0]))];
}

static struct bytes next_text(void) {
    static const char *const texts[] = {"", "host.example", "a b", "x=y", "name\n\nvars", "\xff\xfe", "0"};
    static char large[400];
    if (!seldom()) return bytes_from_string(texts[below(sizeof(texts) / sizeof(texts[0]))]);
    memset(large, 'l', sizeof(large));
    return bytes_of(large, 1 + below(sizeof(large)));
}

// ---- What must hold ----

static bool is_name(const char *id) {
    return strspn(id, "0123456789abcdef") == CLUSTER_ID_SIZE && id[CLUSTER_ID_SIZE] == '\0';
}

// May stand in a line of CLUSTER NODES, of the log, or of an error reply.
static bool is_plain(const char *text, const char *forbidden) {
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || strchr(forbidden, *text)) return false;
    return true;
}

static void check_node(const struct cluster_view_node *node, const uint32_t *owned) {
    bool stranger = node->flags & CLUSTER_NODE_HANDSHAKE;
    bool primary = node->flags & CLUSTER_NODE_PRIMARY, replica = node->flags & CLUSTER_NODE_REPLICA;
    struct cluster_view_node above;
    MUST(is_name(node->id) && is_name(node->shard_id));
    MUST(is_plain(node->ip, " ,=@") && is_plain(node->hostname, " ,=@") &&
         is_plain(node->human_nodename, " ,=@"));
    MUST(stranger ? !primary && !replica : primary != replica);
    MUST(node->slots == owned[node->index]);
    MUST(node->slots == 0 || primary);
    if (node->primary_index == CLUSTER_NO_INDEX) return;
    MUST(replica && node->primary_index != node->index);
    MUST(cluster_view_node_at(world.cluster, node->primary_index, &above));
    MUST(!(above.flags & CLUSTER_NODE_HANDSHAKE));
}

// owned[i]: the slots of the node with index i; returns how many have an owner. Who trades in them must be
// there.
static uint32_t count_owned(uint32_t *owned) {
    const uint16_t *owners = cluster_view_owners(world.cluster);
    const uint16_t *moves[] = {cluster_view_migrating(world.cluster), cluster_view_importing(world.cluster)};
    struct cluster_view_node node;
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < CLUSTER_SLOTS; slot++) {
        if (owners[slot] != CLUSTER_NO_INDEX) owned[owners[slot]]++, count++;
        for (int i = 0; i < 2; i++)
            if (moves[i][slot] != CLUSTER_NO_INDEX)
                MUST(cluster_view_node_at(world.cluster, moves[i][slot], &node) &&
                     !(node.flags & CLUSTER_NODE_HANDSHAKE));
    }
    return count;
}

static void check_view(void) {
    static uint32_t owned[UINT16_MAX + 1]; // zero between two calls
    struct cluster_view_status status;
    struct cluster_view_node node;
    uint32_t known = 0, voters = 0, slots = 0, selves = 0, assigned = count_owned(owned);
    for (uint32_t cursor = 0; cluster_view_next(world.cluster, &cursor, &node); known++) {
        check_node(&node, owned);
        voters += node.slots > 0;
        slots += node.slots;
        selves += (node.flags & CLUSTER_NODE_MYSELF) != 0;
        owned[node.index] = 0;
    }
    MUST(slots == assigned); // else some are nobody's that we know
    cluster_view_status(world.cluster, &status);
    MUST(selves == 1 && known == status.known_nodes && known <= PEERS_LIMIT);
    MUST(voters == status.size && slots == status.slots_assigned);
}

// Law of time: epochs and votes only grow, and who we are stays, unless RESET HARD says otherwise.
static void check_epochs(bool born_anew) {
    struct cluster_view_status status;
    struct cluster_view_node myself;
    cluster_view_status(world.cluster, &status);
    cluster_view_myself(world.cluster, &myself);
    if (!born_anew) {
        MUST(status.current_epoch >= world.epoch && status.last_vote_epoch >= world.vote);
        MUST(memcmp(world.id, myself.id, CLUSTER_ID_SIZE) == 0);
    }
    world.epoch = status.current_epoch;
    world.vote = status.last_vote_epoch;
    memcpy(world.id, myself.id, CLUSTER_ID_SIZE);
}

// What would be read after a crash. Returns the text.
static struct buffer check_text(void) {
    struct buffer text = BUFFER_EMPTY, error = BUFFER_EMPTY;
    cluster_nodes_conf(world.cluster, &text);
    struct cluster *copy =
        cluster_create(&world.config, buffer_bytes(&text), 2, world.now, world.unix_now, &error);
    if (copy == NULL)
        fprintf(stderr, "%s: %.*s\n%s\n", fuzz_origin, (int)text.size, text.data, buffer_string(&error));
    MUST(copy != NULL);
    struct cluster_view_status was, is;
    cluster_view_status(world.cluster, &was);
    cluster_view_status(copy, &is);
    MUST(is.current_epoch >= was.current_epoch && is.last_vote_epoch == was.last_vote_epoch);
    MUST(is.slots_assigned == was.slots_assigned && is.size == was.size);
    cluster_destroy(copy);
    buffer_free(&error);
    return text;
}

// ---- Actions ----

static struct wire_to *wire_find(cluster_node node) {
    for (size_t i = 0; i < world.wire_count; i++)
        if (world.wires[i].node == node) return &world.wires[i];
    return NULL;
}

static void wire_cut(struct wire_to *wire) {
    *wire = world.wires[--world.wire_count];
}

static void hold(uint64_t save, uint64_t epoch, uint64_t vote) {
    if (save <= world.save_done) {
        if (epoch > world.said_epoch) world.said_epoch = epoch;
        if (vote > world.said_vote) world.said_vote = vote;
        return;
    }
    world.held = mem_realloc(world.held, (world.held_count + 1) * sizeof(*world.held));
    world.held[world.held_count++] = (struct held_word){save, epoch, vote};
}

static void check_said(const struct packet *packet) {
    for (uint16_t i = 0; packet->type <= PACKET_MEET && i < packet->count; i++) {
        struct packet_gossip gossip;
        char id[CLUSTER_ID_SIZE + 1] = "";
        packet_gossip_at(packet, i, &gossip);
        memcpy(id, gossip.id, CLUSTER_ID_SIZE);
        MUST(is_name(id) && is_plain(gossip.ip, " ,=@"));
        MUST(!(gossip.flags & CLUSTER_NODE_HANDSHAKE));
    }
}

static void act_send(const struct cluster_action *action) {
    struct packet packet;
    const struct cluster_message *message = action->send.message;
    struct cluster_link link = action->send.link;
    MUST((link.node != 0) != (link.inbound != 0));
    MUST(packet_decode(bytes_of(message->data, message->size), &packet) == PACKET_OK);
    struct cluster_view_node myself;
    cluster_view_myself(world.cluster, &myself);
    MUST(memcmp(packet.sender, myself.id, CLUSTER_ID_SIZE) == 0);
    check_said(&packet);
    uint64_t vote = 0;
    if (packet.type == PACKET_AUTH_ACK) {
        vote = packet.current_epoch;
        MUST(vote > world.voted && action->send.save > world.save_done);
        world.voted = vote;
    }
    // While the end of a former life is not saved, what is said binds neither life.
    if (world.save_done >= world.reset_save) hold(action->send.save, packet.current_epoch, vote);
}

static void act_connect(const struct cluster_action *action) {
    struct cluster_view_node node;
    bool known = false;
    for (uint32_t cursor = 0; !known && cluster_view_next(world.cluster, &cursor, &node);)
        known = node.handle == action->connect.node;
    MUST(known && action->connect.ip[0] && action->connect.port);
    MUST(wire_find(action->connect.node) == NULL);
    world.wires = mem_realloc(world.wires, (world.wire_count + 1) * sizeof(*world.wires));
    world.wires[world.wire_count++] = (struct wire_to){action->connect.node, WIRE_CONNECTING};
}

static void act_disconnect(struct cluster_link link) {
    MUST((link.node != 0) != (link.inbound != 0));
    struct wire_to *wire = link.node ? wire_find(link.node) : NULL;
    if (wire) wire_cut(wire);
    for (int i = 0; i < INBOUND_MAX; i++)
        if (link.inbound && world.inbound[i] == link.inbound) world.inbound[i] = 0;
}

static void act_save(const struct cluster_action *action) {
    MUST(action->save.number > world.save_asked);
    world.save_asked = action->save.number;
    if (world.save_count == SAVES_MAX) { // skipped in favour of a later one
        buffer_free(&world.saves[0].text);
        memmove(world.saves, world.saves + 1, (SAVES_MAX - 1) * sizeof(world.saves[0]));
        world.save_count--;
    }
    world.saves[world.save_count++] = (struct pending_save){action->save.number, check_text()};
}

static void act_outcome(const struct cluster_action *action, const struct cluster_event *event, bool last) {
    const char *text = action->outcome.text.data;
    MUST(event->kind == CLUSTER_EVENT_ORDER && action->outcome.number == event->order.number && last);
    MUST(strlen(text) == action->outcome.text.size && !strpbrk(text, "\r\n") && text[0]);
    if (!action->outcome.ok) MUST(strncmp(text, "ERR ", 4) == 0);
}

static void act(const struct cluster_action *action, const struct cluster_event *event, bool last) {
    switch (action->kind) {
    case CLUSTER_ACTION_SEND: act_send(action); break;
    case CLUSTER_ACTION_CONNECT: act_connect(action); break;
    case CLUSTER_ACTION_DISCONNECT: act_disconnect(action->disconnect); break;
    case CLUSTER_ACTION_SAVE: act_save(action); break;
    case CLUSTER_ACTION_BECOME_REPLICA:
        MUST(action->primary.ip[0] && is_plain(action->primary.ip, " ,=@") && action->primary.node);
        break;
    case CLUSTER_ACTION_DROP_SLOT: MUST(action->slot < CLUSTER_SLOTS); break;
    case CLUSTER_ACTION_PAUSE_WRITES: MUST(action->until > world.now); break;
    case CLUSTER_ACTION_NOTE: MUST(is_plain(action->note.text, "")); break;
    case CLUSTER_ACTION_OUTCOME: act_outcome(action, event, last); break;
    case CLUSTER_ACTION_PUBLISH_ROUTES:
    case CLUSTER_ACTION_BECOME_PRIMARY:
    case CLUSTER_ACTION_DROP_ALL:
    case CLUSTER_ACTION_RESUME_WRITES: break;
    default: MUST(!"an action of no known kind");
    }
}

static void trace(const struct cluster_event *event, const struct cluster_actions *actions) {
    static const char *const events[] = {"tick",    "packet", "data",  "up",          "down",
                                         "refused", "saved",  "order", "replication", "stall"};
    fprintf(stderr, "%llu %llu %s", (unsigned long long)world.steps, (unsigned long long)world.now,
            events[event->kind]);
    if (event->kind == CLUSTER_EVENT_PACKET && event->packet.bytes.size >= PACKET_HEADER_SIZE)
        fprintf(stderr, " type %d of %.40s by %u/%u", event->packet.bytes.data[13],
                event->packet.bytes.data + 40, event->packet.link.node, event->packet.link.inbound);
    if (event->kind == CLUSTER_EVENT_SAVED)
        fprintf(stderr, " %llu %d", (unsigned long long)event->saved.number, event->saved.ok);
    for (size_t i = 0; event->kind == CLUSTER_EVENT_ORDER && i < event->order.count; i++)
        fprintf(stderr, " %.*s", (int)event->order.arguments[i].size, event->order.arguments[i].data);
    fprintf(stderr, "\n");
    for (size_t i = 0; i < actions->count; i++) {
        const struct cluster_action *action = &actions->items[i];
        if (action->kind == CLUSTER_ACTION_NOTE) fprintf(stderr, "    %s\n", action->note.text);
        if (action->kind == CLUSTER_ACTION_OUTCOME) fprintf(stderr, "    %s\n", action->outcome.text.data);
        if (action->kind == CLUSTER_ACTION_SAVE)
            fprintf(stderr, "    save %llu\n", (unsigned long long)action->save.number);
        if (action->kind == CLUSTER_ACTION_SEND)
            fprintf(stderr, "    send type %d epoch %d by %u/%u after save %llu\n",
                    action->send.message->data[13], action->send.message->data[23], action->send.link.node,
                    action->send.link.inbound, (unsigned long long)action->send.save);
    }
}

// What may be said must be on the list of what was asked to be saved.
static void check_saves(const struct cluster_actions *actions) {
    for (size_t i = 0; i < actions->count; i++) {
        const struct cluster_action *action = &actions->items[i];
        if (action->kind == CLUSTER_ACTION_SEND) MUST(action->send.save <= world.save_asked);
        if (action->kind == CLUSTER_ACTION_OUTCOME) MUST(action->outcome.save <= world.save_asked);
    }
}

static const struct cluster_action *outcome_of(const struct cluster_actions *actions) {
    return actions->count && actions->items[actions->count - 1].kind == CLUSTER_ACTION_OUTCOME
               ? &actions->items[actions->count - 1]
               : NULL;
}

static bool is_word(struct bytes bytes, const char *word) {
    return bytes.size == strlen(word) && memcmp(bytes.data, word, bytes.size) == 0;
}

// Delivers the event, does what the core asks for, and looks whether all is well. Returns the outcome of an
// order, NULL for anything else.
static const struct cluster_action *step(struct cluster_event *event) {
    event->now = world.now;
    event->unix_now = world.unix_now;
    world.steps++;
    const struct cluster_actions *actions = cluster_step(world.cluster, event);
    if (fuzz_trace) trace(event, actions);
    const struct cluster_action *outcome = outcome_of(actions);
    MUST((outcome != NULL) == (event->kind == CLUSTER_EVENT_ORDER));
    bool anew = outcome && outcome->outcome.ok && event->order.count == 2 &&
                is_word(event->order.arguments[0], "RESET") && is_word(event->order.arguments[1], "HARD");
    if (anew) {
        world.said_epoch = world.said_vote = world.voted = 0;
        world.held_count = 0;
        world.reset_save = outcome->outcome.save;
    }
    for (size_t i = 0; i < actions->count; i++)
        act(&actions->items[i], event, i + 1 == actions->count);
    check_saves(actions);
    check_epochs(anew);
    check_view();
    // Else the driver would turn without end.
    if (event->kind == CLUSTER_EVENT_TICK) MUST(cluster_deadline(world.cluster) > world.now);
    return outcome;
}

// ---- Packets ----

static void next_slots(const char *sender, uint8_t *slots) {
    memset(slots, 0, PACKET_SLOTS_SIZE);
    uint8_t choice = next();
    if (choice < 64) return;
    struct cluster_view_node node;
    const uint16_t *owners = cluster_view_owners(world.cluster);
    bool known = cluster_view_find(world.cluster, bytes_of(sender, CLUSTER_ID_SIZE), &node);
    uint32_t first = choice < 160 ? 0 : below(CLUSTER_SLOTS), count = choice < 160 ? 0 : below(CLUSTER_SLOTS);
    for (uint32_t slot = 0; slot < CLUSTER_SLOTS; slot++)
        if ((known && choice < 220 && owners[slot] == node.index) || (slot >= first && slot - first < count))
            slots[slot / 8] = (uint8_t)(slots[slot / 8] | 1 << slot % 8);
}

static void write_gossip(struct buffer *out, uint16_t count) {
    for (uint16_t i = 0; i < count; i++) {
        struct packet_gossip gossip = {.flags = next_flags()};
        memcpy(gossip.id, next_id(), CLUSTER_ID_SIZE);
        strcpy(gossip.ip, next_ip());
        gossip.ping_sent = next();
        gossip.pong_received = seldom() ? UINT32_MAX - next() : (uint32_t)(world.unix_now / 1000);
        gossip.port = next_port();
        gossip.bus_port = next_port();
        packet_gossip_write((uint8_t *)buffer_extend(out, PACKET_GOSSIP_SIZE), &gossip);
    }
}

static uint16_t write_extensions(struct buffer *out) {
    struct packet_extensions extensions = {0};
    uint8_t which = next();
    uint16_t count;
    if (which & 1) extensions.hostname = next_text();
    if (which & 2) extensions.human_nodename = bytes_from_string(next_ip());
    if (which & 4) extensions.shard_id = bytes_of(next_id(), CLUSTER_ID_SIZE);
    char forgotten[CLUSTER_ID_SIZE];
    if (which & 8) {
        memcpy(forgotten, next_id(), sizeof(forgotten));
        extensions.forgotten_id = bytes_of(forgotten, sizeof(forgotten));
        extensions.forgotten_ttl = seldom() ? UINT64_MAX : next();
    }
    uint32_t size = packet_extensions_size(&extensions, &count);
    packet_extensions_write((uint8_t *)buffer_extend(out, size), &extensions);
    return count;
}

static void write_body(struct buffer *out, struct packet *packet) {
    static uint8_t slots[PACKET_SLOTS_SIZE];
    switch (packet->type) {
    case PACKET_PING:
    case PACKET_PONG:
    case PACKET_MEET:
        packet->count = (uint16_t)below(6);
        write_gossip(out, packet->count);
        if (packet->message_flags[0] & PACKET_HAS_EXTENSIONS) packet->extensions = write_extensions(out);
        break;
    case PACKET_FAIL: buffer_append(out, next_id(), CLUSTER_ID_SIZE); break;
    case PACKET_UPDATE: {
        struct packet_update update = {.config_epoch = next_epoch(world.epoch), .slots = slots};
        memcpy(update.id, next_id(), CLUSTER_ID_SIZE);
        next_slots(update.id, slots);
        packet_update_write((uint8_t *)buffer_extend(out, PACKET_UPDATE_SIZE), &update);
        break;
    }
    case PACKET_PUBLISH:
    case PACKET_PUBLISHSHARD: buffer_append(out, "\0\0\0\1\0\0\0\2abc", 11); break;
    case PACKET_MODULE: buffer_append(out, "\0\0\0\0\0\0\0\1\0\0\0\1\0x", 14); break;
    default: break;
    }
}

static void write_packet(struct buffer *out) {
    static const uint16_t types[] = {
        PACKET_PING,         PACKET_PING,         PACKET_PING,     PACKET_PONG,
        PACKET_PONG,         PACKET_PONG,         PACKET_MEET,     PACKET_FAIL,
        PACKET_AUTH_REQUEST, PACKET_AUTH_REQUEST, PACKET_AUTH_ACK, PACKET_AUTH_ACK,
        PACKET_UPDATE,       PACKET_MFSTART,      PACKET_PUBLISH,  PACKET_MODULE,
        PACKET_PUBLISHSHARD, PACKET_TYPES,        0x8004};
    static uint8_t slots[PACKET_SLOTS_SIZE];
    struct packet packet = {.type = types[below(sizeof(types) / sizeof(types[0]))]};
    memcpy(packet.sender, next_id(), CLUSTER_ID_SIZE);
    packet.flags = next_flags();
    if (packet.flags & CLUSTER_NODE_REPLICA) memcpy(packet.primary, next_id(), CLUSTER_ID_SIZE);
    packet.current_epoch = next_epoch(world.epoch);
    packet.config_epoch = next_epoch(world.epoch ? world.epoch - 1 : 0);
    packet.offset = next();
    packet.port = next_port();
    packet.bus_port = next_port();
    strcpy(packet.ip, next_ip());
    packet.message_flags[0] = next() & 7;
    next_slots(packet.sender, slots);
    packet.slots = slots;
    buffer_extend(out, PACKET_HEADER_SIZE);
    write_body(out, &packet);
    packet_header_write((uint8_t *)out->data, &packet, (uint32_t)out->size);
}

// Cut, lengthened, with lengths and counts that lie, or with bytes that are others.
static void spoil(struct buffer *packet) {
    uint8_t choice = next();
    if (choice < 160) return;
    size_t room = 64;
    if (choice < 180) packet->size -= below((uint32_t)packet->size);
    if (choice >= 180 && choice < 200) memset(buffer_extend(packet, room), next(), room);
    bool honest = choice & 1; // about its length
    if (honest && packet->size >= PACKET_PREFIX_SIZE)
        for (int i = 0; i < 4; i++)
            packet->data[4 + i] = (char)(packet->size >> (24 - 8 * i));
    for (int i = 0; choice >= 190 && i < choice % 5; i++) {
        uint32_t at = next16();
        // The slots are half of everything and of little interest.
        if (at % 4 < 3) at = at % 88 < 80 ? at % 88 : 2128 + at % 128;
        if (at < packet->size) packet->data[at] = (char)next();
    }
}

static struct cluster_link next_link(void) {
    struct wire_to *wire = world.wire_count ? &world.wires[below((uint32_t)world.wire_count)] : NULL;
    if (wire && wire->state == WIRE_UP && next() < 128) return (struct cluster_link){wire->node, 0};
    uint32_t *place = &world.inbound[below(INBOUND_MAX)];
    if (*place == 0) *place = ++world.inbound_last;
    return (struct cluster_link){0, *place};
}

static void do_packet(void) {
    struct buffer written = BUFFER_EMPTY;
    write_packet(&written);
    spoil(&written);
    // Exactly as long as it is, so that a sanitiser sees who reads beyond its end.
    size_t odd = next() & 1; // and not aligned
    char *exact = mem_alloc(written.size + odd);
    memcpy(exact + odd, written.data, written.size);
    struct cluster_event event = {.kind = CLUSTER_EVENT_PACKET};
    event.packet.link = next_link();
    event.packet.bytes = bytes_of(exact + odd, written.size);
    event.packet.peer_ip = "127.0.0.1";
    event.packet.local_ip = seldom() ? "not an address" : "127.0.0.1";
    step(&event);
    mem_free(exact);
    buffer_free(&written);
}

// ---- Everything else that happens ----

static void do_replication(void) {
    uint8_t bits = next();
    struct cluster_event event = {.kind = CLUSTER_EVENT_REPLICATION};
    event.replication.offset = next();
    event.replication.data_age = (uint64_t)(bits >> 3) * 1000;
    event.replication.primary_link_up = bits & 1;
    event.replication.writes_paused = bits & 2;
    event.replication.ever_synchronised = bits & 4;
    step(&event);
}

static void do_tick(void) {
    uint8_t choice = next();
    uint64_t left = cluster_deadline(world.cluster) - world.now;
    uint64_t passed =
        choice < 128 ? (left < NODE_TIMEOUT_MS ? left : NODE_TIMEOUT_MS) : (choice - 128u) * 32u;
    world.now += passed;
    world.unix_now += passed;
    if (choice == 255) world.unix_now -= 90000; // somebody sets the clock
    if (choice & 1) do_replication();
    struct cluster_event event = {.kind = CLUSTER_EVENT_TICK};
    step(&event);
}

static void do_wire(void) {
    uint8_t choice = next();
    if (world.wire_count == 0) return;
    struct wire_to *wire = &world.wires[below((uint32_t)world.wire_count)];
    struct cluster_event event = {.kind = CLUSTER_EVENT_LINK_UP, .link = {wire->node, 0}};
    if (wire->state == WIRE_CONNECTING && choice < 200) {
        wire->state = WIRE_UP;
    } else if (wire->state == WIRE_UP && choice < 100) {
        event.kind = CLUSTER_EVENT_DATA;
    } else {
        event.kind = wire->state == WIRE_CONNECTING && choice & 1 ? CLUSTER_EVENT_LINK_REFUSED
                                                                  : CLUSTER_EVENT_LINK_DOWN;
        wire_cut(wire);
    }
    step(&event);
}

static void do_inbound(void) {
    uint32_t *place = &world.inbound[below(INBOUND_MAX)];
    struct cluster_event event = {.kind = CLUSTER_EVENT_LINK_DOWN, .link = {0, *place}};
    if (*place == 0) return;
    if (next() & 1)
        event.kind = CLUSTER_EVENT_DATA;
    else
        *place = 0;
    step(&event);
}

static void release_held(uint64_t number, bool ok) {
    size_t kept = 0;
    for (size_t i = 0; i < world.held_count; i++) {
        struct held_word word = world.held[i];
        if (word.save > number)
            world.held[kept++] = word;
        else if (ok)
            hold(word.save, word.epoch, word.vote);
    }
    world.held_count = kept;
}

// The save of this number has ended, and with it those before it.
static void do_saved(void) {
    if (world.save_count == 0) return;
    size_t which = below((uint32_t)world.save_count);
    bool ok = !seldom();
    uint64_t number = world.saves[which].number;
    if (ok) {
        buffer_free(&world.disk);
        world.disk = world.saves[which].text;
        world.saves[which].text = BUFFER_EMPTY;
        world.save_done = number;
    }
    for (size_t i = 0; i <= which; i++)
        buffer_free(&world.saves[i].text);
    world.save_count -= which + 1;
    memmove(world.saves, world.saves + which + 1, world.save_count * sizeof(world.saves[0]));
    release_held(number, ok);
    struct cluster_event event = {.kind = CLUSTER_EVENT_SAVED, .saved = {number, ok}};
    step(&event);
}

static void do_stall(void) {
    struct cluster_event event = {.kind = CLUSTER_EVENT_STALL, .stalled = next() & 1};
    step(&event);
}

static void do_config(void) {
    uint8_t bits = next();
    world.config.replica_no_failover = bits & 1;
    world.config.allow_replica_migration = bits & 2;
    world.config.require_full_coverage = bits & 4;
    world.config.crash_detection = bits & 8;
    strcpy(world.config.announce_hostname, bits & 16 ? "me.example" : "");
    strcpy(world.config.announce_ip, bits & 32 ? "127.0.0.7" : "");
    cluster_set_config(world.cluster, &world.config);
}

// Orders: '#' is a number, '@' a node, '?' anything, '%' an address; the rest stands for itself.
static const char *const orders[] = {"MEET % #",
                                     "MEET % # #",
                                     "ADDSLOTS #",
                                     "ADDSLOTS # #",
                                     "ADDSLOTSRANGE # #",
                                     "DELSLOTS #",
                                     "DELSLOTS # #",
                                     "DELSLOTSRANGE # #",
                                     "FLUSHSLOTS",
                                     "SETSLOT # STABLE",
                                     "SETSLOT # NODE @",
                                     "SETSLOT # NODE @",
                                     "SETSLOT # MIGRATING @",
                                     "SETSLOT # IMPORTING @",
                                     "SETSLOT # ? ?",
                                     "FORGET @",
                                     "REPLICATE @",
                                     "REPLICATE @",
                                     "FAILOVER",
                                     "FAILOVER FORCE",
                                     "FAILOVER TAKEOVER",
                                     "FAILOVER ?",
                                     "RESET",
                                     "RESET SOFT",
                                     "RESET HARD",
                                     "SET-CONFIG-EPOCH #",
                                     "BUMPEPOCH",
                                     "SAVECONFIG",
                                     "? ? ?",
                                     "?"};

static struct bytes next_argument(char kind, char *room, size_t size) {
    static const char *const words[] = {"",    "HARD",    "NODE",   "16384", "-1", "18446744073709551615",
                                        "1e3", "\r\n+OK", "setslot"};
    if (seldom()) kind = '?';
    if (kind == '@') return bytes_of(next_id(), CLUSTER_ID_SIZE);
    if (kind == '%') return bytes_from_string(next_ip());
    if (kind == '?') return bytes_from_string(words[below(sizeof(words) / sizeof(words[0]))]);
    snprintf(room, size, "%u", (unsigned)(seldom() ? next16() : below(32)));
    return bytes_from_string(room);
}

// Splits the order's text and fills in what it leaves open.
static size_t next_arguments(const char *text, struct bytes *arguments, char rooms[][64]) {
    size_t count = 0;
    while (*text && count < ARGUMENTS_MAX) {
        size_t size = strcspn(text, " ");
        if (size == 1 && strchr("#@?%", *text)) {
            struct bytes word = next_argument(*text, rooms[count], sizeof(rooms[count]));
            memmove(rooms[count], word.data, word.size);
            arguments[count] = bytes_of(rooms[count], word.size);
        } else {
            arguments[count] = bytes_of(text, size);
        }
        count++;
        text += size + (text[size] == ' ');
    }
    return count;
}

static void do_order(void) {
    struct bytes arguments[ARGUMENTS_MAX];
    char rooms[ARGUMENTS_MAX][64];
    struct buffer before = BUFFER_EMPTY, after = BUFFER_EMPTY;
    struct cluster_event event = {.kind = CLUSTER_EVENT_ORDER};
    event.order.arguments = arguments;
    event.order.count = next_arguments(orders[below(sizeof(orders) / sizeof(orders[0]))], arguments, rooms);
    event.order.number = ++world.orders;
    event.order.has_keys = seldom();
    event.order.keys_in_slot = seldom();
    MUST(cluster_order_slot(arguments, event.order.count) < CLUSTER_SLOTS);
    cluster_view_nodes_text(world.cluster, CLUSTER_NO_INDEX, false, &before);
    const struct cluster_action *outcome = step(&event);
    cluster_view_nodes_text(world.cluster, CLUSTER_NO_INDEX, false, &after);
    bool same = before.size == after.size && memcmp(before.data, after.data, after.size) == 0;
    MUST(outcome->outcome.ok || same); // what is refused changes nothing
    buffer_free(&before);
    buffer_free(&after);
}

// ---- Life and death ----

static void end_life(void) {
    cluster_destroy(world.cluster);
    world.cluster = NULL;
    for (size_t i = 0; i < world.save_count; i++)
        buffer_free(&world.saves[i].text);
    world.save_count = world.wire_count = world.held_count = 0;
    world.save_asked = world.save_done = world.reset_save = 0;
    memset(world.inbound, 0, sizeof(world.inbound));
}

// From what is on the disk. Whatever others have heard must be known again.
static void begin_life(uint64_t seed) {
    struct buffer error = BUFFER_EMPTY;
    bool first = world.disk.size == 0;
    world.cluster =
        cluster_create(&world.config, buffer_bytes(&world.disk), seed, world.now, world.unix_now, &error);
    MUST(world.cluster != NULL);
    buffer_free(&error);
    check_epochs(true);
    if (first) world.said_epoch = world.said_vote = 0;
    MUST(world.epoch >= world.said_epoch && world.vote >= world.said_vote);
    world.voted = world.said_vote; // what nobody has heard was never promised
    struct cluster_event event = {.kind = CLUSTER_EVENT_TICK};
    step(&event);
}

static void do_restart(void) {
    if (next() > 64) return; // too much of it and nothing else happens
    end_life();
    begin_life(next());
}

static const char *crowd_id(unsigned number) {
    static const char *const known[] = {A, B, C};
    static char id[CLUSTER_ID_SIZE + 1];
    if (number < sizeof(known) / sizeof(known[0])) return known[number];
    snprintf(id, sizeof(id), "%040x", number);
    return id;
}

// We are one of many primaries; some have a replica.
static void write_crowd(struct buffer *conf) {
    enum { SHARE = CLUSTER_SLOTS / CROWD_PRIMARIES };
    for (unsigned i = 0; i < CROWD_PRIMARIES; i++) {
        unsigned first = i * SHARE, last = i + 1 == CROWD_PRIMARIES ? CLUSTER_SLOTS - 1 : first + SHARE - 1;
        buffer_appendf(conf, "%s 127.0.0.1:%u@%u %smaster - 0 0 %u connected %u-%u\n", crowd_id(i), 7000 + i,
                       17000 + i, i ? "" : "myself,", i + 1, first, last);
    }
    for (unsigned i = 0; i < CROWD_REPLICAS; i++) {
        buffer_appendf(conf, "%s 127.0.0.1:%u@%u slave ", crowd_id(CROWD_PRIMARIES + i), 8000 + i, 18000 + i);
        buffer_appendf(conf, "%s 0 0 %u connected\n", crowd_id(i), i + 1);
    }
    buffer_appendf(conf, "vars currentEpoch %d lastVoteEpoch 0\n", CROWD_PRIMARIES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const doings[])(void) = {do_packet,  do_packet, do_packet, do_packet, do_packet,
                                           do_tick,    do_tick,   do_tick,   do_wire,   do_wire,
                                           do_inbound, do_saved,  do_saved,  do_order,  do_order,
                                           do_order,   do_stall,  do_config, do_restart};
    memset(&world, 0, sizeof(world));
    world.at = data;
    world.end = data + size;
    world.unix_now = UNIX_START_MS;
    cluster_config_default(&world.config);
    world.config.port = 7000, world.config.bus_port = 17000;
    world.config.node_timeout = NODE_TIMEOUT_MS;
    uint8_t start = next() % (CONFS + 1);
    if (start < CONFS)
        buffer_append_string(&world.disk, confs[start]);
    else
        write_crowd(&world.disk);
    begin_life(1);
    while (world.at < world.end && world.steps < STEPS_MAX)
        doings[below(sizeof(doings) / sizeof(doings[0]))]();
    struct buffer text = check_text();
    buffer_free(&text);
    end_life();
    buffer_free(&world.disk);
    mem_free(world.wires);
    mem_free(world.held);
    return 0;
}

// A program of a few bytes does nothing: long ones are tried from the start.
int LLVMFuzzerInitialize(int *count, char ***arguments) {
    fuzz_trace = getenv("FUZZ_TRACE") != NULL;
    static char flags[][16] = {"-len_control=0", "-max_len=4096"};
    enum { FLAGS = sizeof(flags) / sizeof(flags[0]) };
    char **all = calloc((size_t)*count + FLAGS + 1, sizeof(*all)); // for as long as the process
    all[0] = (*arguments)[0];
    for (int i = 0; i < FLAGS; i++)
        all[1 + i] = flags[i];
    memcpy(all + 1 + FLAGS, *arguments + 1, ((size_t)*count - 1) * sizeof(*all)); // these win
    *arguments = all;
    *count += FLAGS;
    return 0;
}
