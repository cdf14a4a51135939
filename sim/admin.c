#include "sim/admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bitset.h"
#include "base/memory.h"

enum {
    WORDS_MAX = 200,
    TRIES_MAX = 20,            // nodes looked at until one fits
    MOVED_SLOTS_MAX = 8,       // of one reshard
    MOVE_KEYS_MAX_MS = 300,    // moving the keys of a slot takes up to
    MEET_AGAIN_MAX_MS = 20000, // a forgotten replica is met again after the blacklist and up to this
    STEP_PAUSE_MAX_MS = 100,   // an administrator's tool waits up to this between two orders
    REPAIRED_SLOTS_MAX = 64,   // closed by one admin_repair at each node
};

static uint32_t pick(struct sim *sim) {
    return (uint32_t)prng_below(&sim->world.prng, sim->count);
}

static struct node *pick_living(struct sim *sim, bool primary) {
    for (int i = 0; i < TRIES_MAX; i++) {
        struct node *node = &sim->nodes[pick(sim)];
        if (node->core && node->is_primary == primary) return node;
    }
    return NULL;
}

bool admin_failover(struct sim *sim, const char *how) {
    struct node *node = pick_living(sim, false);
    if (!node) return false;
    char words[WORDS_MAX];
    snprintf(words, sizeof words, how[0] ? "FAILOVER %s" : "FAILOVER", how);
    node_order(node, words, NULL, NULL);
    return true;
}

bool admin_replicate(struct sim *sim) {
    struct node *node = pick_living(sim, false), *primary = pick_living(sim, true);
    if (!node || !primary) return false;
    char words[WORDS_MAX];
    snprintf(words, sizeof words, "REPLICATE %s", primary->id);
    node_order(node, words, NULL, NULL);
    return true;
}

// -- moving slots
// ----------------------------------------------------------------------------------------------------

enum move_step { MOVE_IMPORTING, MOVE_MIGRATING, MOVE_KEYS, MOVE_NODE_TO, MOVE_NODE_FROM, MOVE_DONE };

struct move {
    struct sim *sim;
    enum move_step step;
    uint32_t from, to;
    uint32_t from_life, to_life;
    uint32_t slot, last_slot;
};

static event_handler move_goes_on;

static void move_ended(struct move *move) {
    mem_free(move);
}

static void move_answered(void *context, struct node *node, bool ok, const char *text) {
    struct move *move = context;
    if (!ok || move->sim->over) {
        sim_say(move->sim, "the move of slot %u stops: n%u says %s", move->slot, node->index, text);
        move_ended(move);
        return;
    }
    move->step++;
    struct world *world = &move->sim->world;
    uint64_t most = move->step == MOVE_KEYS ? MOVE_KEYS_MAX_MS : STEP_PAUSE_MAX_MS;
    world_plan(world, world->now + world_between(world, 0, most * MICROSECONDS_PER_MS), move_goes_on, move,
               NULL, 0);
}

static bool move_keys(struct move *move) {
    struct node *from = &move->sim->nodes[move->from], *to = &move->sim->nodes[move->to];
    const struct network *network = &move->sim->network;
    if (!node_awake(from) || !node_awake(to) || from->lives != move->from_life || to->lives != move->to_life)
        return false;
    if (network_blocked(network, move->from, move->to) || network_blocked(network, move->to, move->from))
        return false;
    if (!bitset_test(from->keys, move->slot)) return true;
    bitset_clear(from->keys, move->slot);
    bitset_set(to->keys, move->slot);
    return true;
}

static void order_step(struct move *move, uint32_t at, const char *how, uint32_t other) {
    char words[WORDS_MAX];
    snprintf(words, sizeof words, "SETSLOT %u %s %s", move->slot, how, move->sim->nodes[other].id);
    node_order(&move->sim->nodes[at], words, move_answered, move);
}

static void move_goes_on(struct event *event) {
    struct move *move = event->subject;
    if (move->sim->over) {
        move_ended(move);
        return;
    }
    switch (move->step) {
    case MOVE_IMPORTING: order_step(move, move->to, "IMPORTING", move->from); break;
    case MOVE_MIGRATING: order_step(move, move->from, "MIGRATING", move->to); break;
    case MOVE_KEYS:
        move_answered(move, &move->sim->nodes[move->from], move_keys(move), "no connection");
        break;
    case MOVE_NODE_TO: order_step(move, move->to, "NODE", move->to); break;
    case MOVE_NODE_FROM: order_step(move, move->from, "NODE", move->to); break;
    case MOVE_DONE:
        if (move->slot == move->last_slot) {
            move_ended(move);
            break;
        }
        move->slot++;
        move->step = MOVE_IMPORTING;
        move_goes_on(event);
        break;
    }
}

static void move_slots(struct sim *sim, uint32_t from, uint32_t to, uint32_t first, uint32_t last) {
    struct move *move = mem_alloc(sizeof *move);
    *move = (struct move){sim, MOVE_IMPORTING, from, to, sim->nodes[from].lives, sim->nodes[to].lives, first,
                          last};
    world_plan(&sim->world, sim->world.now, move_goes_on, move, NULL, 0);
}

