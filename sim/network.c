#include "sim/network.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "sim/packed.h"

enum {
    PACKED_FROM_US = 10000, // a message that is under way for so long is packed,
    LOOSE_MAX = 256 << 20,  // and any, where so many bytes are under way that are not
    STAMP_SIDE = 1,         // in a message's event: where it started,
    STAMP_LOOSE = 2,        // and whether its bytes count among these
};

// What is under way. Both NULL: the end of the stream.
struct parcel {
    struct cluster_message *message; // as it is, or
    struct packed *packed;           // packed
};

struct waiting {
    struct waiting *next;
    struct parcel parcel;
};

static event_handler connect_arrives;
static event_handler answer_arrives;
static event_handler message_arrives;
static event_handler packed_arrives;
static event_handler retry_waiting;
static event_handler end_is_noticed;
static event_handler freeze_ends;

static void write_address(struct network *network, uint32_t node) {
    struct host *host = &network->hosts[node];
    snprintf(host->address, sizeof host->address, "10.%u.%u.%u", host->renamed & 0xff, (node + 1) >> 8 & 0xff,
             (node + 1) & 0xff);
}

void network_init(struct network *network, struct world *world, uint32_t count,
                  const struct network_sink *sink, void *context) {
    *network = (struct network){
        .world = world, .sink = sink, .context = context, .count = count, .packer = packer_create()};
    network->hosts = mem_calloc(count, sizeof *network->hosts);
    network->blocks = mem_calloc((size_t)count * count, 1);
    for (uint32_t i = 0; i < count; i++) {
        network->hosts[i].up = true;
        list_init(&network->hosts[i].connections[0]);
        list_init(&network->hosts[i].connections[1]);
        write_address(network, i);
    }
}

void network_move(struct network *network, uint32_t node) {
    network->hosts[node].renamed++;
    write_address(network, node);
}

int network_find(const struct network *network, const char *address) {
    unsigned moves, high, low;
    if (sscanf(address, "10.%u.%u.%u", &moves, &high, &low) != 3) return -1;
    uint32_t node = high * 256 + low - 1;
    if (node >= network->count || network->hosts[node].renamed != moves) return -1;
    return (int)node;
}

void network_block(struct network *network, uint32_t from, uint32_t to, int by) {
    network->blocks[(uint64_t)from * network->count + to] += (uint8_t)by;
}

void network_unblock_all(struct network *network) {
    memset(network->blocks, 0, (size_t)network->count * network->count);
}

// -- the life of a connection
// ----------------------------------------------------------------------------------------

static void drop(struct connection *connection, struct parcel parcel) {
    if (parcel.message) cluster_message_release(parcel.message);
    if (parcel.packed) packer_drop(connection->network->packer, parcel.packed);
}

// Takes the first that waits out of the line.
static struct parcel take_first(struct connection *connection, int side) {
    struct waiting *first = connection->first[side];
    struct parcel parcel = first->parcel;
    connection->first[side] = first->next;
    if (!first->next) {
        connection->last[side] = NULL;
        connection->network->lines--;
    }
    mem_free(first);
    connection->queued[side]--;
    return parcel;
}

static void drop_waiting(struct connection *connection, int side) {
    while (connection->first[side])
        drop(connection, take_first(connection, side));
}

static void destroy(struct connection *connection) {
    drop_waiting(connection, 0);
    drop_waiting(connection, 1);
    list_remove(&connection->of_node[0]);
    list_remove(&connection->of_node[1]);
    connection->network->connections--;
    mem_free(connection);
}

static bool both_closed(const struct connection *connection) {
    return connection->end[0] == END_CLOSED && connection->end[1] == END_CLOSED;
}

// What waits for a path between two ends that are closed would be read by nobody: it need not be kept.
static void destroy_if_over(struct connection *connection) {
    if (!both_closed(connection)) return;
    drop_waiting(connection, 0);
    drop_waiting(connection, 1);
    if (connection->under_way == 0) destroy(connection);
}

void network_close_all(struct network *network) {
    network->closing = true;
    for (uint32_t i = 0; i < network->count; i++)
        network_process_dies(network, i, true);
}

void network_free(struct network *network) {
    mem_free(network->hosts);
    mem_free(network->blocks);
    packer_free(network->packer);
    *network = (struct network){0};
}

static void plan(struct connection *connection, uint64_t at, event_handler *handler, void *payload,
                 int stamp) {
    connection->under_way++;
    struct event *event =
        world_plan(connection->network->world, at, handler, connection, payload, (uint64_t)stamp);
    if (handler == message_arrives || handler == packed_arrives)
        event->about = connection->node[!(stamp & STAMP_SIDE)] + 1;
}

