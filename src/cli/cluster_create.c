// --cluster create.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bitset.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "cli/cluster.h"
#include "cli/cluster_check.h"
#include "cli/cluster_join.h"
#include "cli/cluster_log.h"
#include "cli/terminal.h"
#include "cluster/plan.h"
#include "os/clock.h"
#include "resp/request.h"

enum { STATE_POLL_MS = 100, STATE_GIVE_UP_MS = 5000, ANSWER_ROOM = 64 };

struct creation {
    struct cluster_nodes nodes;
    struct plan_node *places; // of the nodes, index by index
};

static bool is_new(const struct cluster_nodes *nodes) {
    const struct cluster_node *last = &nodes->items[nodes->count - 1];
    for (size_t i = 0; i + 1 < nodes->count; i++) {
        if (strcmp(nodes->items[i].id, last->id) != 0) continue;
        cluster_log(TONE_BAD, "[ERR] Node %s:%u is named twice.\n", last->host, last->port);
        return false;
    }
    return true;
}

// Connects to all nodes that the command names, each of which must be alone and empty.
static bool collect_nodes(struct cluster_nodes *nodes, const struct options *options) {
    for (int i = 0; i < options->cluster.argument_count; i++) {
        const char *address = options->cluster.arguments[i];
        char *host;
        uint16_t port;
        if (!options_parse_address(address, &host, &port)) {
            fprintf(stderr, "Invalid address format: %s\n", address);
            return false;
        }
        bool good = cluster_nodes_add(nodes, options, host, port) == NODE_ADDED;
        mem_free(host);
        if (!good || !cluster_node_is_empty(&nodes->items[nodes->count - 1]) || !is_new(nodes)) return false;
    }
    return true;
}

static bool is_possible(const struct cluster_nodes *nodes, const struct options *options) {
    int replicas = options->cluster.replicas;
    if (replicas >= 0 && plan_primaries(nodes->count, (size_t)replicas) >= PLAN_PRIMARIES_MIN) return true;
    cluster_log(TONE_BAD,
                "*** ERROR: Invalid configuration for cluster creation.\n"
                "*** Redis Cluster requires at least %d master nodes.\n"
                "*** This is not possible with %zu nodes and %d replicas per node.",
                PLAN_PRIMARIES_MIN, nodes->count, replicas);
    cluster_log(TONE_BAD, "\n*** At least %d nodes are required.\n", PLAN_PRIMARIES_MIN * (replicas + 1));
    return false;
}

static void take_place(struct cluster_nodes *nodes, size_t index, const struct plan_node *place) {
    struct cluster_node *node = &nodes->items[index];
    if (!place->primary) {
        snprintf(node->primary_id, sizeof node->primary_id, "%s", nodes->items[place->replicates].id);
        return;
    }
    node->slot_count = (unsigned)place->last - place->first + 1;
    for (unsigned slot = place->first; slot <= place->last; slot++)
        bitset_set(node->slots, slot);
}

static void print_plan(const struct creation *creation) {
    const struct cluster_nodes *nodes = &creation->nodes;
    for (size_t i = 0; i < nodes->count; i++) {
        const struct cluster_node *node = &nodes->items[i];
        if (cluster_node_is_primary(node))
            cluster_node_print(node, 0);
        else
            printf("S: %s %s:%u\n   replicates %s\n", node->id, node->host, node->port, node->primary_id);
    }
}

// The node that is number `order` among the primaries or among the replicas; the count of nodes when there is
// none.
static size_t node_in_order(const struct creation *creation, bool primary, size_t order) {
    size_t i = 0;
    while (i < creation->nodes.count &&
           (creation->places[i].primary != primary || creation->places[i].order != order))
        i++;
    return i;
}

static void print_places(const struct creation *creation) {
    const struct cluster_nodes *nodes = &creation->nodes;
    bool extra = false;
    size_t at;
    for (size_t i = 0; (at = node_in_order(creation, true, i)) < nodes->count; i++)
        printf("Master[%zu] -> Slots %u - %u\n", i, creation->places[at].first, creation->places[at].last);
    for (size_t i = 0; (at = node_in_order(creation, false, i)) < nodes->count; i++) {
        const struct plan_node *place = &creation->places[at];
        const struct cluster_node *node = &nodes->items[at], *primary = &nodes->items[place->replicates];
        if (place->extra && !extra) printf("Adding extra replicas...\n");
        extra |= place->extra;
        printf("Adding replica %s:%u to %s:%u\n", node->host, node->port, primary->host, primary->port);
    }
}

static void spread_over_hosts(const struct creation *creation) {
    size_t count = creation->nodes.count, with_primary;
    if (plan_affinity_score(creation->places, count, NULL) == 0) return;
    cluster_log(TONE_STEP, ">>> Trying to optimize slaves allocation for anti-affinity\n");
    if (plan_optimise(creation->places, count) == 0) {
        cluster_log(TONE_GOOD, "[OK] Perfect anti-affinity obtained!\n");
        return;
    }
    plan_affinity_score(creation->places, count, &with_primary);
    cluster_log(TONE_WARNING, with_primary
                                  ? "[WARNING] Some slaves are in the same host as their master\n"
                                  : "[WARNING] Some slaves of the same master are in the same host\n");
}

