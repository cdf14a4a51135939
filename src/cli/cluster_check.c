// --cluster check and info.
#include <stdio.h>
#include <string.h>

#include "base/bitset.h"
#include "cli/cluster.h"
#include "cli/cluster_check.h"
#include "cli/cluster_json.h"
#include "cli/cluster_log.h"

static void send_keys(const struct cluster_node *node, long long keys) {
    cJSON *event = cluster_json_begin("keys");
    cJSON_AddStringToObject(event, "id", node->id);
    cJSON_AddNumberToObject(event, "keys", (double)keys);
    cJSON_AddNumberToObject(event, "slots", node->slot_count);
    cJSON_AddNumberToObject(event, "replicas", node->replica_count);
    cluster_json_send(event);
}

bool cluster_check_summary(const struct cluster_nodes *nodes) {
    long long keys = 0;
    unsigned primaries = 0;
    for (size_t i = 0; i < nodes->count; i++) {
        const struct cluster_node *node = &nodes->items[i];
        if (!cluster_node_is_primary(node)) continue;
        long long here = cluster_node_total_keys(node);
        if (here < 0) {
            cluster_log(TONE_BAD, "[ERR] Node %s:%u does not tell its DBSIZE.\n", node->host, node->port);
            return false;
        }
        printf("%s:%u (%.8s...) -> %lld keys | %u slots | %u slaves.\n", node->host, node->port, node->id,
               here, node->slot_count, node->replica_count);
        send_keys(node, here);
        keys += here;
        primaries++;
    }
    cluster_log(TONE_GOOD, "[OK] %lld keys in %u masters.\n", keys, primaries);
    printf("%.2f keys per slot on average.\n", (double)keys / HASH_SLOTS);
    return true;
}

void cluster_check_head(const struct cluster_nodes *nodes, bool list) {
    cluster_log(TONE_STEP, ">>> Performing Cluster Check (using node %s:%u)\n", nodes->items[0].host,
                nodes->items[0].port);
    for (size_t i = 0; list && i < nodes->count; i++)
        cluster_node_print(&nodes->items[i], 0);
}

bool cluster_check_agreement(const struct cluster_nodes *nodes, struct cluster_health *health) {
    health->agree = cluster_nodes_agree(nodes);
    if (health->agree) {
        cluster_log(TONE_GOOD, "[OK] All nodes agree about slots configuration.\n");
    } else {
        cluster_log(TONE_BAD, "[ERR] Nodes don't agree about configuration!\n");
        health->errors++;
    }
    return health->agree;
}

static void note_open(const struct cluster_node *node, bool importing, struct cluster_health *health) {
    struct buffer list = BUFFER_EMPTY;
    for (size_t i = 0; i < node->move_count; i++) {
        if (node->moves[i].importing != importing) continue;
        buffer_appendf(&list, list.size ? ",%u" : "%u", node->moves[i].slot);
        bitset_set(health->open, node->moves[i].slot);
    }
    if (list.size) {
        cluster_log(TONE_BAD, "[WARNING] Node %s:%u has slots in %s state %s.\n", node->host, node->port,
                    importing ? "importing" : "migrating", buffer_string(&list));
        health->errors++;
    }
    buffer_free(&list);
}

bool cluster_check_open(const struct cluster_nodes *nodes, struct cluster_health *health) {
    struct buffer list = BUFFER_EMPTY;
    memset(health->open, 0, sizeof health->open);
    cluster_log(TONE_STEP, ">>> Check for open slots...\n");
    for (size_t i = 0; i < nodes->count; i++) {
        note_open(&nodes->items[i], false, health);
        note_open(&nodes->items[i], true, health);
    }
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++)
        if (bitset_test(health->open, slot)) buffer_appendf(&list, list.size ? ",%u" : "%u", slot);
    bool good = !list.size;
    if (!good) cluster_log(TONE_BAD, "[WARNING] The following slots are open: %s.\n", buffer_string(&list));
    buffer_free(&list);
    return good;
}

static unsigned owners_of(const struct cluster_nodes *nodes, unsigned slot) {
    unsigned owners = 0;
    for (size_t i = 0; i < nodes->count; i++)
        owners += bitset_test(nodes->items[i].slots, slot);
    return owners;
}

