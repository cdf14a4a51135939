// --cluster fix: slots that nobody owns.
#include <stdio.h>
#include <string.h>

#include "base/bitset.h"
#include "base/memory.h"
#include "cli/cluster_fix.h"
#include "cli/cluster_gather.h"
#include "cli/cluster_interrupt.h"
#include "cli/cluster_log.h"
#include "cli/terminal.h"
#include "cluster/plan.h"

enum { ANSWER_ROOM = 64 };

// The uncovered slots by how many primaries hold keys of them.
struct cover {
    struct cluster_nodes *nodes;
    uint8_t none[HASH_SLOTS / 8], one[HASH_SLOTS / 8], several[HASH_SLOTS / 8];
    uint16_t slots[HASH_SLOTS]; // all of them
    size_t slot_count;
    size_t *keys; // keys[node * slot_count + i]: of slots[i]
};

static bool count_keys(struct cover *cover, size_t index) {
    return cluster_node_add_keys(&cover->nodes->items[index], cover->slots, cover->slot_count,
                                 cover->keys + index * cover->slot_count);
}

static bool look(struct cover *cover, const struct cluster_health *health) {
    struct cluster_nodes *nodes = cover->nodes;
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++)
        if (bitset_test(health->uncovered, slot)) cover->slots[cover->slot_count++] = (uint16_t)slot;
    cover->keys = mem_calloc(nodes->count * cover->slot_count + 1, sizeof *cover->keys);
    for (size_t i = 0; i < nodes->count; i++)
        if (cluster_node_is_primary(&nodes->items[i]) && !count_keys(cover, i)) return false;
    for (size_t i = 0; i < cover->slot_count; i++) {
        size_t holders = 0;
        for (size_t node = 0; node < nodes->count; node++)
            holders += cover->keys[node * cover->slot_count + i] > 0;
        bitset_set(holders == 0 ? cover->none : holders == 1 ? cover->one : cover->several, cover->slots[i]);
    }
    return true;
}

static bool is_accepted(const uint8_t *slots, const char *what, const char *question) {
    char answer[ANSWER_ROOM], prompt[ANSWER_ROOM * 2];
    struct buffer list = BUFFER_EMPTY;
    cluster_slots_describe(&list, slots, '-');
    printf("The following uncovered slots have %s:\n%s\n", what, buffer_string(&list));
    buffer_free(&list);
    snprintf(prompt, sizeof prompt, "Fix these slots by %s? (type 'yes' to accept): ", question);
    return terminal_ask(prompt, answer, sizeof answer) && strcmp(answer, "yes") == 0;
}

// Gives slots[i] to the node with index owners[i], node by node.
static bool claim_all(const struct cover *cover, const uint16_t *slots, const size_t *owners, size_t count) {
    struct cluster_nodes *nodes = cover->nodes;
    uint16_t *own = mem_calloc(count + 1, sizeof *own);
    bool good = true;
    for (size_t i = 0; i < count; i++)
        cluster_log(TONE_STEP, ">>> Covering slot %u with %s:%u\n", slots[i], nodes->items[owners[i]].host,
                    nodes->items[owners[i]].port);
    for (size_t node = 0; good && node < nodes->count && !interrupt_noted(); node++) {
        size_t taken = 0;
        for (size_t i = 0; i < count; i++)
            if (owners[i] == node) own[taken++] = slots[i];
        good = cluster_slots_claim(&nodes->items[node], own, taken);
    }
    mem_free(own);
    return good;
}

// Those without a key: to the primaries that own the fewest slots.
static bool cover_none(const struct cover *cover) {
    struct cluster_nodes *nodes = cover->nodes;
    size_t *indices = mem_calloc(nodes->count + 1, sizeof *indices),
           *loads = mem_calloc(nodes->count + 1, sizeof *loads);
    size_t *owners = mem_calloc(cover->slot_count + 1, sizeof *owners), primaries = 0, wanted = 0;
    uint16_t *slots = mem_calloc(cover->slot_count + 1, sizeof *slots);
    for (size_t i = 0; i < nodes->count; i++) {
        if (!cluster_node_is_primary(&nodes->items[i])) continue;
        indices[primaries] = i;
        loads[primaries++] = nodes->items[i].slot_count;
    }
    for (size_t i = 0; i < cover->slot_count; i++)
        if (bitset_test(cover->none, cover->slots[i])) slots[wanted++] = cover->slots[i];
    bool good = primaries > 0;
    if (good) {
        plan_cover(loads, primaries, wanted, owners);
        for (size_t i = 0; i < wanted; i++)
            owners[i] = indices[owners[i]];
        good = claim_all(cover, slots, owners, wanted);
    }
    mem_free(indices);
    mem_free(loads);
    mem_free(owners);
    mem_free(slots);
    return good;
}

