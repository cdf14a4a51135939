// --cluster check and info.
#include <stdio.h>
#include <string.h>

#include "base/bitset.h"
#include "cli/cluster.h"
#include "cli/cluster_log.h"

// One line a primary and the sums. False when a primary does not tell how many keys it has.
static bool print_summary(const struct cluster_nodes *nodes) {
    long long keys = 0;
    unsigned primaries = 0;
    for (size_t i = 0; i < nodes->count; i++) {
        const struct cluster_node *node = &nodes->items[i];
        if (!cluster_node_is_primary(node)) continue;
        const struct reply *reply = CONNECTION_ASK(node->connection, "DBSIZE");
        if (!reply || reply->type != REPLY_INTEGER) {
            cluster_log(TONE_BAD, "[ERR] Node %s:%u does not tell its DBSIZE.\n", node->host, node->port);
            return false;
        }
        printf("%s:%u (%.8s...) -> %lld keys | %u slots | %u slaves.\n", node->host, node->port, node->id,
               (long long)reply->integer, node->slot_count, node->replica_count);
        keys += reply->integer;
        primaries++;
    }
    cluster_log(TONE_GOOD, "[OK] %lld keys in %u masters.\n", keys, primaries);
    printf("%.2f keys per slot on average.\n", (double)keys / HASH_SLOTS);
    return true;
}

static bool check_agreement(const struct cluster_nodes *nodes) {
    if (cluster_nodes_agree(nodes)) {
        cluster_log(TONE_GOOD, "[OK] All nodes agree about slots configuration.\n");
        return true;
    }
    cluster_log(TONE_BAD, "[ERR] Nodes don't agree about configuration!\n");
    return false;
}

static void note_slots(struct buffer *list, const struct cluster_node *node, bool importing, uint8_t *open) {
    list->size = 0;
    for (size_t i = 0; i < node->move_count; i++) {
        if (node->moves[i].importing != importing) continue;
        buffer_appendf(list, list->size ? ",%u" : "%u", node->moves[i].slot);
        bitset_set(open, node->moves[i].slot);
    }
    if (!list->size) return;
    cluster_log(TONE_BAD, "[WARNING] Node %s:%u has slots in %s state %s.\n", node->host, node->port,
                importing ? "importing" : "migrating", buffer_string(list));
}

static bool check_open_slots(const struct cluster_nodes *nodes) {
    uint8_t open[HASH_SLOTS / 8] = {0};
    struct buffer list = BUFFER_EMPTY;
    cluster_log(TONE_STEP, ">>> Check for open slots...\n");
    for (size_t i = 0; i < nodes->count; i++) {
        note_slots(&list, &nodes->items[i], false, open);
        note_slots(&list, &nodes->items[i], true, open);
    }
    list.size = 0;
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++)
        if (bitset_test(open, slot)) buffer_appendf(&list, list.size ? ",%u" : "%u", slot);
    bool good = !list.size;
    if (!good) cluster_log(TONE_BAD, "[WARNING] The following slots are open: %s.\n", buffer_string(&list));
    buffer_free(&list);
    return good;
}

static bool check_coverage(const struct cluster_nodes *nodes) {
    unsigned covered = 0;
    cluster_log(TONE_STEP, ">>> Check slots coverage...\n");
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++)
        for (size_t i = 0; i < nodes->count; i++)
            if (bitset_test(nodes->items[i].slots, slot)) {
                covered++;
                break;
            }
    if (covered == HASH_SLOTS) {
        cluster_log(TONE_GOOD, "[OK] All %d slots covered.\n", HASH_SLOTS);
        return true;
    }
    cluster_log(TONE_BAD, "[ERR] Not all %d slots are covered by nodes.\n\n", HASH_SLOTS);
    return false;
}

static bool check_owners(const struct cluster_nodes *nodes) {
    bool good = true;
    cluster_log(TONE_STEP, ">>> Check for multiple slot owners...\n");
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++) {
        unsigned owners = 0;
        for (size_t i = 0; i < nodes->count; i++)
            owners += bitset_test(nodes->items[i].slots, slot);
        if (owners < 2) continue;
        good = false;
        cluster_log(TONE_WARNING, "[WARNING] Slot %u has %u owners:\n", slot, owners);
        for (size_t i = 0; i < nodes->count; i++)
            if (bitset_test(nodes->items[i].slots, slot))
                printf("    %s:%u\n", nodes->items[i].host, nodes->items[i].port);
    }
    if (good) cluster_log(TONE_GOOD, "[OK] No multiple owners found.\n");
    return good;
}

bool cluster_check_nodes(const struct cluster_nodes *nodes) {
    cluster_log(TONE_STEP, ">>> Performing Cluster Check (using node %s:%u)\n", nodes->items[0].host,
                nodes->items[0].port);
    for (size_t i = 0; i < nodes->count; i++)
        cluster_node_print(&nodes->items[i], 0);
    bool good = check_agreement(nodes);
    good = check_open_slots(nodes) && good;
    good = check_coverage(nodes) && good;
    if (nodes->options->cluster.search_multiple_owners) good = check_owners(nodes) && good;
    return good;
}

int cluster_check(const struct options *options) {
    struct cluster_nodes nodes;
    int taken;
    if (!cluster_load_named(&nodes, options, &taken)) return 1;
    bool good = print_summary(&nodes) && cluster_check_nodes(&nodes);
    cluster_nodes_free(&nodes);
    return good ? 0 : 1;
}

int cluster_info(const struct options *options) {
    struct cluster_nodes nodes;
    int taken;
    if (!cluster_load_named(&nodes, options, &taken)) return 1;
    bool good = print_summary(&nodes);
    cluster_nodes_free(&nodes);
    return good ? 0 : 1;
}
