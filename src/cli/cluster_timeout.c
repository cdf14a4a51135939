// --cluster set-timeout.
#include <stdio.h>
#include <stdlib.h>

#include "cli/cluster.h"
#include "cli/cluster_log.h"

enum { TIMEOUT_LEAST_MS = 100 };

// Sets it for now and, in the node's file, for its next start.
static bool set_timeout(const struct cluster_node *node, const char *milliseconds) {
    const struct reply *reply =
        CONNECTION_ASK(node->connection, "CONFIG", "SET", "cluster-node-timeout", milliseconds);
    if (connection_reply_is_fine(reply)) reply = CONNECTION_ASK(node->connection, "CONFIG", "REWRITE");
    if (connection_reply_is_fine(reply)) {
        cluster_log(TONE_WARNING, "*** New timeout set for %s:%u\n", node->host, node->port);
        return true;
    }
    const char *lost = reply ? "" : connection_error(node->connection);
    cluster_log(TONE_BAD, "ERR setting node-timeout for %s:%u: %.*s%s\n", node->host, node->port,
                reply ? (int)reply->text.size : 0, reply ? reply->text.data : "", lost);
    return false;
}

int cluster_set_timeout(const struct options *options) {
    const char *milliseconds = options->cluster.arguments[1];
    struct cluster_nodes nodes;
    unsigned good = 0, bad = 0;
    if (strtol(milliseconds, NULL, 10) < TIMEOUT_LEAST_MS) {
        fprintf(stderr, "Setting a node timeout of less than %d milliseconds is a bad idea.\n",
                TIMEOUT_LEAST_MS);
        return 1;
    }
    if (!cluster_load_address(&nodes, options, 0)) return 1;
    cluster_log(TONE_STEP, ">>> Reconfiguring node timeout in every cluster node...\n");
    for (size_t i = 0; i < nodes.count; i++)
        *(set_timeout(&nodes.items[i], milliseconds) ? &good : &bad) += 1;
    cluster_log(TONE_STEP, ">>> New node timeout set. %u OK, %u ERR.\n", good, bad);
    cluster_nodes_free(&nodes);
    return 0;
}
