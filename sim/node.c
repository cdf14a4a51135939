#include "sim/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/bitset.h"
#include "base/memory.h"
#include "sim/admin.h"
#include "sim/replication.h"
#include "sim/sim.h"

static const uint64_t UNIX_BEGIN_MS = 1700000000000;
enum {
    ORDER_WORDS_MAX = 256,
    HEADER_TYPE = 12,
    HEADER_COUNT = 14,
    HEADER_SENDER = 40,
    TYPE_MEET = 2,
    TYPE_AUTH_REQUEST = 5,
    TYPE_AUTH_ACK = 6,
    TICK_APART_US = 100, // a deadline that has passed already is met after this
};

// A send, or an outcome (message NULL), that waits for a save.
struct held_send {
    struct held_send *next;
    uint64_t save;
    uint32_t name, serial; // of its link
    bool inbound;
    struct cluster_message *message;
    uint64_t order;
    bool ok;
    char *text;
};

struct pending_order {
    struct pending_order *next;
    uint64_t number;
    char *words;
    order_outcome *outcome;
    void *context;
};

static event_handler tick_comes;
static event_handler order_comes;
static event_handler saved_comes;
static event_handler forged_vote_comes;
static disk_text file_text;
static disk_written file_written;
static void act(struct node *node, const struct cluster_action *action, const struct cluster_event *cause);

// -- clocks
// ----------------------------------------------------------------------------------------------------------

static uint64_t node_now_us(const struct node *node) {
    uint64_t passed = node->sim->world.now - node->clock.since_us;
    return node->clock.base_us + passed + (uint64_t)((int64_t)passed * node->clock.drift_ppm / 1000000);
}

uint64_t node_now(const struct node *node) {
    return node_now_us(node) / MICROSECONDS_PER_MS;
}

uint64_t node_unix_now(const struct node *node) {
    return UNIX_BEGIN_MS + node_now(node) + (uint64_t)node->clock.wall_jump_ms;
}

void node_set_drift(struct node *node, int64_t ppm) {
    node->clock.base_us = node_now_us(node);
    node->clock.since_us = node->sim->world.now;
    node->clock.drift_ppm = ppm;
}

// The world's time when this node's clock shows `ms`, rounded up.
static uint64_t world_time_of(const struct node *node, uint64_t ms) {
    uint64_t local = ms * MICROSECONDS_PER_MS, now = node_now_us(node);
    if (local <= now) return node->sim->world.now;
    uint64_t wait = local - now;
    return node->sim->world.now + wait * 1000000 / (uint64_t)(1000000 + node->clock.drift_ppm) + 1;
}

// -- stepping
// --------------------------------------------------------------------------------------------------------

bool node_awake(const struct node *node) {
    return node->core && node->sim->network.hosts[node->index].frozen_until <= node->sim->world.now;
}

static void plan_tick(struct node *node) {
    uint64_t at = world_time_of(node, cluster_deadline(node->core));
    uint64_t soonest = node->sim->world.now + TICK_APART_US;
    if (at < soonest) at = soonest;
    if (node->tick_us && node->tick_us <= at) return;
    node->tick_us = at;
    world_plan(&node->sim->world, at, tick_comes, node, NULL, at)->about = node->index + 1;
}

void node_step(struct node *node, struct cluster_event *event) {
    struct sim *sim = node->sim;
    event->now = node_now(node);
    event->unix_now = node_unix_now(node);
    trace_mix(&sim->trace, sim->world.now << 16 ^ (uint64_t)node->index << 4 ^ event->kind);
    const struct cluster_actions *actions = cluster_step(node->core, event);
    for (size_t i = 0; i < actions->count; i++)
        act(node, &actions->items[i], event);
    plan_tick(node);
}

static void tick_comes(struct event *event) {
    struct node *node = event->subject;
    if (!node->core || event->stamp != node->tick_us) return;
    struct sim *sim = node->sim;
    if (!node_awake(node)) {
        network_wait_for_thaw(&sim->network, node->index, event);
        return;
    }
    node->tick_us = sim->world.now; // while it is told, no other is planned
    replication_tell(node);
    node->tick_us = 0;
    struct cluster_event tick = {.kind = CLUSTER_EVENT_TICK};
    node_step(node, &tick);
}

