// --cluster backup: an RDB file of each primary, and nodes.json.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/cluster.h"
#include "cli/cluster_bar.h"
#include "cli/cluster_check.h"
#include "cli/cluster_interrupt.h"
#include "cli/cluster_json.h"
#include "cli/cluster_log.h"
#include "os/file.h"
#include "os/socket.h"

enum { STEP = 64 * 1024, HEAD_MAX = 256 };

// ---- RDB files ----

// Says that the node's stream broke off; `error`: of errno, 0 when the node closed it.
static void say_lost(const struct cluster_node *node, int error) {
    fprintf(stderr, "Transfer from %s:%u failed: %s\n", node->host, node->port,
            error ? strerror(error) : "the server closed the connection");
}

// Asks for a full copy of the data and reads the line that says how long it is. Empty lines come while the
// node prepares it. False with the reason said.
static bool ask_for_copy(const struct cluster_node *node, uint64_t *size) {
    int fd = connection_fd(node->connection);
    char line[HEAD_MAX];
    size_t length = 0;
    // Only the file is wanted: a server that knows this sends no stream after it.
    CONNECTION_ASK(node->connection, "REPLCONF", "rdb-only", "1");
    if (socket_write_all(fd, "SYNC\r\n", 6) != 0) return say_lost(node, 0), false;
    for (;;) {
        char byte;
        ssize_t got = socket_read(fd, &byte, 1);
        if (got <= 0) return say_lost(node, (int)-got), false;
        if (byte == '\n' && length > 0) break;
        if (byte == '\n' || byte == '\r') continue;
        if (length + 1 < sizeof line) line[length++] = byte;
    }
    line[length] = '\0';
    char *end;
    *size = strtoull(line + 1, &end, 10);
    if (line[0] == '$' && end != line + 1 && *end == '\0') return true;
    fprintf(stderr, "SYNC with %s:%u failed: %s\n", node->host, node->port, line);
    return false;
}

static bool copy_bytes(const struct cluster_node *node, int file, uint64_t size) {
    char *room = mem_alloc(STEP);
    struct bar bar;
    bool good = true;
    bar_begin(&bar, "bytes", size);
    for (uint64_t done = 0; good && done < size && !interrupt_noted();) {
        size_t wanted = size - done < STEP ? (size_t)(size - done) : STEP;
        ssize_t got = socket_read(connection_fd(node->connection), room, wanted);
        int written = got > 0 ? file_write_all(file, room, (size_t)got) : 0;
        if (got <= 0) say_lost(node, (int)-got);
        if (written != 0) fprintf(stderr, "Error writing: %s\n", strerror(-written));
        good = got > 0 && written == 0;
        if (good) done += (uint64_t)got;
        bar_show(&bar, (double)done / (double)size, done, "", done == size);
    }
    bar_end(&bar);
    mem_free(room);
    return good && !interrupt_noted();
}

static void send_file(const struct cluster_node *node, const char *path, uint64_t size) {
    cJSON *event = cluster_json_begin("file");
    cJSON_AddStringToObject(event, "id", node->id);
    cJSON_AddStringToObject(event, "path", path);
    cJSON_AddNumberToObject(event, "bytes", (double)size);
    cluster_json_send(event);
}

// A file that is there is whole: one that was begun and not ended is removed.
static bool save(const struct cluster_node *node, const char *path) {
    uint64_t size;
    cluster_log(TONE_STEP, ">>> Node %s:%u -> Saving RDB...\n", node->host, node->port);
    if (!ask_for_copy(node, &size)) return false;
    fprintf(stderr, "SYNC sent to master, writing %llu bytes to '%s'\n", (unsigned long long)size, path);
    int file = file_create(path);
    if (file < 0) {
        fprintf(stderr, "Error opening '%s': %s\n", path, strerror(-file));
        return false;
    }
    bool good = copy_bytes(node, file, size);
    if (good) good = file_sync(file) == 0;
    file_close(file);
    if (!good) {
        file_remove(path);
        return false;
    }
    fprintf(stderr, "Transfer finished with success.\n");
    send_file(node, path, size);
    return true;
}

// "directory/name"
static void join_path(struct buffer *out, const char *directory, const char *name) {
    size_t size = strlen(directory);
    out->size = 0;
    buffer_appendf(out, "%s%s%s", directory, size && directory[size - 1] == '/' ? "" : "/", name);
}

