// --cluster fix: the open slots and those with several owners.
#include "cli/cluster_fix.h"

#include <stdio.h>
#include <string.h>

#include "base/bitset.h"
#include "base/memory.h"
#include "cli/cluster.h"
#include "cli/cluster_gather.h"
#include "cli/cluster_interrupt.h"
#include "cli/cluster_json.h"
#include "cli/cluster_log.h"
#include "cluster/plan.h"
#include "os/clock.h"

enum { AGREE_POLL_MS = 100, AGREE_GIVE_UP_MS = 5000 };

// The primaries and what they say of one slot, index by index.
struct repair {
    struct cluster_nodes *nodes;
    unsigned slot;
    struct cluster_node **primaries;
    struct plan_claim *claims;
    size_t count;
};

static size_t index_of(const struct repair *repair, const char *id) {
    for (size_t i = 0; i < repair->count; i++)
        if (strcmp(repair->primaries[i]->id, id) == 0) return i;
    return PLAN_NONE;
}

static void take_moves(struct repair *repair, size_t index) {
    const struct cluster_node *node = repair->primaries[index];
    struct plan_claim *claim = &repair->claims[index];
    for (size_t i = 0; i < node->move_count; i++) {
        if (node->moves[i].slot != repair->slot) continue;
        if (node->moves[i].importing) {
            claim->importing = true;
        } else {
            claim->migrating = true;
            claim->migrating_to = index_of(repair, node->moves[i].id);
        }
    }
}

// Asks the primaries. False when one does not tell how many keys it has.
static bool repair_begin(struct repair *repair, struct cluster_nodes *nodes, unsigned slot) {
    *repair = (struct repair){.nodes = nodes, .slot = slot};
    repair->primaries = mem_calloc(nodes->count, sizeof *repair->primaries);
    repair->claims = mem_calloc(nodes->count, sizeof *repair->claims);
    for (size_t i = 0; i < nodes->count; i++)
        if (cluster_node_is_primary(&nodes->items[i])) repair->primaries[repair->count++] = &nodes->items[i];
    for (size_t i = 0; i < repair->count; i++) {
        long long keys = cluster_node_count_keys(repair->primaries[i], slot);
        if (keys < 0) return false;
        repair->claims[i] = (struct plan_claim){.owner = bitset_test(repair->primaries[i]->slots, slot),
                                                .migrating_to = PLAN_NONE,
                                                .keys = (size_t)keys};
        take_moves(repair, i);
    }
    return true;
}

static void repair_end(struct repair *repair) {
    mem_free(repair->primaries);
    mem_free(repair->claims);
}

// "host:port,host:port" of those that are migrating, or importing.
static void append_names(struct buffer *out, const struct repair *repair, const struct plan_claim *claims,
                         bool importing) {
    for (size_t i = 0; i < repair->count; i++) {
        if (importing ? !claims[i].importing && !repair->claims[i].found : !claims[i].migrating) continue;
        buffer_appendf(out, "%s%s:%u", out->size ? "," : "", repair->primaries[i]->host,
                       repair->primaries[i]->port);
    }
}

static void say_state(const struct repair *repair, const struct plan_claim *before) {
    static const char *const names[] = {"migrating", "importing"};
    for (size_t i = 0; i < repair->count; i++)
        if (repair->claims[i].stray)
            cluster_log(TONE_WARNING, "*** Found keys about slot %u in non-owner node %s:%u!\n", repair->slot,
                        repair->primaries[i]->host, repair->primaries[i]->port);
    for (size_t i = 0; i < repair->count; i++)
        if (repair->claims[i].found)
            cluster_log(TONE_WARNING, "*** Found keys about slot %u in node %s:%u!\n", repair->slot,
                        repair->primaries[i]->host, repair->primaries[i]->port);
    for (int importing = 0; importing < 2; importing++) {
        struct buffer list = BUFFER_EMPTY;
        append_names(&list, repair, before, importing);
        if (list.size) printf("Set as %s in: %s\n", names[importing], buffer_string(&list));
        buffer_free(&list);
    }
    fflush(stdout);
}

// Opens the slot at a node that holds keys of it and has no state to say so: MIGRATE is for nodes that own
// the slot or have it open, and keys of an open slot are not dropped.
static bool import_from(const struct repair *repair, size_t index, size_t owner) {
    return cluster_slot_set(repair->primaries[index], repair->slot, "IMPORTING",
                            repair->primaries[owner]->id);
}

// Makes the elected one the owner. The others give up first: for a moment nobody answers for the slot, but no
// node hears that another one owns it while it could still drop its keys.
static bool install_owner(const struct repair *repair, size_t owner) {
    struct cluster_node *node = repair->primaries[owner];
    cluster_log(TONE_WARNING, "*** Configuring %s:%u as the slot owner\n", node->host, node->port);
    for (size_t i = 0; i < repair->count; i++) {
        const struct plan_claim *claim = &repair->claims[i];
        if (i == owner) continue;
        if (claim->yield && !cluster_slot_yield(repair->primaries[i], repair->slot, node)) return false;
        if (!claim->yield && claim->found && !import_from(repair, i, owner)) return false;
    }
    // MIGRATE at those that give their keys needs an owner to be known there.
    return cluster_slot_claim(node, repair->slot) &&
           cluster_slot_assign(repair->nodes, repair->slot, node, NULL);
}