// -- sending
// ---------------------------------------------------------------------------------------------------------

static struct link *find_link(struct node *node, struct cluster_link name) {
    return name.node ? links_find(&node->outgoing, name.node) : links_find(&node->inbound, name.inbound);
}

static int side_of(bool inbound) {
    return inbound ? 1 : 0;
}

static unsigned number_at(const struct cluster_message *message, unsigned at) {
    return (unsigned)message->data[at] << 8 | message->data[at + 1];
}

static unsigned message_type(const struct cluster_message *message) {
    return number_at(message, HEADER_TYPE);
}

static void count_message(struct sim *sim, const struct cluster_message *message) {
    sim->messages++;
    sim->bytes += message->size;
    if (message_type(message) > TYPE_MEET) return;
    sim->heartbeats++;
    sim->gossip += number_at(message, HEADER_COUNT);
}

// BROKEN_WINS_ALONE: whoever is asked for a vote has given it already.
static void forge_vote(struct node *node, const struct link *link, uint32_t voter,
                       const struct cluster_message *request) {
    struct message_pool *pool = message_pool_create();
    struct cluster_message *vote = message_create(pool, request->size);
    message_pool_destroy(pool);
    memcpy(vote->data, request->data, request->size);
    vote->data[HEADER_TYPE + 1] = TYPE_AUTH_ACK;
    memcpy(vote->data + HEADER_SENDER, node->sim->nodes[voter].id, CLUSTER_ID_SIZE);
    world_plan(&node->sim->world, node->sim->world.now, forged_vote_comes, node, vote, link->name);
}

static void forged_vote_comes(struct event *event) {
    struct node *node = event->subject;
    struct cluster_message *vote = event->payload;
    if (links_find(&node->outgoing, (uint32_t)event->stamp)) {
        struct cluster_event packet = {.kind = CLUSTER_EVENT_PACKET};
        packet.packet.link = (struct cluster_link){.node = (uint32_t)event->stamp};
        packet.packet.bytes = bytes_of(vote->data, vote->size);
        packet.packet.peer_ip = packet.packet.local_ip = node->sim->network.hosts[node->index].address;
        node_step(node, &packet);
    }
    cluster_message_release(vote);
}

static void speak(struct node *node, const struct link *link, bool inbound, struct cluster_message *message) {
    struct sim *sim = node->sim;
    uint32_t to = link->connection->node[!side_of(inbound)];
    check_spoken(sim, node, to, message);
    count_message(sim, message);
    if (sim->trace.echo)
        trace_whisper(&sim->trace, sim->world.now, "n%u -> n%u %s message of type %u, %u bytes", node->index,
                      to, inbound ? "(back)" : "", message_type(message), message->size);
    network_send(link->connection, side_of(inbound), message);
    if (sim->options->broken == BROKEN_VOTES_TWICE && message_type(message) == TYPE_AUTH_ACK)
        check_spoken(sim, node, (to + 1) % sim->count, message);
    if (sim->options->broken == BROKEN_WINS_ALONE && message_type(message) == TYPE_AUTH_REQUEST)
        forge_vote(node, link, to, message);
}

static void hold(struct node *node, struct held_send held) {
    struct held_send *kept = mem_alloc(sizeof *kept);
    *kept = held;
    if (node->last_held)
        node->last_held->next = kept;
    else
        node->first_held = kept;
    node->last_held = kept;
}

static void send(struct node *node, const struct cluster_action *action) {
    struct link *link = find_link(node, action->send.link);
    bool inbound = action->send.link.node == 0;
    if (!link) return;
    check_made(node->sim, node, action->send.message, action->send.save != 0);
    bool wait = action->send.save > node->saved; // what waits for nothing overtakes what does
    if (!wait || node->sim->options->broken == BROKEN_SPEAKS_BEFORE_SAVE) {
        speak(node, link, inbound, action->send.message);
        return;
    }
    hold(node, (struct held_send){.save = action->send.save,
                                  .name = link->name,
                                  .serial = link->serial,
                                  .inbound = inbound,
                                  .message = cluster_message_retain(action->send.message)});
}

// -- orders
// ----------------------------------------------------------------------------------------------------------