static bool save_all(const struct cluster_nodes *nodes, const char *directory) {
    struct buffer path = BUFFER_EMPTY, name = BUFFER_EMPTY;
    bool good = true;
    for (size_t i = 0; good && i < nodes->count && !interrupt_noted(); i++) {
        const struct cluster_node *node = &nodes->items[i];
        if (!cluster_node_is_primary(node)) continue;
        name.size = 0;
        buffer_appendf(&name, "redis-node-%s-%u-%s.rdb", node->host, node->port, node->id);
        join_path(&path, directory, buffer_string(&name));
        good = save(node, buffer_string(&path));
    }
    buffer_free(&name);
    buffer_free(&path);
    return good && !interrupt_noted();
}

// ---- nodes.json ----

static void append_moves(struct buffer *out, const struct cluster_node *node, bool importing) {
    size_t count = 0;
    for (size_t i = 0; i < node->move_count; i++) {
        const struct nodes_text_move *move = &node->moves[i];
        if (move->importing != importing) continue;
        if (!count++) buffer_appendf(out, ",\n    \"%s\": {", importing ? "importing" : "migrating");
        buffer_appendf(out, "%s\"%u\": \"%s\"", count > 1 ? "," : "", move->slot, move->id);
    }
    if (count) buffer_append_byte(out, '}');
}

static void append_node(struct buffer *out, const struct cluster_node *node, unsigned errors) {
    bool primary = cluster_node_is_primary(node);
    buffer_appendf(out, "  {\n    \"name\": \"%s\",\n    \"host\": \"%s\",\n    \"port\": %u,\n", node->id,
                   node->host, node->port);
    buffer_appendf(out, primary ? "    \"replicate\": null,\n" : "    \"replicate\": \"%s\",\n",
                   node->primary_id);
    buffer_append_string(out, "    \"slots\": [");
    cluster_slots_describe(out, node->slots, ',');
    buffer_appendf(out, "],\n    \"slots_count\": %u,\n    \"flags\": \"%s\",\n    \"current_epoch\": %llu",
                   node->slot_count, primary ? "master" : "slave", (unsigned long long)node->config_epoch);
    if (errors) buffer_appendf(out, ",\n    \"cluster_errors\": %u", errors);
    append_moves(out, node, false);
    append_moves(out, node, true);
    buffer_append_string(out, "\n  }");
}

static bool save_nodes(const struct cluster_nodes *nodes, const char *directory, unsigned errors) {
    struct buffer text = BUFFER_EMPTY, path = BUFFER_EMPTY;
    join_path(&path, directory, "nodes.json");
    cluster_log(TONE_STEP, "Saving cluster configuration to: %s\n", buffer_string(&path));
    buffer_append_string(&text, "[\n");
    for (size_t i = 0; i < nodes->count; i++) {
        if (i) buffer_append_string(&text, ",\n");
        append_node(&text, &nodes->items[i], errors);
    }
    buffer_append_string(&text, "\n]");
    int result = file_replace(buffer_string(&path), buffer_bytes(&text));
    if (result != 0)
        cluster_log(TONE_BAD, "[ERR] Error saving '%s': %s\n", buffer_string(&path), strerror(-result));
    buffer_free(&text);
    buffer_free(&path);
    return result == 0;
}

int cluster_backup(const struct options *options) {
    const char *directory = options->cluster.arguments[1];
    struct cluster_nodes nodes;
    struct cluster_health health;
    if (!cluster_load_address(&nodes, options, 0)) return 1;
    // A cluster in trouble is worth a backup as well.
    bool healthy = cluster_check_nodes(&nodes, true, &health);
    interrupt_watch();
    bool good = save_all(&nodes, directory) && save_nodes(&nodes, directory, health.errors);
    interrupt_unwatch();
    if (interrupt_noted())
        printf("Interrupted: the files that are there are whole. Run the command again for the others.\n");
    if (good && !healthy)
        cluster_log(TONE_WARNING,
                    "*** Cluster seems to have some problems, please be aware of it if you're going to "
                    "restore this backup.\n");
    if (good) cluster_log(TONE_GOOD, "[OK] Backup created into: %s\n", directory);
    cluster_nodes_free(&nodes);
    return good ? 0 : 1;
}
