// --cluster call: one command to every node.
#include <stdio.h>

#include "cli/cluster.h"
#include "cli/cluster_log.h"
#include "cli/print.h"
#include "resp/request.h"

static bool is_wanted(const struct cluster_node *node, const struct cluster_options *options) {
    if (options->only_masters && !cluster_node_is_primary(node)) return false;
    return !options->only_replicas || !cluster_node_is_primary(node);
}

static void call_node(const struct cluster_node *node, char **arguments, int count) {
    static const struct print_style raw = {OUTPUT_RAW, {"\n", 1}, {"\n", 1}};
    struct buffer *queue = connection_queue(node->connection);
    request_begin(queue, (size_t)count);
    for (int i = 0; i < count; i++)
        request_string(queue, arguments[i]);
    const struct reply *reply = connection_read(node->connection);
    if (!reply) {
        printf("%s:%u: Failed!\n", node->host, node->port);
        return;
    }
    struct buffer out = BUFFER_EMPTY;
    print_reply(&out, reply, &raw, false);
    printf("%s:%u: %s", node->host, node->port, buffer_string(&out));
    buffer_free(&out);
}

int cluster_call(const struct options *options) {
    struct cluster_nodes nodes;
    int taken;
    if (!cluster_load_named(&nodes, options, &taken)) return 1;
    char **arguments = options->cluster.arguments + taken;
    int count = options->cluster.argument_count - taken;
    cluster_log(TONE_STEP, ">>> Calling");
    for (int i = 0; i < count; i++)
        printf(" %s", arguments[i]);
    printf("\n");
    for (size_t i = 0; i < nodes.count && count > 0; i++)
        if (is_wanted(&nodes.items[i], &options->cluster)) call_node(&nodes.items[i], arguments, count);
    cluster_nodes_free(&nodes);
    return 0;
}