// One way through the network, in microseconds, with the troubles of both hosts.
static uint64_t hop(struct network *network, uint32_t from, uint32_t to) {
    struct world *world = network->world;
    uint64_t time = world_between(world, NETWORK_HOP_MIN_US, NETWORK_HOP_MAX_US);
    const struct host *a = &network->hosts[from], *b = &network->hosts[to];
    if (a->slow_us | b->slow_us) time += prng_below(&world->prng, (uint64_t)a->slow_us + b->slow_us);
    if (a->loss | b->loss) {
        uint64_t again = NETWORK_RETRY_FIRST_MS * MICROSECONDS_PER_MS;
        for (int i = 0; i < 5 && world_chance(world, (unsigned)(a->loss + b->loss)); i++, again *= 2)
            time += again;
    }
    return time;
}

static uint64_t retry_delay(uint8_t retries) {
    uint64_t ms = (uint64_t)NETWORK_RETRY_FIRST_MS << (retries < 8 ? retries : 8);
    return (ms > NETWORK_RETRY_MAX_MS ? NETWORK_RETRY_MAX_MS : ms) * MICROSECONDS_PER_MS;
}

static bool path_open(const struct connection *connection, int side) {
    const struct network *network = connection->network;
    uint32_t from = connection->node[side], to = connection->node[!side];
    return network->hosts[to].up && !network_blocked(network, from, to);
}

// A frozen process sees nothing: not yet.
static bool frozen(const struct connection *connection, uint32_t node) {
    const struct host *host = &connection->network->hosts[node];
    return host->running && host->frozen_until > connection->network->world->now;
}

// -- connecting
// ------------------------------------------------------------------------------------------------------

struct connection *network_connect(struct network *network, uint32_t from, const char *address,
                                   uint32_t link) {
    int to = network_find(network, address);
    struct connection *connection = mem_calloc(1, sizeof *connection);
    connection->network = network;
    connection->node[0] = from;
    connection->node[1] = to < 0 ? UINT32_MAX : (uint32_t)to;
    connection->end[0] = END_CONNECTING;
    connection->link[0] = link;
    connection->due[0] = network->world->now;
    list_append(&network->hosts[from].connections[0], &connection->of_node[0]);
    if (to < 0)
        list_init(&connection->of_node[1]);
    else
        list_append(&network->hosts[to].connections[1], &connection->of_node[1]);
    network->connections++;
    uint64_t way = to < 0 ? NETWORK_HOP_MAX_US : hop(network, from, (uint32_t)to);
    plan(connection, network->world->now + way, connect_arrives, NULL, 0);
    return connection;
}

static void connect_again(struct connection *connection) {
    uint64_t now = connection->network->world->now;
    uint64_t wait = (uint64_t)1000 * MICROSECONDS_PER_MS
                    << (connection->retries[0] < 6 ? connection->retries[0] : 6);
    connection->retries[0]++;
    uint64_t last = connection->due[0] + (uint64_t)NETWORK_CONNECT_MAX_MS * MICROSECONDS_PER_MS;
    if (now + wait > last)
        plan(connection, last, answer_arrives, NULL, 0);
    else
        plan(connection, now + wait, connect_arrives, NULL, 0);
}

static void connect_arrives(struct event *event) {
    struct connection *connection = event->subject;
    struct network *network = connection->network;
    connection->under_way--;
    if (connection->end[0] == END_CLOSED) {
        destroy_if_over(connection);
        return;
    }
    uint32_t from = connection->node[0], to = connection->node[1];
    if (to == UINT32_MAX || !path_open(connection, 0) || network_blocked(network, to, from)) {
        connect_again(connection);
        return;
    }
    connection->retries[0] = 0;
    bool running = network->hosts[to].running;
    if (running) connection->end[1] = END_OPEN; // the process hears of it with the first message
    connection->accepted = ++network->accepted;
    connection->due[1] = network->world->now + hop(network, to, from);
    plan(connection, connection->due[1], answer_arrives, NULL, 1);
}

// Stamp 1: the other host answered; 0: nobody ever did.
static void answer_arrives(struct event *event) {
    struct connection *connection = event->subject;
    struct network *network = connection->network;
    uint32_t node = connection->node[0];
    connection->under_way--;
    if (connection->end[0] == END_CLOSED) {
        destroy_if_over(connection);
        return;
    }
    if (frozen(connection, node)) {
        connection->under_way++;
        network_wait_for_thaw(network, node, event);
        return;
    }
    if (event->stamp && connection->end[1] == END_OPEN) {
        connection->end[0] = END_OPEN;
        network->sink->connected(network->context, node, connection);
        return;
    }
    connection->end[0] = END_CLOSED;
    connection->under_way++; // stay until the sink has heard
    if (event->stamp)
        network->sink->refused(network->context, node, connection);
    else
        network->sink->closed(network->context, node, connection, 0);
    connection->under_way--;
    destroy_if_over(connection);
}