static bool gather(const struct repair *repair, struct cluster_node *source, struct cluster_node *owner) {
    if (!cluster_gather_keys(repair->nodes->options, source, owner, repair->slot)) return false;
    cluster_log(TONE_STEP, ">>> Setting %u as STABLE in %s:%u\n", repair->slot, source->host, source->port);
    return cluster_slot_set(source, repair->slot, "STABLE", NULL);
}

static bool gather_all(const struct repair *repair, size_t owner) {
    struct cluster_node *node = repair->primaries[owner];
    cluster_log(TONE_STEP, ">>> Case 2: Moving all the %u slot keys to its owner %s:%u\n", repair->slot,
                node->host, node->port);
    // Those that have yielded come last.
    for (int yielded = 0; yielded < 2; yielded++)
        for (size_t i = 0; i < repair->count; i++) {
            const struct plan_claim *claim = &repair->claims[i];
            if (!claim->importing || i == owner || claim->yield != (bool)yielded) continue;
            if (claim->found && !claim->yield && !import_from(repair, i, owner)) return false;
            if (!gather(repair, repair->primaries[i], node)) return false;
        }
    return true;
}

static bool move(const struct repair *repair, const struct plan_fix *fix) {
    struct cluster_node *source = repair->primaries[fix->source], *target = repair->primaries[fix->target];
    cluster_log(TONE_STEP, ">>> Case %d: Moving slot %u from %s:%u to %s:%u%s\n",
                fix->what == PLAN_FIX_MOVE ? 1 : 3, repair->slot, source->host, source->port, target->host,
                target->port,
                fix->what == PLAN_FIX_MOVE ? "" : " and closing it on all the other importing nodes.");
    if (!cluster_slot_set(target, repair->slot, "IMPORTING", source->id) ||
        !cluster_slot_set(source, repair->slot, "MIGRATING", target->id) ||
        !cluster_gather_keys(repair->nodes->options, source, target, repair->slot) ||
        !cluster_slot_assign(repair->nodes, repair->slot, target, source))
        return false;
    bool good = true;
    for (size_t i = 0; i < repair->count; i++)
        if (repair->claims[i].importing && i != fix->target)
            good = cluster_slot_set(repair->primaries[i], repair->slot, "STABLE", NULL) && good;
    return good;
}

static bool give_up(const struct repair *repair, const struct plan_fix *fix) {
    struct buffer migrating = BUFFER_EMPTY, importing = BUFFER_EMPTY;
    append_names(&migrating, repair, repair->claims, false);
    append_names(&importing, repair, repair->claims, true);
    const struct cluster_node *owner = repair->primaries[fix->owner];
    cluster_log(
        TONE_BAD,
        "[ERR] Sorry, shoal-cli can't fix this slot yet. Slot is set as migrating in %s, as importing in %s, "
        "owner is %s:%u\n",
        buffer_string(&migrating), buffer_string(&importing), owner->host, owner->port);
    buffer_free(&migrating);
    buffer_free(&importing);
    return false;
}

static bool carry_out(const struct repair *repair, const struct plan_fix *fix) {
    if (fix->elected) {
        cluster_log(TONE_STEP,
                    ">>> No single clear owner for the slot, selecting an owner by # of keys...\n");
        if (!install_owner(repair, fix->owner)) return false;
    }
    switch (fix->what) {
    case PLAN_FIX_MOVE:
    case PLAN_FIX_MOVE_AND_CLOSE: return move(repair, fix);
    case PLAN_FIX_GATHER: return gather_all(repair, fix->owner);
    case PLAN_FIX_CLOSE: {
        const struct cluster_node *node = repair->primaries[fix->source];
        cluster_log(TONE_STEP, ">>> Case 4: Closing slot %u on %s:%u\n", repair->slot, node->host,
                    node->port);
        return cluster_slot_set(node, repair->slot, "STABLE", NULL);
    }
    case PLAN_FIX_NOTHING: return true;
    default: return give_up(repair, fix);
    }
}

static void send_fixed(const char *what, unsigned slot, bool good) {
    cJSON *event = cluster_json_begin(what);
    cJSON_AddNumberToObject(event, "slot", slot);
    cJSON_AddBoolToObject(event, "fixed", good);
    cluster_json_send(event);
}

static bool fix_slot(struct cluster_nodes *nodes, unsigned slot) {
    struct repair repair;
    cluster_log(TONE_STEP, ">>> Fixing open slot %u\n", slot);
    bool good = repair_begin(&repair, nodes, slot);
    if (good) {
        struct plan_claim *before = mem_calloc(repair.count, sizeof *before);
        memcpy(before, repair.claims, repair.count * sizeof *before);
        struct plan_fix fix = plan_fix_slot(repair.claims, repair.count);
        say_state(&repair, before);
        mem_free(before);
        good = carry_out(&repair, &fix);
    }
    repair_end(&repair);
    send_fixed("open", slot, good);
    return good;
}