// A manual failover has begun.
static void expect_handover(struct node *node) {
    int source = node->replication.source;
    node->asked_kindly = source >= 0;
    if (source < 0) return;
    node->asked_in_life = node->sim->nodes[source].lives;
    node->asked_in_term = node->sim->nodes[source].terms;
}

// Tells the outcome of an order and forgets it.
static void conclude(struct node *node, uint64_t number, bool ok, const char *text) {
    for (struct pending_order **at = &node->orders; *at; at = &(*at)->next) {
        struct pending_order *order = *at;
        if (order->number != number) continue;
        *at = order->next;
        node->order_count--;
        sim_say(node->sim, "n%u answers %s to CLUSTER %s", node->index, text, order->words);
        // The last order holds: FORCE after a kind one is not kind.
        if (ok && strncasecmp(order->words, "failover", strlen("failover")) == 0) node->asked_kindly = false;
        if (ok && strcasecmp(order->words, "failover") == 0) expect_handover(node);
        if (order->outcome) order->outcome(order->context, node, ok, text);
        mem_free(order->words);
        mem_free(order);
        return;
    }
}

static void take_outcome(struct node *node, const struct cluster_action *action) {
    char *text = bytes_to_string(action->outcome.text);
    if (action->outcome.save > node->saved && node->sim->options->broken != BROKEN_SPEAKS_BEFORE_SAVE) {
        hold(node, (struct held_send){.save = action->outcome.save,
                                      .order = action->outcome.number,
                                      .ok = action->outcome.ok,
                                      .text = text});
        return;
    }
    conclude(node, action->outcome.number, action->outcome.ok, text);
    mem_free(text);
}

void node_order(struct node *node, const char *words, order_outcome *outcome, void *context) {
    if (!node->core || node->order_count >= NODE_ORDERS_MAX) {
        if (outcome) outcome(context, node, false, "dead");
        return;
    }
    struct pending_order *order = mem_alloc(sizeof *order);
    *order = (struct pending_order){node->orders, ++node->sim->serials, mem_strdup(words), outcome, context};
    node->orders = order;
    node->order_count++;
    world_plan(&node->sim->world, node->sim->world.now, order_comes, node, NULL, order->number);
}

static size_t split_words(char *words, struct bytes *arguments) {
    size_t count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(words, " ", &rest); word && count < ORDER_WORDS_MAX;
         word = strtok_r(NULL, " ", &rest))
        arguments[count++] = bytes_from_string(word);
    return count;
}

static void order_comes(struct event *event) {
    struct node *node = event->subject;
    struct sim *sim = node->sim;
    struct pending_order *order = node->orders;
    while (order && order->number != event->stamp)
        order = order->next;
    if (!order) return; // it died meanwhile
    if (!node_awake(node)) {
        network_wait_for_thaw(&sim->network, node->index, event);
        return;
    }
    struct bytes arguments[ORDER_WORDS_MAX];
    char *words = mem_strdup(order->words);
    struct cluster_event step_event = {.kind = CLUSTER_EVENT_ORDER};
    step_event.order.number = order->number;
    step_event.order.arguments = arguments;
    step_event.order.count = split_words(words, arguments);
    step_event.order.has_keys = replication_has_keys(node);
    int slot = cluster_order_slot(arguments, step_event.order.count);
    if (slot >= 0) step_event.order.keys_in_slot = bitset_test(node->keys, (size_t)slot);
    sim_say(sim, "n%u is ordered CLUSTER %s", node->index, order->words);
    if (step_event.order.count && bytes_is(arguments[0], "failover")) {
        node->asked_kindly = false;
        replication_watch(node);
    }
    node_step(node, &step_event);
    mem_free(words);
}

// -- links
// -----------------------------------------------------------------------------------------------------------

static void forget_link(struct node *node, struct link *link, bool inbound) {
    link->connection->link[side_of(inbound)] = 0;
    links_remove(inbound ? &node->inbound : &node->outgoing, link->name);
}

static void connect(struct node *node, const struct cluster_action *action) {
    struct cluster_link name = {.node = action->connect.node};
    struct link *old = find_link(node, name);
    if (old) {
        struct connection *connection = old->connection;
        forget_link(node, old, false);
        network_close(connection, 0);
    }
    struct connection *connection =
        network_connect(&node->sim->network, node->index, action->connect.ip, action->connect.node);
    links_add(&node->outgoing, action->connect.node, (uint32_t)++node->sim->serials, connection);
}