// -- data
// ------------------------------------------------------------------------------------------------------------

// What is late is packed. Retains the message.
static void send(struct connection *connection, int side, struct cluster_message *message) {
    struct network *network = connection->network;
    uint64_t now = network->world->now;
    uint64_t at = now + hop(network, connection->node[side], connection->node[!side]);
    if (at < connection->due[side]) at = connection->due[side];
    connection->due[side] = at;
    connection->queued[side]++;
    bool worth_it = message && (at - now > PACKED_FROM_US || network->loose > LOOSE_MAX);
    struct packed *packed = worth_it ? packer_pack(network->packer, message) : NULL;
    // A message to several takes its room once.
    bool counts = message && !packed && message->references == 1;
    if (counts) network->loose += message->size;
    if (packed)
        plan(connection, at, packed_arrives, packed, side);
    else
        plan(connection, at, message_arrives, message ? cluster_message_retain(message) : NULL,
             side | (counts ? STAMP_LOOSE : 0));
}

void network_send(struct connection *connection, int side, struct cluster_message *message) {
    if (connection->end[side] != END_OPEN) return;
    if (connection->queued[side] >= NETWORK_QUEUE_MAX)
        network_cut(connection);
    else
        send(connection, side, message);
}

void network_cut(struct connection *connection) {
    for (int side = 0; side < 2; side++) {
        if (connection->end[side] != END_OPEN) continue;
        connection->end[side] = END_CLOSED;
        plan(connection, connection->network->world->now, end_is_noticed, NULL, side);
    }
}

static void end_is_noticed(struct event *event) {
    struct connection *connection = event->subject;
    struct network *network = connection->network;
    int side = (int)event->stamp;
    uint32_t node = connection->node[side];
    connection->under_way--;
    if (frozen(connection, node)) {
        connection->under_way++;
        network_wait_for_thaw(network, node, event);
        return;
    }
    connection->under_way++; // stay until the sink has heard
    if (network->hosts[node].running) network->sink->closed(network->context, node, connection, side);
    connection->under_way--;
    destroy_if_over(connection);
}

void network_close(struct connection *connection, int side) {
    if (connection->end[side] == END_CLOSED) return;
    bool tell = connection->end[!side] != END_CLOSED &&
                connection->network->hosts[connection->node[side]].up &&
                (connection->end[side] == END_OPEN || connection->end[!side] == END_OPEN);
    connection->end[side] = END_CLOSED;
    if (tell) send(connection, side, NULL);
    destroy_if_over(connection);
}

// The peer has no such connection any more and said so: this side's end is cut.
static void reset_side(struct connection *connection, int side) {
    struct network *network = connection->network;
    if (connection->end[side] == END_CLOSED) return;
    connection->end[side] = END_CLOSED;
    drop_waiting(connection, side);
    if (network->hosts[connection->node[side]].running)
        network->sink->closed(network->context, connection->node[side], connection, side);
}

// What the receiver does with what arrived.
static void take(struct connection *connection, int side, struct cluster_message *message) {
    struct network *network = connection->network;
    int receiver = !side;
    uint32_t node = connection->node[receiver];
    if (connection->end[receiver] != END_OPEN) {
        if (message) reset_side(connection, side);
        return;
    }
    if (message) {
        network->sink->arrived(network->context, node, connection, receiver, message);
        return;
    }
    connection->end[receiver] = END_CLOSED;
    network->sink->closed(network->context, node, connection, receiver);
}

// Tries again to hand over what waits: when the receiver thaws, or after the sender's pause.
static void plan_retry(struct connection *connection, int side) {
    struct network *network = connection->network;
    uint64_t now = network->world->now;
    uint32_t to = connection->node[!side];
    if (!path_open(connection, side)) {
        plan(connection, now + retry_delay(connection->retries[side]++), retry_waiting, NULL, side);
    } else if (frozen(connection, to)) {
        connection->under_way++;
        world_put_off(network->world, &network->hosts[to].frozen, retry_waiting, connection, NULL,
                      (uint64_t)side);
    } else {
        plan(connection, now + MICROSECONDS_PER_MS, retry_waiting, NULL, side);
    }
}

// Can what starts at `side` be handed to the process at the other end now?
static bool receivable(const struct connection *connection, int side) {
    return path_open(connection, side) && !frozen(connection, connection->node[!side]) &&
           connection->end[!side] != END_CONNECTING;
}

static struct parcel packed(struct network *network, struct parcel parcel) {
    struct packed *packed = parcel.message ? packer_pack(network->packer, parcel.message) : NULL;
    if (!packed) return parcel;
    cluster_message_release(parcel.message);
    return (struct parcel){.packed = packed};
}

