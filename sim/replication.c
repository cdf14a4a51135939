#include "sim/replication.h"

#include <string.h>

#include "sim/sim.h"

enum {
    FIRST_SYNC_MS = 600, // a full synchronisation takes this
    RESYNC_MS = 60,      // a partial one this
    LAG_BYTES_MAX = 400, // a replica is behind by up to
    POLL_EVERY_MS = 10,  // during a manual failover
    POLL_FOR_MS = 11000, // twice the time that a manual failover may take
    BREAK_NOTICED_US = 500,
};

static event_handler poll_comes;
static event_handler break_comes;

static uint64_t now_us(const struct node *node) {
    return node->sim->world.now;
}

void replication_start(struct node *node) {
    struct replication *replication = &node->replication;
    *replication = (struct replication){
        .source = SOURCE_NONE, .offset = replication->offset, .advanced_us = now_us(node)};
}

void replication_lead(struct node *node) {
    struct replication *replication = &node->replication;
    if (replication->source == SOURCE_NONE) return;
    replication_update(node);
    replication->source = SOURCE_NONE;
    replication->linked = false;
    replication->paused_until_ms = 0;
    replication->advanced_us = now_us(node);
}

void replication_follow(struct node *node, int source) {
    struct replication *replication = &node->replication;
    replication_advance(node);
    if (replication->source == source) return;
    replication->source = source;
    replication->linked = false;
    replication->synchronised = false;
    replication->connectable_us = 0;
}

static bool writes_paused(const struct node *node) {
    return node->replication.paused_until_ms > node_now(node);
}

void replication_pause(struct node *node, uint64_t until_ms) {
    replication_advance(node);
    node->replication.paused_until_ms = until_ms;
}

void replication_advance(struct node *node) {
    struct replication *replication = &node->replication;
    if (replication->source != SOURCE_NONE || !node->core) return;
    uint64_t passed = now_us(node) - replication->advanced_us;
    uint64_t frozen_until = node->sim->network.hosts[node->index].frozen_until;
    if (frozen_until > now_us(node)) passed = 0;
    replication->advanced_us = now_us(node);
    if (!writes_paused(node) && passed)
        replication->offset += (passed * (NODE_WRITES_PER_MS + node->index % 64) + 999) / MICROSECONDS_PER_MS;
}

// Does what the source writes arrive at the node now?
static bool reachable(const struct node *node, const struct node *source) {
    const struct network *network = &node->sim->network;
    return node_awake(source) && !network_blocked(network, node->index, source->index) &&
           !network_blocked(network, source->index, node->index) &&
           source->replication.source != (int)node->index;
}

static void synchronise(struct node *node, struct node *source) {
    struct replication *replication = &node->replication;
    if (!replication->connectable_us) replication->connectable_us = now_us(node);
    uint64_t takes = (replication->synchronised ? RESYNC_MS : FIRST_SYNC_MS) * MICROSECONDS_PER_MS;
    if (now_us(node) - replication->connectable_us < takes) return;
    replication->linked = true;
    replication->synchronised = true;
    replication->offset = source->replication.offset;
}

static void follow_stream(struct node *node, struct node *source) {
    struct replication *replication = &node->replication;
    uint64_t there = source->replication.offset;
    uint64_t lag = writes_paused(source) ? 0 : prng_below(&node->sim->world.prng, LAG_BYTES_MAX);
    if (there >= lag && there - lag > replication->offset) replication->offset = there - lag;
    memcpy(node->keys, source->keys, sizeof node->keys);
    replication->heard_us = now_us(node);
}

void replication_update(struct node *node) {
    struct replication *replication = &node->replication;
    if (replication->source == SOURCE_NONE) {
        replication_advance(node);
        return;
    }
    struct node *source = replication->source >= 0 ? &node->sim->nodes[replication->source] : NULL;
    if (!source || !reachable(node, source)) {
        bool gone = source && !source->core && node->sim->network.hosts[source->index].up;
        bool silent =
            now_us(node) - replication->heard_us > (uint64_t)NODE_REPL_TIMEOUT_MS * MICROSECONDS_PER_MS;
        if (gone || silent) replication->linked = false;
        replication->connectable_us = 0;
        return;
    }
    replication_advance(source);
    if (!replication->linked) synchronise(node, source);
    if (replication->linked) follow_stream(node, source);
}

static void tell(struct node *node) {
    replication_update(node);
    const struct replication *replication = &node->replication;
    struct cluster_event event = {.kind = CLUSTER_EVENT_REPLICATION};
    event.replication.offset = replication->offset;
    event.replication.writes_paused = replication->source == SOURCE_NONE && writes_paused(node);
    event.replication.primary_link_up = replication->linked;
    event.replication.ever_synchronised = replication->synchronised;
    event.replication.data_age = (now_us(node) - replication->heard_us) / MICROSECONDS_PER_MS;
    node_step(node, &event);
}

void replication_tell(struct node *node) {
    tell(node);
}

static void poll_comes(struct event *event) {
    struct node *node = event->subject;
    if (!node->core || now_us(node) >= node->replication.poll_until_us) {
        node->replication.poll_until_us = 0;
        return;
    }
    if (node_awake(node)) tell(node);
    world_plan(&node->sim->world, now_us(node) + POLL_EVERY_MS * MICROSECONDS_PER_MS, poll_comes, node, NULL,
               0);
}

static void watch(struct node *node) {
    bool watched = node->replication.poll_until_us != 0;
    node->replication.poll_until_us = now_us(node) + (uint64_t)POLL_FOR_MS * MICROSECONDS_PER_MS;
    if (!watched) world_plan(&node->sim->world, now_us(node), poll_comes, node, NULL, 0);
}

void replication_watch(struct node *node) {
    watch(node);
    if (node->replication.source >= 0) watch(&node->sim->nodes[node->replication.source]);
}

static void break_comes(struct event *event) {
    struct node *node = event->subject;
    if (node_awake(node)) tell(node);
}

void replication_source_dies(struct node *node, bool machine_too) {
    if (machine_too) return;
    struct sim *sim = node->sim;
    for (uint32_t i = 0; i < sim->count; i++)
        if (sim->nodes[i].core && sim->nodes[i].replication.source == (int)node->index)
            world_plan(&sim->world, sim->world.now + BREAK_NOTICED_US, break_comes, &sim->nodes[i], NULL, 0);
}

bool replication_has_keys(const struct node *node) {
    for (size_t i = 0; i < sizeof node->keys; i++)
        if (node->keys[i]) return true;
    return false;
}
