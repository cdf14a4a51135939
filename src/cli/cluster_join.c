#include "cli/cluster_join.h"

#include <stdio.h>

#include "base/numbers.h"
#include "cli/cluster_log.h"
#include "os/clock.h"
#include "os/socket.h"

enum {
    JOIN_POLL_MS = 100,
    JOIN_DOT_MS = 1000,
    JOIN_SETTLE_MS = 5000,      // then a view that all have in common may do
    JOIN_EXPLAIN_MS = 15000,    // then it is said who is not reached
    JOIN_GIVE_UP_MS = 30000,    // then it is given up, and
    JOIN_GIVE_UP_NODE_MS = 500, // that much later for each node
    REPLICATE_GIVE_UP_MS = 20000,
};

bool cluster_join_meet(const struct cluster_node *node, const struct cluster_node *other) {
    char port[NUMBER_TEXT_MAX], bus_port[NUMBER_TEXT_MAX], address[SOCKET_NAME_MAX];
    uint16_t reached;
    number_format(port, other->port);
    number_format(bus_port, other->bus_port);
    // MEET takes no host name: the address is told that we have found behind it.
    bool numeric = socket_peer_name(connection_fd(other->connection), address, &reached);
    return CLUSTER_NODE_ORDER(node, "CLUSTER", "MEET", numeric ? address : other->host, port, bus_port);
}

// Does each node see all others, over a link that stands?
static bool all_linked(struct cluster_nodes *nodes) {
    for (size_t i = 0; i < nodes->count; i++)
        if (nodes->items[i].linked_nodes < nodes->count) return false;
    return cluster_nodes_agree(nodes);
}

static void explain_missing(const struct cluster_nodes *nodes) {
    cluster_log(TONE_WARNING, "\nWarning: not every node knows every other one yet:\n");
    for (size_t i = 0; i < nodes->count; i++) {
        const struct cluster_node *node = &nodes->items[i];
        if (node->linked_nodes >= nodes->count) continue;
        printf(" - %s:%u has a link to %zu of %zu nodes; its bus port is %u.\n", node->host, node->port,
               node->linked_nodes ? node->linked_nodes - 1 : 0, nodes->count - 1, node->bus_port);
    }
    printf("Cluster bus ports must be reachable by every node.\n"
           "Remember that cluster bus ports are different from standard instance ports.\n");
    fflush(stdout);
}

bool cluster_join_wait(struct cluster_nodes *nodes, bool needs_links) {
    const int64_t give_up_ms = JOIN_GIVE_UP_MS + (int64_t)nodes->count * JOIN_GIVE_UP_NODE_MS;
    int64_t started = clock_mono_ms(), last_dot = 0;
    bool explained = false;
    cluster_log(TONE_PLAIN, "Waiting for the cluster to join\n");
    for (;;) {
        if (!cluster_nodes_refresh(nodes)) return false;
        if (all_linked(nodes)) break;
        int64_t now = clock_mono_ms();
        if (!needs_links && now - started > JOIN_SETTLE_MS && cluster_nodes_agree(nodes)) break;
        if (now - last_dot >= JOIN_DOT_MS) {
            cluster_log(TONE_PLAIN, ".");
            last_dot = now;
        }
        if (now - started > give_up_ms) {
            cluster_log(TONE_BAD, "\n[ERR] The cluster did not join within %lld seconds.\n",
                        (long long)give_up_ms / 1000);
            return false;
        }
        if (!explained && now - started > JOIN_EXPLAIN_MS) {
            explain_missing(nodes);
            explained = true;
        }
        clock_sleep_us(JOIN_POLL_MS * 1000);
    }
    cluster_log(TONE_PLAIN, "\n");
    return true;
}

bool cluster_join_replicate(const struct cluster_node *node, const char *primary_id) {
    int64_t started = clock_mono_ms();
    for (;;) {
        const struct reply *reply = CONNECTION_ASK(node->connection, "CLUSTER", "REPLICATE", primary_id);
        if (connection_reply_is_fine(reply)) return true;
        if (!reply || clock_mono_ms() - started > REPLICATE_GIVE_UP_MS)
            return CLUSTER_NODE_ORDER(node, "CLUSTER", "REPLICATE", primary_id);
        clock_sleep_us(JOIN_POLL_MS * 1000);
    }
}