static struct parcel unpacked(struct network *network, struct parcel parcel) {
    if (!parcel.packed) return parcel;
    return (struct parcel){.message = packer_unpack(network->packer, parcel.packed)};
}

static void wait_in_line(struct connection *connection, int side, struct parcel parcel) {
    struct waiting *waiting = mem_alloc(sizeof *waiting);
    *waiting = (struct waiting){.parcel = packed(connection->network, parcel)};
    if (connection->first[side]) {
        connection->last[side]->next = waiting;
    } else {
        connection->first[side] = waiting;
        connection->network->lines++;
        plan_retry(connection, side);
    }
    connection->last[side] = waiting;
}

// Hands the parcel over.
static void deliver(struct connection *connection, int side, struct parcel parcel) {
    parcel = unpacked(connection->network, parcel);
    take(connection, side, parcel.message);
    drop(connection, parcel);
}

static void arrive(struct connection *connection, int side, struct parcel parcel) {
    connection->under_way--;
    if (connection->network->closing || both_closed(connection)) {
        connection->queued[side]--;
        drop(connection, parcel);
        destroy_if_over(connection);
        return;
    }
    if (connection->first[side] || !receivable(connection, side)) {
        wait_in_line(connection, side, parcel);
        return;
    }
    connection->retries[side] = 0;
    connection->queued[side]--;
    connection->under_way++; // stay until the sink has heard
    deliver(connection, side, parcel);
    connection->under_way--;
    destroy_if_over(connection);
}

static void message_arrives(struct event *event) {
    struct connection *connection = event->subject;
    struct cluster_message *message = event->payload;
    if (event->stamp & STAMP_LOOSE) connection->network->loose -= message->size;
    arrive(connection, (int)event->stamp & STAMP_SIDE, (struct parcel){.message = message});
}

static void packed_arrives(struct event *event) {
    arrive(event->subject, (int)event->stamp, (struct parcel){.packed = event->payload});
}

bool network_holds_up(const struct network *network, uint32_t *from, uint32_t *to) {
    for (uint32_t node = 0; network->lines && node < network->count; node++) {
        const struct list_node *head = &network->hosts[node].connections[0];
        LIST_EACH(entry, head) {
            const struct connection *connection = LIST_ENTRY(entry, struct connection, of_node[0]);
            for (int side = 0; side < 2; side++) {
                if (!connection->first[side] || connection->end[!side] != END_OPEN) continue;
                *from = connection->node[side];
                *to = connection->node[!side];
                return true;
            }
        }
    }
    return false;
}

static void retry_waiting(struct event *event) {
    struct connection *connection = event->subject;
    int side = (int)event->stamp;
    connection->under_way--;
    if (connection->network->closing) drop_waiting(connection, side);
    if (connection->first[side] && !receivable(connection, side)) {
        plan_retry(connection, side);
        return;
    }
    connection->retries[side] = 0;
    connection->under_way++; // stay until the sink has heard
    while (connection->first[side])
        deliver(connection, side, take_first(connection, side));
    connection->under_way--;
    destroy_if_over(connection);
}

// -- hosts
// -----------------------------------------------------------------------------------------------------------

void network_process_dies(struct network *network, uint32_t node, bool host_too) {
    struct host *host = &network->hosts[node];
    host->running = false;
    network_thaw(network, node);
    if (host_too) host->up = false;
    for (int side = 0; side < 2; side++) {
        LIST_EACH(entry, &host->connections[side]) {
            struct connection *connection = LIST_ENTRY(entry, struct connection, of_node[side]);
            if (host_too) drop_waiting(connection, side);
            network_close(connection, side);
        }
    }
}

void network_freeze(struct network *network, uint32_t node, uint64_t until) {
    network->hosts[node].frozen_until = until;
    world_plan(network->world, until, freeze_ends, network, NULL, node);
}

void network_thaw(struct network *network, uint32_t node) {
    network->hosts[node].frozen_until = 0;
    world_resume(network->world, &network->hosts[node].frozen);
}

// It may have been thawed before, and stand still again.
static void freeze_ends(struct event *event) {
    struct network *network = event->subject;
    uint32_t node = (uint32_t)event->stamp;
    if (network->hosts[node].frozen_until == event->at) network_thaw(network, node);
}

void network_wait_for_thaw(struct network *network, uint32_t node, const struct event *event) {
    world_put_off(network->world, &network->hosts[node].frozen, event->happen, event->subject, event->payload,
                  event->stamp);
}

void network_process_starts(struct network *network, uint32_t node) {
    network->hosts[node].up = true;
    network->hosts[node].running = true;
}
