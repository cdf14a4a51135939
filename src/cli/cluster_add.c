// --cluster add-node.
#include <stdio.h>

#include "base/memory.h"
#include "cli/cluster.h"
#include "cli/cluster_check.h"
#include "cli/cluster_join.h"
#include "cli/cluster_log.h"

struct addition {
    struct cluster_nodes nodes;          // the new one is the last, once it is connected
    const struct cluster_node *member;   // a node of the cluster
    struct cluster_node *node;           // the new one
    char primary_id[NODES_TEXT_ID_SIZE]; // whose replica it becomes; empty: it becomes a primary
    char *host;                          // of the new one
    uint16_t port;
};

static bool choose_primary(struct addition *addition, const struct options *options) {
    const char *id = options->cluster.master_id;
    if (!options->cluster.as_replica) return true;
    const struct cluster_node *primary = id ? cluster_nodes_find_prefix(&addition->nodes, id)
                                            : cluster_nodes_fewest_replicas(&addition->nodes, NULL);
    if (!primary) {
        cluster_log(TONE_BAD, "[ERR] No such master ID %s\n", id ? id : "");
        return false;
    }
    if (!id) printf("Automatically selected master %s:%u\n", primary->host, primary->port);
    snprintf(addition->primary_id, sizeof addition->primary_id, "%s", primary->id);
    return true;
}

static bool connect_new(struct addition *addition, const struct options *options) {
    struct cluster_nodes *nodes = &addition->nodes;
    enum node_answer answer = cluster_nodes_add(nodes, options, addition->host, addition->port);
    if (answer == NODE_UNREACHABLE)
        cluster_log(TONE_BAD, "[ERR] Sorry, can't connect to node %s:%u\n", addition->host, addition->port);
    if (answer != NODE_ADDED) return false;
    addition->member = &nodes->items[0];
    addition->node = &nodes->items[nodes->count - 1];
    return cluster_node_is_empty(addition->node);
}

// Every primary of a cluster has the same functions, so the new one needs them as well.
static bool copy_functions(const struct addition *addition) {
    const struct cluster_node *node = addition->node;
    cluster_log(TONE_STEP, ">>> Getting functions from cluster\n");
    const struct reply *dump = CONNECTION_ASK(addition->member->connection, "FUNCTION", "DUMP");
    if (!connection_reply_is_fine(dump)) {
        cluster_log(
            TONE_STEP,
            ">>> Failed retrieving Functions from the cluster, skip this step as Redis version do not "
            "support function command (error = '%.*s')\n",
            dump ? (int)dump->text.size : 0, dump ? dump->text.data : "");
        return dump != NULL;
    }
    struct buffer kept = BUFFER_EMPTY; // the reply lives until the next question to that node
    buffer_append_bytes(&kept, dump->text);
    cluster_log(TONE_STEP, ">>> Send FUNCTION LIST to %s:%u to verify there is no functions in it\n",
                node->host, node->port);
    const struct reply *list = CONNECTION_ASK(node->connection, "FUNCTION", "LIST");
    bool good = connection_reply_is_fine(list) && list->count == 0;
    if (!connection_reply_is_fine(list))
        cluster_node_say_error(node, list);
    else if (!good)
        cluster_log(TONE_BAD,
                    ">>> New node already contains functions and can not be added to the cluster. Use "
                    "FUNCTION FLUSH and try again.\r\n");
    if (good) {
        cluster_log(TONE_STEP, ">>> Send FUNCTION RESTORE to %s:%u\n", node->host, node->port);
        const struct bytes words[] = {BYTES("FUNCTION"), BYTES("RESTORE"), buffer_bytes(&kept)};
        const struct reply *reply = connection_command(node->connection, words, 3);
        good = connection_reply_is_fine(reply);
        if (!good) cluster_node_say_error(node, reply);
    }
    buffer_free(&kept);
    return good;
}

static bool introduce(const struct addition *addition) {
    const struct cluster_node *node = addition->node;
    cluster_log(TONE_STEP, ">>> Send CLUSTER MEET to node %s:%u to make it join the cluster.\n", node->host,
                node->port);
    return cluster_join_meet(node, addition->member);
}

static bool make_replica(struct addition *addition) {
    if (!cluster_join_wait(&addition->nodes, false)) return false;
    const struct cluster_node *primary = cluster_nodes_find(&addition->nodes, addition->primary_id);
    cluster_log(TONE_STEP, ">>> Configure node as replica of %s:%u.\n", primary->host, primary->port);
    return cluster_join_replicate(addition->node, primary->id);
}

static bool add(struct addition *addition, const struct options *options) {
    struct cluster_health health;
    if (!cluster_check_nodes(&addition->nodes, true, &health)) return false;
    if (!choose_primary(addition, options) || !connect_new(addition, options)) return false;
    if (!addition->primary_id[0] && !copy_functions(addition)) return false;
    if (!introduce(addition)) return false;
    if (addition->primary_id[0] && !make_replica(addition)) return false;
    cluster_log(TONE_GOOD, "[OK] New node added correctly.\n");
    return true;
}

int cluster_add_node(const struct options *options) {
    struct addition addition = {0};
    char *host;
    uint16_t port;
    if (!cluster_address(options, 0, &addition.host, &addition.port)) return 1;
    bool good = cluster_address(options, 1, &host, &port);
    if (good) {
        cluster_log(TONE_STEP, ">>> Adding node %s:%u to cluster %s:%u\n", addition.host, addition.port, host,
                    port);
        mem_free(host);
        good = cluster_load_address(&addition.nodes, options, 1) && add(&addition, options);
    }
    cluster_nodes_free(&addition.nodes);
    mem_free(addition.host);
    return good ? 0 : 1;
}