static void disconnect(struct node *node, struct cluster_link name) {
    struct link *link = find_link(node, name);
    if (!link) return;
    struct connection *connection = link->connection;
    forget_link(node, link, name.node == 0);
    network_close(connection, side_of(name.node == 0));
}

static void tell_link(struct node *node, enum cluster_event_kind kind, struct cluster_link name) {
    struct cluster_event event = {.kind = kind, .link = name};
    node_step(node, &event);
}

static struct cluster_link name_of(const struct connection *connection, int side) {
    return side ? (struct cluster_link){.inbound = connection->link[1]}
                : (struct cluster_link){.node = connection->link[0]};
}

static void on_connected(void *context, uint32_t index, struct connection *connection) {
    struct sim *sim = context;
    if (connection->link[0]) tell_link(&sim->nodes[index], CLUSTER_EVENT_LINK_UP, name_of(connection, 0));
}

static void lose(struct node *node, struct connection *connection, int side, enum cluster_event_kind kind) {
    struct cluster_link name = name_of(connection, side);
    if (!connection->link[side] || !node->core) return;
    struct link *link = find_link(node, name);
    if (link) forget_link(node, link, side == 1);
    tell_link(node, kind, name);
}

static void on_refused(void *context, uint32_t index, struct connection *connection) {
    struct sim *sim = context;
    lose(&sim->nodes[index], connection, 0, CLUSTER_EVENT_LINK_REFUSED);
}

static void on_closed(void *context, uint32_t index, struct connection *connection, int side) {
    struct sim *sim = context;
    lose(&sim->nodes[index], connection, side, CLUSTER_EVENT_LINK_DOWN);
}

static void on_arrived(void *context, uint32_t index, struct connection *connection, int side,
                       struct cluster_message *message) {
    struct sim *sim = context;
    struct node *node = &sim->nodes[index];
    if (sim->deaf == index + 1 || !node->core) return;
    if (!connection->link[side]) {
        if (side == 0) return; // we let go of it
        connection->link[1] = connection->accepted;
        links_add(&node->inbound, connection->link[1], connection->link[1], connection);
    }
    struct cluster_event event = {.kind = CLUSTER_EVENT_PACKET};
    event.packet.link = name_of(connection, side);
    event.packet.bytes = bytes_of(message->data, message->size);
    event.packet.peer_ip = sim->network.hosts[connection->node[!side]].address;
    event.packet.local_ip = sim->network.hosts[index].address;
    node_step(node, &event);
}

const struct network_sink node_network_sink = {on_connected, on_refused, on_closed, on_arrived};

// -- saving
// ----------------------------------------------------------------------------------------------------------

static void file_text(void *context, struct buffer *text) {
    struct node *node = context;
    cluster_nodes_conf(node->core, text);
    if (node->sim->options->broken == BROKEN_RESTORES_OLD_FILE && !node->first_file.size)
        buffer_append_bytes(&node->first_file, buffer_bytes(text));
    if (node->sim->options->broken == BROKEN_FORGETS_FILE && node->disk.file.size) text->size = 0;
}

static void file_written(void *context, uint64_t number, bool ok) {
    struct node *node = context;
    if (ok) check_disk(node->sim, node);
    world_plan(&node->sim->world, node->sim->world.now, saved_comes, node, (void *)(uintptr_t)ok,
               number << 16 | (node->lives & 0xffff));
}

static void free_held(struct held_send *held) {
    if (held->message) cluster_message_release(held->message);
    mem_free(held->text);
    mem_free(held);
}

static struct held_send *pop_held(struct node *node) {
    struct held_send *held = node->first_held;
    node->first_held = held->next;
    if (!node->first_held) node->last_held = NULL;
    return held;
}

// Lets go of what waited for saves up to `number`: out when they went well, away when not.
static void release_held(struct node *node, uint64_t number, bool ok) {
    while (node->first_held && node->first_held->save <= number) {
        struct held_send *held = pop_held(node);
        struct link *link =
            held->message ? links_find(held->inbound ? &node->inbound : &node->outgoing, held->name) : NULL;
        if (link && link->serial == held->serial && ok) speak(node, link, held->inbound, held->message);
        if (!held->message)
            conclude(node, held->order, ok && held->ok, ok ? held->text : "ERR the save failed");
        free_held(held);
    }
}

