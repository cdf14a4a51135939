// The routes: the core's view, made into the snapshot that workers go by.
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "bus/bus_private.h"
#include "call/slot_stats.h"
#include "keyspace/route.h"

// A snapshot that was replaced: freed when every worker has been out of the gate since.
struct retired {
    struct retired *next;
    const struct routes *routes;
    struct gate_mark mark;
};

static struct retired *retired;

static void name_endpoint(struct route_node *out, const struct cluster_view_node *node) {
    const char *host = node->ip;
    if (bus.config.endpoint == BUS_ENDPOINT_HOSTNAME) host = *node->hostname ? node->hostname : "?";
    if (bus.config.endpoint == BUS_ENDPOINT_UNKNOWN) host = "";
    snprintf(out->endpoint, sizeof out->endpoint, "%s:%u", host, node->port);
}

static unsigned highest_index(void) {
    struct cluster_view_node node;
    unsigned highest = 0;
    for (uint32_t cursor = 0; cluster_view_next(bus.cluster, &cursor, &node);)
        if (node.index > highest) highest = node.index;
    return highest;
}

static void copy_slots(struct routes *routes) {
    const uint16_t *migrating = cluster_view_migrating(bus.cluster), *importing = cluster_view_importing(bus.cluster);
    memcpy(routes->owner, cluster_view_owners(bus.cluster), sizeof routes->owner);
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++) {
        routes->other[slot] = ROUTE_NONE;
        if (importing[slot] != CLUSTER_NO_INDEX) {
            routes->state[slot] |= ROUTE_IMPORTING;
            routes->other[slot] = importing[slot];
        }
        if (migrating[slot] != CLUSTER_NO_INDEX) {
            routes->state[slot] |= ROUTE_MIGRATING;
            routes->other[slot] = migrating[slot];
        }
    }
}

static bool is_of_my_shard(const struct routes *routes, unsigned slot) {
    return routes->owner[slot] != ROUTE_NONE && routes->owner[slot] == routes->my_primary;
}

// What a slot has cost is forgotten when it leaves this shard.
static void forget_lost_slots(const struct routes *before, const struct routes *now) {
    for (unsigned slot = 0; before && slot < HASH_SLOTS; slot++)
        if (is_of_my_shard(before, slot) && !is_of_my_shard(now, slot)) slot_stats_forget(slot);
}

void routes_publish(void) {
    _Static_assert(ROUTE_NONE == CLUSTER_NO_INDEX, "the two folders agree on nobody");
    bus.publish_due = false;
    unsigned count = highest_index() + 1;
    struct routes *routes = mem_calloc(1, sizeof *routes + count * sizeof routes->nodes[0]);
    struct cluster_view_status status;
    struct cluster_view_node myself, node;
    cluster_view_status(bus.cluster, &status);
    cluster_view_myself(bus.cluster, &myself);
    routes->cluster_ok = status.ok;
    routes->primary = myself.flags & CLUSTER_NODE_PRIMARY;
    routes->reads_when_down = bus.config.reads_when_down;
    routes->myself = myself.index;
    routes->my_primary = routes->primary ? myself.index : myself.primary_index;
    routes->node_count = count;
    for (uint32_t cursor = 0; cluster_view_next(bus.cluster, &cursor, &node);)
        name_endpoint(&routes->nodes[node.index], &node);
    copy_slots(routes);
    struct retired *old = mem_alloc(sizeof *old);
    forget_lost_slots(keyspace_routes(bus.keyspace), routes);
    old->routes = keyspace_publish_routes(bus.keyspace, routes);
    gate_mark(bus.gate, &old->mark);
    old->next = retired;
    retired = old;
}

void routes_free_all(void) {
    mem_free((void *)keyspace_publish_routes(bus.keyspace, NULL));
    while (retired) {
        struct retired *old = retired;
        retired = old->next;
        mem_free((void *)old->routes);
        mem_free(old);
    }
}

void routes_free_retired(void) {
    for (struct retired **link = &retired; *link;) {
        struct retired *old = *link;
        if (!gate_passed(bus.gate, &old->mark)) {
            link = &old->next;
            continue;
        }
        *link = old->next;
        mem_free((void *)old->routes);
        mem_free(old);
    }
}