// The index of the node with the most keys of the index-th slot.
static size_t most_keys(const struct cover *cover, size_t index) {
    size_t best = 0;
    for (size_t node = 1; node < cover->nodes->count; node++)
        if (cover->keys[node * cover->slot_count + index] > cover->keys[best * cover->slot_count + index])
            best = node;
    return best;
}

static bool cover_one(const struct cover *cover) {
    size_t *owners = mem_calloc(cover->slot_count + 1, sizeof *owners), count = 0;
    uint16_t *slots = mem_calloc(cover->slot_count + 1, sizeof *slots);
    for (size_t i = 0; i < cover->slot_count; i++) {
        if (!bitset_test(cover->one, cover->slots[i])) continue;
        owners[count] = most_keys(cover, i);
        slots[count++] = cover->slots[i];
    }
    bool good = claim_all(cover, slots, owners, count);
    mem_free(owners);
    mem_free(slots);
    return good;
}

// The one with the most keys gets the slot and the others' keys. The others import before anybody owns it, so
// that they keep their keys when they hear of an owner.
static bool collect(const struct cover *cover, size_t index) {
    struct cluster_nodes *nodes = cover->nodes;
    struct cluster_node *owner = &nodes->items[most_keys(cover, index)];
    unsigned slot = cover->slots[index];
    cluster_log(TONE_STEP, ">>> Covering slot %u moving keys to %s:%u\n", slot, owner->host, owner->port);
    for (size_t i = 0; i < nodes->count; i++)
        if (&nodes->items[i] != owner && cover->keys[i * cover->slot_count + index] &&
            !cluster_slot_set(&nodes->items[i], slot, "IMPORTING", owner->id))
            return false;
    if (!cluster_slot_claim(owner, slot) || !cluster_slot_assign(nodes, slot, owner, NULL)) return false;
    for (size_t i = 0; i < nodes->count; i++) {
        if (&nodes->items[i] == owner || !cover->keys[i * cover->slot_count + index]) continue;
        if (!cluster_gather_keys(nodes->options, &nodes->items[i], owner, slot) ||
            !cluster_slot_set(&nodes->items[i], slot, "STABLE", NULL))
            return false;
    }
    return true;
}

static bool cover_several(const struct cover *cover) {
    for (size_t i = 0; i < cover->slot_count && !interrupt_noted(); i++)
        if (bitset_test(cover->several, cover->slots[i]) && !collect(cover, i)) return false;
    return true;
}

// Asks about each kind of slot, also after a no; an order that fails ends it.
static bool cover_all(const struct cover *cover) {
    static const struct {
        const char *what, *question;
        bool (*carry_out)(const struct cover *);
    } kinds[] = {
        {"no keys across the cluster", "covering with a random node", cover_none},
        {"keys in just one node", "covering with those nodes", cover_one},
        {"keys in multiple nodes", "moving keys into a single node", cover_several},
    };
    const uint8_t *const slots[] = {cover->none, cover->one, cover->several};
    bool all = true;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!cluster_slots_any(slots[i])) continue;
        bool accepted = is_accepted(slots[i], kinds[i].what, kinds[i].question);
        if (accepted && !kinds[i].carry_out(cover)) return false;
        all = all && accepted;
    }
    return all;
}

bool cluster_fix_coverage(struct cluster_nodes *nodes, const struct cluster_health *health) {
    if (nodes->unreachable_primaries && !nodes->options->cluster.fix_with_unreachable_masters) {
        cluster_log(
            TONE_WARNING,
            "*** Fixing slots coverage with %zu unreachable masters is dangerous: redis-cli will assume that "
            "slots about masters that are not reachable are not covered, and will try to reassign them to "
            "the reachable nodes. This can cause data loss and is rarely what you want to do. If you really "
            "want to proceed use the --cluster-fix-with-unreachable-masters option.\n",
            nodes->unreachable_primaries);
        return false;
    }
    struct cover *cover = mem_calloc(1, sizeof *cover);
    cover->nodes = nodes;
    cluster_log(TONE_STEP, ">>> Fixing slots coverage...\n");
    bool good = look(cover, health) && cover_all(cover);
    mem_free(cover->keys);
    mem_free(cover);
    return good;
}
