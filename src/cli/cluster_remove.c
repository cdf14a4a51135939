// --cluster del-node.
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cli/cluster.h"
#include "cli/cluster_log.h"

static bool give_replica(const struct cluster_nodes *nodes, const struct cluster_node *leaving,
                         const struct cluster_node *replica) {
    struct cluster_node *primary = cluster_nodes_fewest_replicas(nodes, leaving);
    if (!primary) return true;
    cluster_log(TONE_STEP, ">>> %s:%u as replica of %s:%u\n", replica->host, replica->port, primary->host,
                primary->port);
    if (!CLUSTER_NODE_ORDER(replica, "CLUSTER", "REPLICATE", primary->id)) return false;
    primary->replica_count++;
    return true;
}

static bool forget(const struct cluster_nodes *nodes, const struct cluster_node *leaving) {
    cluster_log(TONE_STEP, ">>> Sending CLUSTER FORGET messages to the cluster...\n");
    for (size_t i = 0; i < nodes->count; i++) {
        const struct cluster_node *node = &nodes->items[i];
        if (node == leaving) continue;
        if (strcmp(node->primary_id, leaving->id) == 0 && !give_replica(nodes, leaving, node)) return false;
        if (!CLUSTER_NODE_ORDER(node, "CLUSTER", "FORGET", leaving->id)) return false;
    }
    cluster_log(TONE_STEP, ">>> Sending CLUSTER RESET SOFT to the deleted node.\n");
    return CLUSTER_NODE_ORDER(leaving, "CLUSTER", "RESET", "SOFT");
}

static bool remove_node(const struct cluster_nodes *nodes, const char *id) {
    const struct cluster_node *node = cluster_nodes_find(nodes, id);
    if (!node) {
        cluster_log(TONE_BAD, "[ERR] No such node ID %s\n", id);
        return false;
    }
    if (node->slot_count) {
        cluster_log(TONE_BAD, "[ERR] Node %s:%u is not empty! Reshard data away and try again.\n", node->host,
                    node->port);
        return false;
    }
    return forget(nodes, node);
}

int cluster_del_node(const struct options *options) {
    struct cluster_nodes nodes;
    const char *id = options->cluster.arguments[1];
    char *host;
    uint16_t port;
    if (!cluster_address(options, 0, &host, &port)) return 1;
    cluster_log(TONE_STEP, ">>> Removing node %s from cluster %s:%u\n", id, host, port);
    mem_free(host);
    if (!cluster_load_address(&nodes, options, 0)) return 1;
    bool good = remove_node(&nodes, id);
    cluster_nodes_free(&nodes);
    return good ? 0 : 1;
}
