#include "cli/cluster_nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bitset.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "cli/cluster_log.h"
#include "cli/login.h"
#include "resp/request.h"

bool cluster_node_is_primary(const struct cluster_node *node) {
    return !node->primary_id[0];
}

struct cluster_node *cluster_nodes_find(const struct cluster_nodes *nodes, const char *id) {
    for (size_t i = 0; i < nodes->count; i++)
        if (strcmp(nodes->items[i].id, id) == 0) return &nodes->items[i];
    return NULL;
}

struct cluster_node *cluster_nodes_find_prefix(const struct cluster_nodes *nodes, const char *prefix) {
    for (size_t i = 0; i < nodes->count; i++)
        if (strncasecmp(nodes->items[i].id, prefix, strlen(prefix)) == 0) return &nodes->items[i];
    return NULL;
}

struct cluster_node *cluster_nodes_fewest_replicas(const struct cluster_nodes *nodes,
                                                   const struct cluster_node *except) {
    struct cluster_node *best = NULL;
    for (size_t i = 0; i < nodes->count; i++) {
        struct cluster_node *node = &nodes->items[i];
        if (node == except || !cluster_node_is_primary(node)) continue;
        if (!best || node->replica_count < best->replica_count) best = node;
    }
    return best;
}

bool cluster_node_select(const struct cluster_node *node, unsigned db) {
    char number[NUMBER_TEXT_MAX];
    if (node->databases == 1) return true;
    number_format(number, db);
    return CLUSTER_NODE_ORDER(node, "SELECT", number);
}

enum { QUESTIONS_IN_FLIGHT = 1000 };

static bool add_keys_here(const struct cluster_node *node, const uint16_t *slots, size_t count,
                          size_t *keys) {
    for (size_t at = 0; at < count;) {
        size_t n = count - at < QUESTIONS_IN_FLIGHT ? count - at : QUESTIONS_IN_FLIGHT;
        for (size_t i = 0; i < n; i++) {
            struct buffer *queue = connection_queue(node->connection);
            request_begin(queue, 3);
            request_string(queue, "CLUSTER");
            request_string(queue, "COUNTKEYSINSLOT");
            request_integer(queue, slots[at + i]);
        }
        for (size_t i = 0; i < n; i++) {
            const struct reply *reply = connection_read(node->connection);
            if (!reply || reply->type != REPLY_INTEGER) {
                cluster_node_say_error(node, reply);
                return false;
            }
            keys[at + i] += (size_t)reply->integer;
        }
        at += n;
    }
    return true;
}

bool cluster_node_add_keys(const struct cluster_node *node, const uint16_t *slots, size_t count,
                           size_t *keys) {
    bool good = true;
    for (unsigned db = 0; good && db < node->databases; db++)
        good = cluster_node_select(node, db) && add_keys_here(node, slots, count, keys);
    return good;
}

long long cluster_node_count_keys(const struct cluster_node *node, unsigned slot) {
    const uint16_t one = (uint16_t)slot;
    size_t keys = 0;
    return cluster_node_add_keys(node, &one, 1, &keys) ? (long long)keys : -1;
}

long long cluster_node_total_keys(const struct cluster_node *node) {
    long long keys = 0;
    for (unsigned db = 0; db < node->databases; db++) {
        if (!cluster_node_select(node, db)) return -1;
        const struct reply *reply = CONNECTION_ASK(node->connection, "DBSIZE");
        if (!reply || reply->type != REPLY_INTEGER) return -1;
        keys += (long long)reply->integer;
    }
    return keys;
}

static void say_error_at(const char *host, uint16_t port, const struct connection *connection,
                         const struct reply *reply) {
    if (reply)
        cluster_log(TONE_BAD, "Node %s:%u replied with error:\n%.*s\n", host, port, (int)reply->text.size,
                    reply->text.data);
    else
        cluster_log(TONE_BAD, "Node %s:%u does not answer: %s\n", host, port, connection_error(connection));
}

