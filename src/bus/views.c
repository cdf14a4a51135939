// The CLUSTER subcommands that only read the core's view: NODES SLOTS SHARDS INFO MYID ...
#include <string.h>

#include "bus/bus_private.h"

static const char *endpoint_of(const struct cluster_view_node *node) {
    switch (bus.config.endpoint) {
    case BUS_ENDPOINT_IP: return node->ip;
    case BUS_ENDPOINT_HOSTNAME: return *node->hostname ? node->hostname : "?";
    case BUS_ENDPOINT_UNKNOWN: return NULL;
    }
    return NULL;
}

static void reply_endpoint(struct reply *reply, const struct cluster_view_node *node) {
    const char *endpoint = endpoint_of(node);
    if (endpoint)
        reply_bulk_string(reply, endpoint);
    else
        reply_null(reply);
}

// A node as CLUSTER SLOTS shows it: endpoint, port, id, and what else may be known of it.
static void reply_slots_node(struct reply *reply, const struct cluster_view_node *node) {
    reply_array(reply, 4);
    reply_endpoint(reply, node);
    reply_integer(reply, node->port);
    reply_bulk_string(reply, node->id);
    bool show_ip = bus.config.endpoint != BUS_ENDPOINT_IP;
    bool show_name = bus.config.endpoint != BUS_ENDPOINT_HOSTNAME && *node->hostname;
    reply_map(reply, (size_t)show_ip + show_name);
    if (show_ip) {
        reply_bulk_string(reply, "ip");
        reply_bulk_string(reply, node->ip);
    }
    if (show_name) {
        reply_bulk_string(reply, "hostname");
        reply_bulk_string(reply, node->hostname);
    }
}

// A replica without an offset has no data yet: clients are not sent to it.
static bool serves_reads(const struct cluster_view_node *node, uint16_t primary) {
    return node->primary_index == primary && node->flags & CLUSTER_NODE_REPLICA && !(node->flags & CLUSTER_NODE_FAIL) &&
           node->replication_offset != 0;
}

static void reply_slot_range(struct reply *reply, unsigned first, unsigned last, uint16_t owner) {
    struct cluster_view_node node;
    size_t place = reply_array_begin(reply), count = 3;
    reply_integer(reply, first);
    reply_integer(reply, last);
    cluster_view_node_at(bus.cluster, owner, &node);
    reply_slots_node(reply, &node);
    for (uint32_t cursor = 0; cluster_view_next(bus.cluster, &cursor, &node);) {
        if (!serves_reads(&node, owner)) continue;
        reply_slots_node(reply, &node);
        count++;
    }
    reply_array_end(reply, place, count);
}

static void slots(const struct bytes *argv, int argc, struct reply *reply) {
    const uint16_t *owners = cluster_view_owners(bus.cluster);
    size_t place = reply_array_begin(reply), count = 0;
    for (unsigned first = 0, last; first < CLUSTER_SLOTS; first = last + 1) {
        last = first;
        while (last + 1 < CLUSTER_SLOTS && owners[last + 1] == owners[first])
            last++;
        if (owners[first] == CLUSTER_NO_INDEX) continue;
        reply_slot_range(reply, first, last, owners[first]);
        count++;
    }
    reply_array_end(reply, place, count);
}

static const char *health_of(const struct cluster_view_node *node) {
    if (node->flags & (CLUSTER_NODE_FAIL | CLUSTER_NODE_PFAIL)) return "fail";
    if (node->flags & CLUSTER_NODE_REPLICA && node->replication_offset == 0) return "loading";
    return "online";
}

static void reply_shards_node(struct reply *reply, const struct cluster_view_node *node) {
    size_t place = reply_array_begin(reply), count = 7;
    reply_bulk_string(reply, "id");
    reply_bulk_string(reply, node->id);
    reply_bulk_string(reply, "port");
    reply_integer(reply, node->port);
    reply_bulk_string(reply, "ip");
    reply_bulk_string(reply, node->ip);
    reply_bulk_string(reply, "endpoint");
    const char *endpoint = endpoint_of(node);
    reply_bulk_string(reply, endpoint ? endpoint : ""); // not null, as CLUSTER SLOTS has it: so does Redis
    if (*node->hostname) {
        reply_bulk_string(reply, "hostname");
        reply_bulk_string(reply, node->hostname);
        count++;
    }
    reply_bulk_string(reply, "role");
    reply_bulk_string(reply, node->flags & CLUSTER_NODE_PRIMARY ? "master" : "replica");
    reply_bulk_string(reply, "replication-offset");
    reply_integer(reply, (int64_t)node->replication_offset);
    reply_bulk_string(reply, "health");
    reply_bulk_string(reply, health_of(node));
    reply_map_end(reply, place, count);
}