bool cluster_check_coverage(const struct cluster_nodes *nodes, struct cluster_health *health) {
    cluster_log(TONE_STEP, ">>> Check slots coverage...\n");
    memset(health->uncovered, 0, sizeof health->uncovered);
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++)
        if (!owners_of(nodes, slot)) bitset_set(health->uncovered, slot);
    if (!cluster_slots_any(health->uncovered)) {
        cluster_log(TONE_GOOD, "[OK] All %d slots covered.\n", HASH_SLOTS);
        return true;
    }
    cluster_log(TONE_BAD, "[ERR] Not all %d slots are covered by nodes.\n\n", HASH_SLOTS);
    health->errors++;
    return false;
}

void cluster_check_find_contested(const struct cluster_nodes *nodes, struct cluster_health *health) {
    cluster_log(TONE_STEP, ">>> Check for multiple slot owners...\n");
    memset(health->contested, 0, sizeof health->contested);
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++)
        if (owners_of(nodes, slot) > 1) {
            bitset_set(health->contested, slot);
            health->errors++;
        }
}

void cluster_check_say_owners(const struct cluster_nodes *nodes, unsigned slot) {
    cluster_log(TONE_WARNING, "[WARNING] Slot %u has %u owners:\n", slot, owners_of(nodes, slot));
    for (size_t i = 0; i < nodes->count; i++)
        if (bitset_test(nodes->items[i].slots, slot))
            printf("    %s:%u\n", nodes->items[i].host, nodes->items[i].port);
}

static bool check_owners(const struct cluster_nodes *nodes, struct cluster_health *health) {
    cluster_check_find_contested(nodes, health);
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++)
        if (bitset_test(health->contested, slot)) cluster_check_say_owners(nodes, slot);
    if (cluster_slots_any(health->contested)) return false;
    cluster_log(TONE_GOOD, "[OK] No multiple owners found.\n");
    return true;
}

bool cluster_slots_any(const uint8_t *slots) {
    for (size_t i = 0; i < HASH_SLOTS / 8; i++)
        if (slots[i]) return true;
    return false;
}

// A set of slots as "[[0,5460],[7]]".
static void add_slots(cJSON *event, const char *name, const uint8_t *slots) {
    struct buffer text = BUFFER_EMPTY;
    buffer_append_byte(&text, '[');
    cluster_slots_describe(&text, slots, ',');
    buffer_append_byte(&text, ']');
    cJSON_AddRawToObject(event, name, buffer_string(&text));
    buffer_free(&text);
}

static void send_node(const struct cluster_node *node) {
    cJSON *event = cluster_json_begin("node");
    if (!event) return;
    cJSON_AddStringToObject(event, "id", node->id);
    cJSON_AddStringToObject(event, "host", node->host);
    cJSON_AddNumberToObject(event, "port", node->port);
    if (cluster_node_is_primary(node))
        cJSON_AddNullToObject(event, "replicates");
    else
        cJSON_AddStringToObject(event, "replicates", node->primary_id);
    add_slots(event, "slots", node->slots);
    cluster_json_send(event);
}

void cluster_check_send(const struct cluster_nodes *nodes, const struct cluster_health *health, bool good) {
    cJSON *event = cluster_json_begin("check");
    if (!event) return;
    for (size_t i = 0; i < nodes->count; i++)
        send_node(&nodes->items[i]);
    cJSON_AddBoolToObject(event, "good", good);
    cJSON_AddBoolToObject(event, "agree", health->agree);
    add_slots(event, "open", health->open);
    add_slots(event, "uncovered", health->uncovered);
    add_slots(event, "contested", health->contested);
    cluster_json_send(event);
}

bool cluster_check_nodes(const struct cluster_nodes *nodes, bool list, struct cluster_health *health) {
    *health = (struct cluster_health){0};
    cluster_check_head(nodes, list);
    bool good = cluster_check_agreement(nodes, health);
    good = cluster_check_open(nodes, health) && good;
    good = cluster_check_coverage(nodes, health) && good;
    if (nodes->options->cluster.search_multiple_owners) good = check_owners(nodes, health) && good;
    cluster_check_send(nodes, health, good);
    return good;
}

int cluster_check(const struct options *options) {
    struct cluster_nodes nodes;
    if (!cluster_load(&nodes, options)) return 1;
    struct cluster_health health;
    bool good = cluster_check_summary(&nodes) && cluster_check_nodes(&nodes, true, &health);
    cluster_nodes_free(&nodes);
    return good ? 0 : 1;
}

int cluster_info(const struct options *options) {
    struct cluster_nodes nodes;
    if (!cluster_load(&nodes, options)) return 1;
    bool good = cluster_check_summary(&nodes);
    cluster_nodes_free(&nodes);
    return good ? 0 : 1;
}