void cluster_node_say_error(const struct cluster_node *node, const struct reply *reply) {
    say_error_at(node->host, node->port, node->connection, reply);
}

bool cluster_node_has_retired(const struct reply *reply) {
    static const char words[] = "SETSLOT only with masters";
    return reply->type == REPLY_ERROR && memmem(reply->text.data, reply->text.size, words, sizeof words - 1);
}

bool cluster_node_order(const struct cluster_node *node, const char *const *arguments) {
    const struct reply *reply = connection_ask(node->connection, arguments);
    if (connection_reply_is_fine(reply)) return true;
    cluster_node_say_error(node, reply);
    return false;
}

static int compare_lines(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// "id:0-5,7" of every owner, sorted, so that two nodes' views compare as texts.
static void describe_slots(struct buffer *out, const struct nodes_text *text) {
    char **lines = mem_calloc(text->count + 1, sizeof *lines);
    size_t count = 0;
    for (size_t i = 0; i < text->count; i++) {
        const struct nodes_text_node *node = &text->nodes[i];
        if (!node->range_count) continue;
        struct buffer line = BUFFER_EMPTY;
        buffer_appendf(&line, "%s:", node->id);
        for (size_t j = 0; j < node->range_count; j++)
            buffer_appendf(&line, "%u-%u,", node->ranges[j].first, node->ranges[j].last);
        buffer_string(&line);
        lines[count++] = line.data;
    }
    qsort(lines, count, sizeof *lines, compare_lines);
    out->size = 0;
    for (size_t i = 0; i < count; i++) {
        buffer_appendf(out, "%s|", lines[i]);
        mem_free(lines[i]);
    }
    mem_free(lines);
}

// Takes the node's own line.
static void take_own_line(struct cluster_node *node, const struct nodes_text_node *line) {
    snprintf(node->id, sizeof node->id, "%s", line->id);
    snprintf(node->primary_id, sizeof node->primary_id, "%s",
             line->flags & NODES_TEXT_REPLICA ? line->primary : "");
    node->no_failover = line->flags & NODES_TEXT_NOFAILOVER;
    node->bus_port = line->bus_port;
    node->config_epoch = line->config_epoch;
    memset(node->slots, 0, sizeof node->slots);
    node->slot_count = 0;
    for (size_t i = 0; i < line->range_count; i++)
        for (unsigned slot = line->ranges[i].first; slot <= line->ranges[i].last; slot++) {
            bitset_set(node->slots, slot);
            node->slot_count++;
        }
    mem_free(node->moves);
    node->moves = mem_calloc(line->move_count + 1, sizeof *node->moves);
    if (line->move_count) memcpy(node->moves, line->moves, line->move_count * sizeof *node->moves);
    node->move_count = line->move_count;
}

// Asks the node for CLUSTER NODES and fills in what it says of itself; the whole goes to *text, to be freed.
static bool ask_view(struct cluster_node *node, struct nodes_text *text) {
    const struct reply *reply = CONNECTION_ASK(node->connection, "CLUSTER", "NODES");
    if (!connection_reply_is_fine(reply)) {
        cluster_node_say_error(node, reply);
        return false;
    }
    struct buffer error = BUFFER_EMPTY;
    if (!nodes_text_parse(reply->text, text, &error)) {
        cluster_log(TONE_BAD, "[ERR] Node %s:%u: bad reply to CLUSTER NODES: %s\n", node->host, node->port,
                    buffer_string(&error));
        buffer_free(&error);
        return false;
    }
    buffer_free(&error);
    describe_slots(&node->slots_as_seen, text);
    node->known_nodes = text->count;
    node->linked_nodes = 0;
    for (size_t i = 0; i < text->count; i++) {
        const struct nodes_text_node *line = &text->nodes[i];
        if (line->flags & NODES_TEXT_MYSELF) take_own_line(node, line);
        node->linked_nodes +=
            line->flags & NODES_TEXT_MYSELF || (line->link_up && !(line->flags & NODES_TEXT_HANDSHAKE));
    }
    return true;
}

enum { DOUBTFUL_NODE_TIMEOUT_MS = 3000 }; // to connect to a node that the first one does not reach

static struct connection *connect_to(const struct options *options, const char *host, uint16_t port,
                                     int timeout_ms) {
    struct endpoint where = {host, port, NULL};
    char error[CONNECTION_ERROR_ROOM];
    struct connection *connection = connection_open(&where, timeout_ms, error);
    if (!connection) {
        fprintf(stderr, "Could not connect to Redis at %s:%u: %s\n", host, port, error);
        return NULL;
    }
    const struct reply *refusal;
    if (login_try(connection, options, &refusal)) return connection;
    say_error_at(host, port, connection, refusal);
    connection_close(connection);
    return NULL;
}

static bool has_cluster_mode(const struct cluster_node *node) {
    const struct reply *reply = CONNECTION_ASK(node->connection, "INFO", "cluster");
    if (!connection_reply_is_fine(reply)) {
        if (reply)
            cluster_log(TONE_BAD, "[ERR] Node %s:%u %.*s\n", node->host, node->port, (int)reply->text.size,
                        reply->text.data);
        else
            cluster_node_say_error(node, reply);
        return false;
    }
    if (memmem(reply->text.data, reply->text.size, "cluster_enabled:1", 17)) return true;
    cluster_log(TONE_BAD, "[ERR] Node %s:%u is not configured as a cluster node.\n", node->host, node->port);
    return false;
}

// Only who knows the setting has more than one: an empty answer, or a refusal to tell, is that of a server
// with database 0 alone.
static unsigned ask_databases(const struct cluster_node *node) {
    int64_t count;
    const struct reply *reply = CONNECTION_ASK(node->connection, "CONFIG", "GET", "cluster-databases");
    bool told = reply && reply->type == REPLY_ARRAY && reply->count == 2 &&
                number_parse(reply->items[1].text, &count);
    return told && count > 0 && count <= UINT16_MAX ? (unsigned)count : 1;
}

static void free_node(struct cluster_node *node) {
    connection_close(node->connection);
    buffer_free(&node->slots_as_seen);
    mem_free(node->moves);
    mem_free(node->host);
}

// Appends a connected node. *text is what it knows.
static enum node_answer add_node(struct cluster_nodes *nodes, const char *host, uint16_t port, int timeout_ms,
                                 struct nodes_text *text) {
    struct connection *connection = connect_to(nodes->options, host, port, timeout_ms);
    if (!connection) return NODE_UNREACHABLE;
    nodes->items = mem_realloc(nodes->items, (nodes->count + 1) * sizeof *nodes->items);
    struct cluster_node *node = &nodes->items[nodes->count];
    *node = (struct cluster_node){.host = mem_strdup(host), .port = port, .connection = connection};
    if (has_cluster_mode(node) && ask_view(node, text)) {
        node->databases = ask_databases(node);
        nodes->count++;
        return NODE_ADDED;
    }
    free_node(node);
    return NODE_UNFIT;
}

static void count_replicas(struct cluster_nodes *nodes) {
    for (size_t i = 0; i < nodes->count; i++)
        nodes->items[i].replica_count = 0;
    for (size_t i = 0; i < nodes->count; i++) {
        struct cluster_node *primary = cluster_nodes_find(nodes, nodes->items[i].primary_id);
        if (!cluster_node_is_primary(&nodes->items[i]) && primary) primary->replica_count++;
    }
}

enum node_answer cluster_nodes_add(struct cluster_nodes *nodes, const struct options *options,
                                   const char *host, uint16_t port) {
    struct nodes_text text = {0};
    nodes->options = options;
    enum node_answer answer = add_node(nodes, host, port, options->connect_timeout_ms, &text);
    nodes_text_free(&text);
    return answer;
}

bool cluster_nodes_load(struct cluster_nodes *nodes, const struct options *options, const char *host,
                        uint16_t port) {
    const unsigned unusable = NODES_TEXT_MYSELF | NODES_TEXT_NOADDR | NODES_TEXT_HANDSHAKE;
    struct nodes_text known = {0};
    *nodes = (struct cluster_nodes){.options = options};
    if (add_node(nodes, host, port, options->connect_timeout_ms, &known) != NODE_ADDED) {
        nodes_text_free(&known);
        return false;
    }
    for (size_t i = 0; i < known.count; i++) {
        const struct nodes_text_node *line = &known.nodes[i];
        struct nodes_text ignored = {0};
        if (line->flags & unusable) continue;
        int timeout_ms = options->connect_timeout_ms;
        bool in_doubt = line->flags & (NODES_TEXT_FAIL | NODES_TEXT_PFAIL) || !line->link_up;
        if (in_doubt && timeout_ms < 0) timeout_ms = DOUBTFUL_NODE_TIMEOUT_MS;
        if (add_node(nodes, line->ip[0] ? line->ip : host, line->port, timeout_ms, &ignored) != NODE_ADDED)
            nodes->unreachable_primaries += !(line->flags & NODES_TEXT_REPLICA);
        nodes_text_free(&ignored);
    }
    nodes_text_free(&known);
    count_replicas(nodes);
    return true;
}

bool cluster_nodes_refresh(struct cluster_nodes *nodes) {
    for (size_t i = 0; i < nodes->count; i++) {
        struct nodes_text text = {0};
        bool good = ask_view(&nodes->items[i], &text);
        nodes_text_free(&text);
        if (!good) return false;
    }
    count_replicas(nodes);
    return true;
}

void cluster_nodes_free(struct cluster_nodes *nodes) {
    for (size_t i = 0; i < nodes->count; i++)
        free_node(&nodes->items[i]);
    mem_free(nodes->items);
    *nodes = (struct cluster_nodes){0};
}

bool cluster_nodes_agree(const struct cluster_nodes *nodes) {
    for (size_t i = 1; i < nodes->count; i++)
        if (!bytes_equal(buffer_bytes(&nodes->items[0].slots_as_seen),
                         buffer_bytes(&nodes->items[i].slots_as_seen)))
            return false;
    return true;
}

void cluster_slots_describe(struct buffer *out, const uint8_t *slots, char between) {
    size_t began = out->size;
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++) {
        if (!bitset_test(slots, slot)) continue;
        unsigned last = slot;
        while (last + 1 < HASH_SLOTS && bitset_test(slots, last + 1))
            last++;
        buffer_appendf(out, out->size > began ? ",[%u" : "[%u", slot);
        if (last > slot) buffer_appendf(out, "%c%u", between, last);
        buffer_append_byte(out, ']');
        slot = last;
    }
}

bool cluster_node_is_empty(const struct cluster_node *node) {
    bool empty = node->known_nodes == 1 && node->slot_count == 0 && cluster_node_total_keys(node) == 0;
    if (!empty)
        cluster_log(
            TONE_BAD,
            "[ERR] Node %s:%u is not empty. Either the node already knows other nodes (check with CLUSTER "
            "NODES) or contains some key in database 0.\n",
            node->host, node->port);
    return empty;
}

void cluster_node_print(const struct cluster_node *node, int indent) {
    bool primary = cluster_node_is_primary(node);
    struct buffer ranges = BUFFER_EMPTY;
    cluster_slots_describe(&ranges, node->slots, '-');
    printf("%*s%s: %s %s:%u\n", indent, "", primary ? "M" : "S", node->id, node->host, node->port);
    printf("%*s   slots:%s (%u slots) %s%s\n", indent, "", ranges.size ? buffer_string(&ranges) : "",
           node->slot_count, primary ? "master" : "slave", node->no_failover ? ",nofailover" : "");
    if (!primary) printf("%*s   replicates %s\n", indent, "", node->primary_id);
    if (node->replica_count) printf("%*s   %u additional replica(s)\n", indent, "", node->replica_count);
    buffer_free(&ranges);
}