static void saved_comes(struct event *event) {
    struct node *node = event->subject;
    struct sim *sim = node->sim;
    if (!node->core || (event->stamp & 0xffff) != (node->lives & 0xffff)) return;
    if (!node_awake(node)) {
        network_wait_for_thaw(&sim->network, node->index, event);
        return;
    }
    struct cluster_event saved = {.kind = CLUSTER_EVENT_SAVED};
    saved.saved.number = event->stamp >> 16;
    saved.saved.ok = event->payload != NULL;
    if (!saved.saved.ok) sim_say(sim, "n%u could not save", node->index);
    if (saved.saved.ok && saved.saved.number > node->saved) node->saved = saved.saved.number;
    node_step(node, &saved);
    release_held(node, saved.saved.number, saved.saved.ok);
}

// -- what the core wants done
// ----------------------------------------------------------------------------------------

static void become_primary(struct node *node, const struct cluster_event *cause) {
    int source = node->replication.source;
    bool was_replica = source >= 0;
    node->is_primary = true;
    node->terms++;
    replication_lead(node);
    node->taken_over = cause->kind == CLUSTER_EVENT_ORDER && cause->order.count > 1 &&
                       bytes_is(cause->order.arguments[1], "takeover");
    node->followed = -1;
    if (node->taken_over) check_taken_over(node->sim, node);
    struct cluster_view_node myself;
    cluster_view_myself(node->core, &myself);
    sim_tell(node->sim, "n%u becomes primary, config epoch %" PRIu64, node->index, myself.config_epoch);
    if (was_replica && cause->kind != CLUSTER_EVENT_ORDER) check_promoted(node->sim, node);
}

static void become_replica(struct node *node, const struct cluster_action *action) {
    int source = network_find(&node->sim->network, action->primary.ip);
    if (source < 0) source = SOURCE_NOWHERE;
    bool same = !node->is_primary && node->replication.source == source;
    node->is_primary = false;
    check_stepped_down(node->sim, node);
    // Where its source goes later does not move it, as long as it has not heard of that.
    if (source >= 0 && source != node->followed) node->seat = node->sim->nodes[source].seat;
    node->followed = source;
    replication_follow(node, source);
    if (same) return;
    if (source >= 0)
        sim_tell(node->sim, "n%u becomes replica of n%d", node->index, source);
    else
        sim_tell(node->sim, "n%u becomes replica of nobody there", node->index);
}

static void act(struct node *node, const struct cluster_action *action, const struct cluster_event *cause) {
    struct sim *sim = node->sim;
    switch (action->kind) {
    case CLUSTER_ACTION_SEND: send(node, action); break;
    case CLUSTER_ACTION_CONNECT: connect(node, action); break;
    case CLUSTER_ACTION_DISCONNECT: disconnect(node, action->disconnect); break;
    case CLUSTER_ACTION_SAVE: disk_save(&node->disk, action->save.number, action->save.sync); break;
    case CLUSTER_ACTION_PUBLISH_ROUTES: break; // the simulator has no clients to route
    case CLUSTER_ACTION_BECOME_PRIMARY: become_primary(node, cause); break;
    case CLUSTER_ACTION_BECOME_REPLICA: become_replica(node, action); break;
    case CLUSTER_ACTION_DROP_SLOT: bitset_clear(node->keys, action->slot); break;
    case CLUSTER_ACTION_DROP_ALL: memset(node->keys, 0, sizeof node->keys); break;
    case CLUSTER_ACTION_PAUSE_WRITES:
        replication_pause(node, action->until);
        replication_watch(node);
        break;
    case CLUSTER_ACTION_RESUME_WRITES: replication_pause(node, 0); break;
    case CLUSTER_ACTION_NOTE:
        if (action->note.level >= LOG_NOTICE)
            sim_say(sim, "n%u: %s", node->index, action->note.text);
        else
            trace_whisper(&sim->trace, sim->world.now, "n%u: %s", node->index, action->note.text);
        break;
    case CLUSTER_ACTION_OUTCOME: take_outcome(node, action); break;
    }
}