bool cluster_fix_open(struct cluster_nodes *nodes, const struct cluster_health *health) {
    for (unsigned slot = 0; slot < HASH_SLOTS && !interrupt_noted(); slot++)
        if (bitset_test(health->open, slot) && !fix_slot(nodes, slot)) return false;
    return true;
}

// ---- Several owners ----

static size_t most_keys(const struct repair *repair) {
    size_t best = PLAN_NONE;
    for (size_t i = 0; i < repair->count; i++)
        if (repair->claims[i].owner &&
            (best == PLAN_NONE || repair->claims[i].keys > repair->claims[best].keys))
            best = i;
    return best;
}

static bool leave_to_one(const struct repair *repair) {
    size_t owner = most_keys(repair);
    struct cluster_node *node = repair->primaries[owner];
    cluster_log(TONE_STEP, ">>> Setting slot %u owner: %s:%u\n", repair->slot, node->host, node->port);
    for (size_t i = 0; i < repair->count; i++)
        if (i != owner && repair->claims[i].owner &&
            !cluster_slot_yield(repair->primaries[i], repair->slot, node))
            return false;
    if (!cluster_slot_claim(node, repair->slot) ||
        !cluster_slot_assign(repair->nodes, repair->slot, node, NULL))
        return false;
    for (size_t i = 0; i < repair->count; i++) {
        const struct plan_claim *claim = &repair->claims[i];
        if (i == owner || (!claim->owner && !claim->keys)) continue;
        struct cluster_node *source = repair->primaries[i];
        if (!claim->owner && !cluster_slot_set(source, repair->slot, "IMPORTING", node->id)) return false;
        if (claim->keys ? !gather(repair, source, node)
                        : !cluster_slot_set(source, repair->slot, "STABLE", NULL))
            return false;
    }
    return true;
}

bool cluster_fix_contested(struct cluster_nodes *nodes, const struct cluster_health *health) {
    for (unsigned slot = 0; slot < HASH_SLOTS && !interrupt_noted(); slot++) {
        struct repair repair;
        if (!bitset_test(health->contested, slot)) continue;
        cluster_check_say_owners(nodes, slot);
        cluster_log(TONE_STEP, ">>> Fixing multiple owners for slot %u...\n", slot);
        bool good = repair_begin(&repair, nodes, slot) && leave_to_one(&repair);
        repair_end(&repair);
        send_fixed("contested", slot, good);
        if (!good) return false;
    }
    return true;
}

// ---- The command ----

static bool fix_owners(struct cluster_nodes *nodes, struct cluster_health *health) {
    if (!nodes->options->cluster.search_multiple_owners) return true;
    cluster_check_find_contested(nodes, health);
    if (!cluster_fix_contested(nodes, health)) return false;
    cluster_log(TONE_GOOD, "[OK] No multiple owners found.\n");
    return true;
}

// The bus needs a moment to tell everybody who owns what now. Waits for that, so that what follows in a
// script finds a cluster that agrees; not for ever, and in silence, since a check would say so.
static void wait_for_agreement(struct cluster_nodes *nodes) {
    int64_t started = clock_mono_ms();
    while (cluster_nodes_refresh(nodes) && !cluster_nodes_agree(nodes) && !interrupt_noted() &&
           clock_mono_ms() - started < AGREE_GIVE_UP_MS)
        clock_sleep_us(AGREE_POLL_MS * 1000);
}

static bool fix(struct cluster_nodes *nodes) {
    struct cluster_health health = {0};
    if (!cluster_check_summary(nodes)) return false;
    cluster_check_head(nodes, true);
    bool quiet = cluster_check_agreement(nodes, &health); // nothing to wait for
    bool good = cluster_check_open(nodes, &health) || (quiet = false, cluster_fix_open(nodes, &health));
    if (interrupt_noted()) return false;
    good =
        (cluster_check_coverage(nodes, &health) || (quiet = false, cluster_fix_coverage(nodes, &health))) &&
        good;
    if (interrupt_noted()) return false;
    good = fix_owners(nodes, &health) && good;
    if (!quiet || cluster_slots_any(health.contested)) wait_for_agreement(nodes);
    cluster_check_send(nodes, &health, good);
    return good;
}

int cluster_fix(const struct options *options) {
    struct cluster_nodes nodes;
    if (!cluster_load(&nodes, options)) return 1;
    interrupt_watch();
    bool good = fix(&nodes);
    interrupt_unwatch();
    if (interrupt_noted())
        printf("Interrupted: what is fixed stays fixed. The same command goes on with the rest.\n");
    cluster_nodes_free(&nodes);
    return good && !interrupt_noted() ? 0 : 1;
}