void admin_move_slot(struct sim *sim, uint32_t from, uint32_t to, uint32_t slot) {
    move_slots(sim, from, to, slot, slot);
}

// A run of slots that the node believes to own, from a random place on.
static bool find_slots(struct sim *sim, struct node *node, uint32_t *first, uint32_t *last) {
    struct cluster_view_node myself;
    cluster_view_myself(node->core, &myself);
    const uint16_t *owners = cluster_view_owners(node->core);
    uint32_t start = (uint32_t)prng_below(&sim->world.prng, CLUSTER_SLOTS);
    uint32_t wanted = (uint32_t)world_between(&sim->world, 1, MOVED_SLOTS_MAX);
    for (uint32_t i = 0; i < CLUSTER_SLOTS; i++) {
        uint32_t slot = (start + i) % CLUSTER_SLOTS;
        if (owners[slot] != myself.index) continue;
        *first = *last = slot;
        while (*last + 1 < CLUSTER_SLOTS && *last + 1 - *first < wanted && owners[*last + 1] == myself.index)
            ++*last;
        return true;
    }
    return false;
}

bool admin_reshard(struct sim *sim) {
    struct node *from = pick_living(sim, true), *to = pick_living(sim, true);
    uint32_t first, last;
    if (!from || !to || from == to || !find_slots(sim, from, &first, &last)) return false;
    sim_say(sim, "slots %u-%u move from n%u to n%u", first, last, from->index, to->index);
    move_slots(sim, from->index, to->index, first, last);
    return true;
}

// -- forgetting and meeting
// ------------------------------------------------------------------------------------------

static void order_meet(struct sim *sim, struct node *node, const struct node *whom) {
    char words[WORDS_MAX];
    snprintf(words, sizeof words, "MEET %s %d", sim->network.hosts[whom->index].address, NODE_PORT);
    node_order(node, words, NULL, NULL);
}

static void meet_again(struct event *event) {
    struct node *whom = event->subject;
    struct sim *sim = whom->sim;
    struct node *node = pick_living(sim, true);
    // Nobody introduces a dead node; whoever is missed at the end is met in admin_repair.
    if (node && !sim->over && node != whom && whom->core) order_meet(sim, node, whom);
}

// A node that has not heard of a failover yet takes the replica for the primary that it was. Were it to
// forget a voter, it would count majorities among fewer than the others do: it is left out.
static bool sees_replica(const struct node *node, const struct node *whom) {
    struct cluster_view_node seen;
    return cluster_view_find(node->core, bytes_of(whom->id, CLUSTER_ID_SIZE), &seen) && seen.slots == 0;
}

bool admin_forget(struct sim *sim) {
    struct node *whom = pick_living(sim, false);
    if (!whom) return false;
    char words[WORDS_MAX];
    snprintf(words, sizeof words, "FORGET %s", whom->id);
    sim_say(sim, "all others are to forget n%u", whom->index);
    for (uint32_t i = 0; i < sim->count; i++)
        if (i != whom->index && sim->nodes[i].core && sees_replica(&sim->nodes[i], whom))
            node_order(&sim->nodes[i], words, NULL, NULL);
    uint64_t ms = ADMIN_BLACKLIST_MS + world_between(&sim->world, 0, MEET_AGAIN_MAX_MS);
    world_plan(&sim->world, sim->world.now + ms * MICROSECONDS_PER_MS, meet_again, whom, NULL, 0);
    return true;
}

// -- repairing
// -------------------------------------------------------------------------------------------------------

// Does `node` know `whom` by name, greetings aside, and where it lives? When both have moved at the same time
// they may have lost each other for good.
static bool knows(const struct node *node, const struct node *whom) {
    struct cluster_view_node seen;
    unsigned lost = CLUSTER_NODE_HANDSHAKE | CLUSTER_NODE_NOADDR | CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL;
    return cluster_view_find(node->core, bytes_of(whom->id, CLUSTER_ID_SIZE), &seen) && !(seen.flags & lost);
}

static void close_slots(struct sim *sim, struct node *node) {
    const uint16_t *migrating = cluster_view_migrating(node->core),
                   *importing = cluster_view_importing(node->core);
    char words[WORDS_MAX];
    uint32_t closed = 0;
    for (uint32_t slot = 0; slot < CLUSTER_SLOTS && closed < REPAIRED_SLOTS_MAX; slot++) {
        if (migrating[slot] == CLUSTER_NO_INDEX && importing[slot] == CLUSTER_NO_INDEX) continue;
        // Whoever has the keys gets the slot, as a fixing tool would decide.
        bool takes = importing[slot] != CLUSTER_NO_INDEX && bitset_test(node->keys, slot);
        snprintf(words, sizeof words, takes ? "SETSLOT %u NODE %s" : "SETSLOT %u STABLE", slot, node->id);
        node_order(node, words, NULL, NULL);
        closed++;
    }
}

void admin_repair(struct sim *sim) {
    struct node *first = NULL;
    for (uint32_t i = 0; i < sim->count; i++) {
        struct node *node = &sim->nodes[i];
        if (!node->core) continue;
        if (node->is_primary) close_slots(sim, node);
        if (!first)
            first = node;
        else if (!knows(first, node) || !knows(node, first))
            order_meet(sim, first, node);
    }
}