// -- life and death
// --------------------------------------------------------------------------------------------------

void node_init(struct node *node, struct sim *sim, uint32_t index) {
    *node = (struct node){.sim = sim, .index = index};
    disk_init(&node->disk, &sim->world, file_text, file_written, node);
    cluster_config_default(&node->config);
    node->config.node_timeout = sim->timeout_ms;
    node->config.port = NODE_PORT;
    node->config.bus_port = NODE_BUS_PORT;
    node->config.note_level = sim->trace.echo ? LOG_DEBUG : LOG_NOTICE;
    node->config.blacklist_ttl = ADMIN_BLACKLIST_MS;
    node->replication.source = node->followed = SOURCE_NONE;
    node->seat = index;
    // Machines were not all switched on at the same time.
    node->clock.base_us = world_between(&sim->world, 1000000, 100000000);
    // But what time of day it is they agree on.
    node->clock.wall_jump_ms = -(int64_t)(node->clock.base_us / MICROSECONDS_PER_MS);
}

static void let_go(struct node *node) {
    for (uint32_t i = 0; i < node->outgoing.size; i++)
        if (node->outgoing.places[i].name) node->outgoing.places[i].connection->link[0] = 0;
    for (uint32_t i = 0; i < node->inbound.size; i++)
        if (node->inbound.places[i].name) node->inbound.places[i].connection->link[1] = 0;
    links_free(&node->outgoing);
    links_free(&node->inbound);
    while (node->first_held)
        free_held(pop_held(node));
    cluster_destroy(node->core);
    node->core = NULL;
    while (node->orders)
        conclude(node, node->orders->number, false, "dead");
}

void node_stop(struct node *node) {
    node->disk.generation++; // what is being written has nobody left to ask for more
    if (node->core) let_go(node);
}

void node_free(struct node *node) {
    disk_free(&node->disk);
    buffer_free(&node->first_file);
}

bool node_start(struct node *node) {
    struct sim *sim = node->sim;
    if (node->core || sim->over) return true;
    struct buffer error = BUFFER_EMPTY;
    struct buffer *file = &node->disk.file;
    if (sim->options->broken == BROKEN_RESTORES_OLD_FILE && node->first_file.size) {
        file->size = 0;
        buffer_append_bytes(file, buffer_bytes(&node->first_file));
    }
    node->core =
        cluster_create_among(sim->commons, &node->config, buffer_bytes(file), prng_next(&sim->world.prng),
                             node_now(node), node_unix_now(node), &error);
    if (!node->core) {
        sim_fail(sim, "a node starts from its own file: n%u says %s", node->index, buffer_string(&error));
        buffer_free(&error);
        return false;
    }
    buffer_free(&error);
    node->lives++;
    node->saved = 0;
    node->tick_us = 0;
    network_process_starts(&sim->network, node->index);
    struct cluster_view_node myself;
    cluster_view_myself(node->core, &myself);
    if (node->id[0] && strcmp(node->id, myself.id) != 0 && node->disk.file.size)
        sim_fail(sim, "a node keeps its name: n%u", node->index);
    sim_rename(sim, node, myself.id);
    node->is_primary = myself.flags & CLUSTER_NODE_PRIMARY;
    replication_start(node);
    sim_say(sim, "n%u starts, a %s", node->index, node->is_primary ? "primary" : "replica");
    check_started(sim, node);
    struct cluster_event tick = {.kind = CLUSTER_EVENT_TICK};
    node_step(node, &tick);
    return true;
}

void node_kill(struct node *node, bool machine_too) {
    if (!node->core) return;
    sim_say(node->sim, "n%u dies%s", node->index, machine_too ? " with its machine" : "");
    replication_advance(node);
    disk_crash(&node->disk, machine_too);
    let_go(node);
    network_process_dies(&node->sim->network, node->index, machine_too);
    replication_source_dies(node, machine_too);
    check_disk(node->sim, node);
}

void node_freeze(struct node *node, uint64_t ms) {
    struct sim *sim = node->sim;
    sim_say(sim, "n%u stands still for %" PRIu64 " ms", node->index, ms);
    replication_advance(node);
    network_freeze(&sim->network, node->index, sim->world.now + ms * MICROSECONDS_PER_MS);
}