static void reply_owned_ranges(struct reply *reply, uint16_t owner) {
    const uint16_t *owners = cluster_view_owners(bus.cluster);
    size_t place = reply_array_begin(reply), count = 0;
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot++) {
        if (owners[slot] != owner) continue;
        unsigned last = slot;
        while (last + 1 < CLUSTER_SLOTS && owners[last + 1] == owner)
            last++;
        reply_integer(reply, slot);
        reply_integer(reply, last);
        count += 2;
        slot = last;
    }
    reply_array_end(reply, place, count);
}

// A shard: a primary with its replicas.
static void reply_shard(struct reply *reply, const struct cluster_view_node *primary) {
    struct cluster_view_node node;
    reply_map(reply, 2);
    reply_bulk_string(reply, "slots");
    reply_owned_ranges(reply, primary->index);
    reply_bulk_string(reply, "nodes");
    size_t place = reply_array_begin(reply), count = 1;
    reply_shards_node(reply, primary);
    for (uint32_t cursor = 0; cluster_view_next(bus.cluster, &cursor, &node);) {
        if (node.primary_index != primary->index || !(node.flags & CLUSTER_NODE_REPLICA)) continue;
        reply_shards_node(reply, &node);
        count++;
    }
    reply_array_end(reply, place, count);
}

static void shards(const struct bytes *argv, int argc, struct reply *reply) {
    struct cluster_view_node node;
    size_t place = reply_array_begin(reply), count = 0;
    for (uint32_t cursor = 0; cluster_view_next(bus.cluster, &cursor, &node);) {
        if (!(node.flags & CLUSTER_NODE_PRIMARY) || node.flags & CLUSTER_NODE_HANDSHAKE) continue;
        reply_shard(reply, &node);
        count++;
    }
    reply_array_end(reply, place, count);
}

static void nodes(const struct bytes *argv, int argc, struct reply *reply) {
    struct buffer text = BUFFER_EMPTY;
    cluster_view_nodes_text(bus.cluster, CLUSTER_NO_INDEX, false, &text);
    reply_verbatim(reply, "txt", buffer_bytes(&text));
    buffer_free(&text);
}

static void info(const struct bytes *argv, int argc, struct reply *reply) {
    struct buffer text = BUFFER_EMPTY;
    cluster_view_info_text(bus.cluster, &text);
    buffer_appendf(&text, "total_cluster_links_buffer_limit_exceeded:%llu\r\n", (unsigned long long)bus.links_over_limit);
    reply_verbatim(reply, "txt", buffer_bytes(&text));
    buffer_free(&text);
}

static void myid(const struct bytes *argv, int argc, struct reply *reply) {
    struct cluster_view_node node;
    cluster_view_myself(bus.cluster, &node);
    reply_bulk_string(reply, node.id);
}

static void myshardid(const struct bytes *argv, int argc, struct reply *reply) {
    struct cluster_view_node node;
    cluster_view_myself(bus.cluster, &node);
    reply_bulk_string(reply, node.shard_id);
}

static void unknown_node(struct reply *reply, struct bytes id) {
    reply_errorf(reply, "ERR Unknown node %.*s", (int)(id.size > 128 ? 128 : id.size), id.data);
}

static void replicas(const struct bytes *argv, int argc, struct reply *reply) {
    struct cluster_view_node primary, node;
    if (!cluster_view_find(bus.cluster, argv[1], &primary)) {
        unknown_node(reply, argv[1]);
        return;
    }
    if (primary.flags & CLUSTER_NODE_REPLICA) {
        reply_error(reply, "ERR The specified node is not a master");
        return;
    }
    size_t place = reply_array_begin(reply), count = 0;
    for (uint32_t cursor = 0; cluster_view_next(bus.cluster, &cursor, &node);) {
        if (node.primary_index != primary.index || !(node.flags & CLUSTER_NODE_REPLICA)) continue;
        struct buffer text = BUFFER_EMPTY;
        cluster_view_nodes_text(bus.cluster, node.index, false, &text);
        if (text.size && text.data[text.size - 1] == '\n') text.size--;
        reply_bulk(reply, buffer_bytes(&text));
        buffer_free(&text);
        count++;
    }
    reply_array_end(reply, place, count);
}

static void count_failure_reports(const struct bytes *argv, int argc, struct reply *reply) {
    int count = cluster_view_failure_reports(bus.cluster, argv[1]);
    if (count < 0)
        unknown_node(reply, argv[1]);
    else
        reply_integer(reply, count);
}

static void links(const struct bytes *argv, int argc, struct reply *reply) {
    links_reply(reply);
}

bool views_answer(const struct bytes *argv, int argc, struct reply *reply) {
    static const struct {
        const char *name;
        void (*answer)(const struct bytes *argv, int argc, struct reply *reply);
    } views[] = {{"nodes", nodes},       {"slots", slots},     {"shards", shards},
                 {"info", info},         {"myid", myid},       {"myshardid", myshardid},
                 {"replicas", replicas}, {"slaves", replicas}, {"count-failure-reports", count_failure_reports},
                 {"links", links}};
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        if (!bytes_is(argv[0], views[i].name)) continue;
        views[i].answer(argv, argc, reply);
        return true;
    }
    return false;
}