static bool plan(struct creation *creation, const struct options *options) {
    struct cluster_nodes *nodes = &creation->nodes;
    creation->places = mem_calloc(nodes->count, sizeof *creation->places);
    for (size_t i = 0; i < nodes->count; i++)
        creation->places[i] = (struct plan_node){.host = nodes->items[i].host, .replicates = PLAN_NONE};
    cluster_log(TONE_STEP, ">>> Performing hash slots allocation on %zu nodes...\n", nodes->count);
    if (!plan_create(creation->places, nodes->count, (size_t)options->cluster.replicas)) return false;
    for (size_t i = 0; i < nodes->count; i++)
        if (!creation->places[i].primary && creation->places[i].replicates == PLAN_NONE) {
            cluster_log(TONE_BAD,
                        "[ERR] Node %s:%u would be left over: name fewer nodes or ask for other replicas.\n",
                        nodes->items[i].host, nodes->items[i].port);
            return false;
        }
    print_places(creation);
    spread_over_hosts(creation);
    for (size_t i = 0; i < nodes->count; i++)
        take_place(nodes, i, &creation->places[i]);
    print_plan(creation);
    return true;
}

static bool is_accepted(const struct options *options) {
    char answer[ANSWER_ROOM];
    if (options->cluster.yes) return true;
    return terminal_ask("Can I set the above configuration? (type 'yes' to accept): ", answer,
                        sizeof answer) &&
           strcmp(answer, "yes") == 0;
}

static bool give_slots(const struct creation *creation) {
    for (size_t i = 0; i < creation->nodes.count; i++) {
        const struct cluster_node *node = &creation->nodes.items[i];
        if (!cluster_node_is_primary(node)) continue;
        struct buffer *queue = connection_queue(node->connection);
        request_begin(queue, 2 + node->slot_count);
        request_string(queue, "CLUSTER");
        request_string(queue, "ADDSLOTS");
        for (unsigned slot = creation->places[i].first; slot <= creation->places[i].last; slot++)
            request_integer(queue, slot);
        const struct reply *reply = connection_read(node->connection);
        if (connection_reply_is_fine(reply)) continue;
        cluster_node_say_error(node, reply);
        return false;
    }
    cluster_log(TONE_STEP, ">>> Nodes configuration updated\n");
    return true;
}

// Distinct epochs from the start save the nodes the work of resolving collisions. A node that has one keeps
// it.
static void assign_epochs(const struct cluster_nodes *nodes) {
    cluster_log(TONE_STEP, ">>> Assign a different config epoch to each node\n");
    for (size_t i = 0; i < nodes->count; i++) {
        char epoch[NUMBER_TEXT_MAX];
        number_format(epoch, (int64_t)i + 1);
        CONNECTION_ASK(nodes->items[i].connection, "CLUSTER", "SET-CONFIG-EPOCH", epoch);
    }
}

static bool introduce(const struct cluster_nodes *nodes) {
    cluster_log(TONE_STEP, ">>> Sending CLUSTER MEET messages to join the cluster\n");
    for (size_t i = 1; i < nodes->count; i++)
        if (!cluster_join_meet(&nodes->items[i], &nodes->items[0])) return false;
    return true;
}

// Tells the replicas whom to copy.
static bool attach_replicas(const struct creation *creation) {
    const struct cluster_nodes *nodes = &creation->nodes;
    for (size_t i = 0; i < nodes->count; i++) {
        if (creation->places[i].primary) continue;
        if (!cluster_join_replicate(&nodes->items[i], nodes->items[creation->places[i].replicates].id))
            return false;
    }
    return true;
}

// Nodes take writes a moment after they have joined. Waits for that, so that what follows a creation in a
// script works; not for ever, and in silence, since the check that follows says what is wrong.
static void wait_for_state(const struct cluster_nodes *nodes) {
    static const char good[] = "cluster_state:ok";
    int64_t started = clock_mono_ms();
    for (size_t i = 0; i < nodes->count && clock_mono_ms() - started < STATE_GIVE_UP_MS;) {
        const struct reply *reply = CONNECTION_ASK(nodes->items[i].connection, "CLUSTER", "INFO");
        if (!reply || memmem(reply->text.data, reply->text.size, good, sizeof good - 1))
            i++;
        else
            clock_sleep_us(STATE_POLL_MS * 1000);
    }
}

static int create(struct creation *creation, const struct options *options) {
    struct cluster_nodes *nodes = &creation->nodes;
    if (!collect_nodes(nodes, options) || !is_possible(nodes, options)) return 1;
    if (!plan(creation, options)) return 1;
    if (!is_accepted(options)) return 0;
    if (!give_slots(creation)) return 1;
    assign_epochs(nodes);
    if (!introduce(nodes) || !cluster_join_wait(nodes, true) || !attach_replicas(creation)) return 1;
    wait_for_state(nodes);
    struct cluster_nodes checked;
    if (!cluster_nodes_load(&checked, options, nodes->items[0].host, nodes->items[0].port)) return 1;
    struct cluster_health health;
    bool good = cluster_check_nodes(&checked, true, &health);
    cluster_nodes_free(&checked);
    return good ? 0 : 1;
}

int cluster_create(const struct options *options) {
    struct creation creation = {0};
    int status = create(&creation, options);
    cluster_nodes_free(&creation.nodes);
    mem_free(creation.places);
    return status;
}
