// --cluster call: one command to every node.
#include <stdio.h>

#include "cli/cluster.h"
#include "cli/cluster_json.h"
#include "cli/cluster_log.h"
#include "cli/print.h"
#include "resp/request.h"

static bool is_wanted(const struct cluster_node *node, const struct cluster_options *options) {
    if (options->only_masters && !cluster_node_is_primary(node)) return false;
    return !options->only_replicas || !cluster_node_is_primary(node);
}

// The answer as an event of --json.
static void send_answer(const struct cluster_node *node, const struct reply *reply,
                        const struct print_style *style) {
    struct buffer text = BUFFER_EMPTY;
    cJSON *event = cluster_json_begin("reply");
    cJSON_AddStringToObject(event, "id", node->id);
    cJSON_AddStringToObject(event, "host", node->host);
    cJSON_AddNumberToObject(event, "port", node->port);
    if (reply->type == REPLY_ERROR) {
        buffer_append(&text, reply->text.data, reply->text.size);
        cJSON_AddStringToObject(event, "error", buffer_string(&text));
    } else {
        print_reply(&text, reply, style, false);
        if (text.size && text.data[text.size - 1] == '\n') text.size--;
        cJSON_AddRawToObject(event, "reply", buffer_string(&text));
    }
    cluster_json_send(event);
    buffer_free(&text);
}

static void call_node(const struct cluster_node *node, char **arguments, int count,
                      const struct print_style *style) {
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
    if (cluster_json_is_on()) send_answer(node, reply, style);
    struct buffer out = BUFFER_EMPTY;
    print_reply(&out, reply, &raw, false);
    printf("%s:%u: %s", node->host, node->port, buffer_string(&out));
    buffer_free(&out);
}

int cluster_call(const struct options *options) {
    struct cluster_nodes nodes;
    int taken;
    if (!cluster_load_before(&nodes, options, &taken)) return 1;
    char **arguments = options->cluster.arguments + taken;
    int count = options->cluster.argument_count - taken;
    cluster_log(TONE_STEP, ">>> Calling");
    for (int i = 0; i < count; i++)
        printf(" %s", arguments[i]);
    printf("\n");
    for (size_t i = 0; i < nodes.count && count > 0; i++)
        if (is_wanted(&nodes.items[i], &options->cluster))
            call_node(&nodes.items[i], arguments, count, &options->style);
    cluster_nodes_free(&nodes);
    return 0;
}
