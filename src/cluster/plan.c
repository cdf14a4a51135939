#include "cluster/plan.h"

#include <math.h>
#include <string.h>

#include "base/bitset.h"
#include "base/memory.h"

enum { SAME_HOST_PENALTY = 10000, OPTIMISE_ROUNDS_MAX = 1000 };

// ---- Creating ----

size_t plan_primaries(size_t count, size_t replicas) {
    return count / (replicas + 1);
}

static bool same_host(const struct plan_node *a, const struct plan_node *b) {
    return strcmp(a->host, b->host) == 0;
}

// How many nodes before `index` are of its host: its turn.
static size_t turn_of(const struct plan_node *nodes, size_t index) {
    size_t turn = 0;
    for (size_t i = 0; i < index; i++)
        turn += same_host(&nodes[i], &nodes[index]);
    return turn;
}

// The nodes host by host in turn, hosts in the order of their first node.
static size_t *interleave(const struct plan_node *nodes, size_t count) {
    size_t *order = mem_alloc((count + 1) * sizeof(*order)), *turns = mem_alloc((count + 1) * sizeof(*turns)),
           filled = 0;
    for (size_t i = 0; i < count; i++)
        turns[i] = turn_of(nodes, i);
    for (size_t turn = 0; filled < count; turn++) {
        // Within a turn hosts stand in the order of their first nodes, which need not be that of these nodes.
        for (size_t first = 0; first < count; first++) {
            if (turns[first] != 0) continue;
            for (size_t i = first; i < count; i++)
                if (turns[i] == turn && same_host(&nodes[i], &nodes[first])) order[filled++] = i;
        }
    }
    mem_free(turns);
    return order;
}

static void allot_slots(struct plan_node *nodes, const size_t *primaries, size_t count) {
    float share = (float)PLAN_SLOTS / (float)count, cursor = 0;
    long first = 0;
    for (size_t i = 0; i < count; i++) {
        struct plan_node *node = &nodes[primaries[i]];
        long last = lroundf(cursor + share - 1);
        if (last > PLAN_SLOTS - 1 || i == count - 1) last = PLAN_SLOTS - 1;
        if (last < first) last = first;
        node->primary = true;
        node->order = i;
        node->replicates = PLAN_NONE;
        node->first = (uint16_t)first;
        node->last = (uint16_t)last;
        first = last + 1;
        cursor += share;
    }
}

// The first node that is left and of another host than the primary, else the first that is left; taken out of
// `left`.
static size_t take_replica(const struct plan_node *nodes, size_t *left, size_t count, size_t primary) {
    size_t chosen = PLAN_NONE;
    for (size_t i = 0; i < count; i++) {
        if (left[i] == PLAN_NONE) continue;
        bool elsewhere = !same_host(&nodes[left[i]], &nodes[primary]);
        if (elsewhere || chosen == PLAN_NONE) chosen = i;
        if (elsewhere) break;
    }
    if (chosen == PLAN_NONE) return PLAN_NONE;
    size_t index = left[chosen];
    left[chosen] = PLAN_NONE;
    return index;
}

struct hand_out {
    struct plan_node *nodes;
    const size_t *primaries;
    size_t primary_count;
    size_t *left;
    size_t left_count;
    size_t given;
};

// `each` replicas to every primary, while there are some.
static void hand_out(struct hand_out *work, size_t each, bool extra) {
    for (size_t i = 0; i < work->primary_count; i++)
        for (size_t n = 0; n < each; n++) {
            size_t index = take_replica(work->nodes, work->left, work->left_count, work->primaries[i]);
            if (index == PLAN_NONE) return;
            struct plan_node *node = &work->nodes[index];
            node->primary = false;
            node->first = node->last = 0;
            node->replicates = work->primaries[i];
            node->order = work->given++;
            node->extra = extra;
        }
}

bool plan_create(struct plan_node *nodes, size_t count, size_t replicas) {
    size_t primaries = plan_primaries(count, replicas);
    if (primaries < PLAN_PRIMARIES_MIN || primaries > PLAN_SLOTS) return false;
    size_t *order = interleave(nodes, count);
    for (size_t i = 0; i < count; i++)
        nodes[i].extra = false;
    allot_slots(nodes, order, primaries);
    // What is left begins with the second node, so that hosts don't pair up with themselves.
    size_t *left = order + primaries, left_count = count - primaries;
    if (left_count > 1) {
        size_t first = left[0];
        memmove(left, left + 1, (left_count - 1) * sizeof(*left));
        left[left_count - 1] = first;
    }
    struct hand_out work = {nodes, order, primaries, left, left_count, 0};
    hand_out(&work, replicas, false);
    for (size_t given = PLAN_NONE; given != work.given;) {
        given = work.given;
        hand_out(&work, 1, true);
    }
    mem_free(order);
    return true;
}

size_t plan_affinity_score(const struct plan_node *nodes, size_t count, size_t *same) {
    size_t score = 0, shared = 0;
    for (size_t i = 0; i < count; i++) {
        if (nodes[i].primary) continue;
        shared += same_host(&nodes[i], &nodes[nodes[i].replicates]);
        for (size_t j = i + 1; j < count; j++)
            if (!nodes[j].primary && nodes[j].replicates == nodes[i].replicates &&
                same_host(&nodes[i], &nodes[j]))
                score++;
    }
    if (same) *same = shared;
    return score + shared * SAME_HOST_PENALTY;
}

static void swap_primaries(struct plan_node *a, struct plan_node *b) {
    size_t primary = a->replicates;
    a->replicates = b->replicates;
    b->replicates = primary;
}

// The first swap that lowers the score; false when there is none.
static bool improve(struct plan_node *nodes, size_t count, size_t *score) {
    for (size_t i = 0; i < count; i++)
        for (size_t j = i + 1; j < count; j++) {
            if (nodes[i].primary || nodes[j].primary || nodes[i].replicates == nodes[j].replicates) continue;
            swap_primaries(&nodes[i], &nodes[j]);
            size_t better = plan_affinity_score(nodes, count, NULL);
            if (better < *score) {
                *score = better;
                return true;
            }
            swap_primaries(&nodes[i], &nodes[j]);
        }
    return false;
}

size_t plan_optimise(struct plan_node *nodes, size_t count) {
    size_t score = plan_affinity_score(nodes, count, NULL);
    for (int round = 0; round < OPTIMISE_ROUNDS_MAX && score; round++)
        if (!improve(nodes, count, &score)) break;
    return score;
}

// ---- Resharding ----

// The sources from the greatest to the smallest; equal ones as they came.
static size_t *by_size(const struct plan_source *sources, size_t count) {
    size_t *order = mem_alloc((count + 1) * sizeof(*order));
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        while (at > 0 && sources[order[at - 1]].count < sources[i].count)
            order[at] = order[at - 1], at--;
        order[at] = i;
    }
    return order;
}

size_t plan_reshard(const struct plan_source *sources, size_t count, size_t wanted, struct plan_move *moves) {
    size_t total = 0, planned = 0;
    for (size_t i = 0; i < count; i++)
        total += sources[i].count;
    if (total == 0) return 0;
    size_t *order = by_size(sources, count);
    for (size_t i = 0; i < count; i++) {
        const struct plan_source *source = &sources[order[i]];
        float share = (float)wanted / (float)total * (float)source->count;
        size_t most = (size_t)(i == 0 ? ceilf(share) : floorf(share)), taken = 0;
        for (unsigned slot = 0; slot < PLAN_SLOTS && taken < most && planned < wanted; slot++) {
            if (!bitset_test(source->slots, slot)) continue;
            moves[planned++] = (struct plan_move){order[i], (uint16_t)slot};
            taken++;
        }
    }
    mem_free(order);
    return planned;
}

// ---- Rebalancing ----

// The part of all slots that the weight stands for, rounded down.
static long part_of(float weight, float total) {
    return weight > 0 ? (long)((float)PLAN_SLOTS / total * weight) : 0;
}

static bool is_off(size_t slots, long part, float threshold) {
    if (slots == 0) return part > 1;
    float percent = fabsf(100.0f - 100.0f * (float)part / (float)slots);
    return percent > threshold;
}

// What is left over by rounding down goes to those that have none too many, one each. So the sum becomes 0,
// unless slots are missing.
static void settle_rounding(struct plan_share *shares, size_t count) {
    long sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += shares[i].balance;
    for (long before = sum + 1; sum > 0 && sum < before;) {
        before = sum;
        for (size_t i = 0; i < count && sum > 0; i++)
            if (shares[i].balance <= 0 && shares[i].weight > 0) {
                shares[i].balance--;
                sum--;
            }
    }
}

// The shares from the one that lacks most to the one that has most too many; equal ones as they came.
static size_t *by_balance(const struct plan_share *shares, size_t count) {
    size_t *order = mem_alloc((count + 1) * sizeof(*order));
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        while (at > 0 && shares[order[at - 1]].balance > shares[i].balance)
            order[at] = order[at - 1], at--;
        order[at] = i;
    }
    return order;
}

// Those that lack most take from those that have most.
static size_t pair_up(const struct plan_share *shares, const size_t *order, size_t count,
                      struct plan_transfer *transfers) {
    size_t planned = 0, low = 0, high = count - 1, taken = 0, given = 0;
    while (low < high) {
        const struct plan_share *target = &shares[order[low]], *source = &shares[order[high]];
        size_t lacks = target->balance < 0 ? (size_t)-target->balance - taken : 0;
        size_t spare = source->balance > 0 ? (size_t)source->balance - given : 0;
        size_t slots = lacks < spare ? lacks : spare;
        if (slots) transfers[planned++] = (struct plan_transfer){order[high], order[low], slots};
        taken += slots;
        given += slots;
        if (lacks == slots) low++, taken = 0;
        if (spare == slots) high--, given = 0;
    }
    return planned;
}

size_t plan_rebalance(struct plan_share *shares, size_t count, float threshold,
                      struct plan_transfer *transfers) {
    float total = 0;
    bool needed = false;
    for (size_t i = 0; i < count; i++)
        if (shares[i].weight > 0) total += shares[i].weight;
    if (total <= 0 || threshold <= 0) return 0;
    for (size_t i = 0; i < count; i++) {
        long part = part_of(shares[i].weight, total);
        shares[i].balance = (long)shares[i].slots - part;
        needed |= is_off(shares[i].slots, part, threshold);
    }
    if (!needed) return 0;
    settle_rounding(shares, count);
    size_t *order = by_balance(shares, count);
    size_t planned = pair_up(shares, order, count, transfers);
    mem_free(order);
    return planned;
}

// ---- Fixing ----

// The one that alone owns the slot or holds keys of it; PLAN_NONE when that is nobody or several. Marks
// strays.
static size_t clear_owner(struct plan_claim *claims, size_t count) {
    size_t owner = PLAN_NONE, owners = 0;
    for (size_t i = 0; i < count; i++) {
        claims[i].stray = !claims[i].owner && claims[i].keys > 0;
        if (!claims[i].owner && !claims[i].stray) continue;
        owner = i;
        owners++;
    }
    return owners == 1 ? owner : PLAN_NONE;
}

static void find_importing(struct plan_claim *claims, size_t count, size_t owner) {
    for (size_t i = 0; i < count; i++) {
        claims[i].found = !claims[i].migrating && !claims[i].importing && claims[i].keys > 0 && i != owner;
        claims[i].importing |= claims[i].found;
    }
}

// Who holds most keys; when nobody holds one, the first that owns the slot, else the first of all.
static size_t elect(const struct plan_claim *claims, size_t count) {
    size_t best = 0;
    for (size_t i = 0; i < count; i++) {
        bool first_owner = claims[i].owner && !claims[best].owner;
        if (claims[i].keys > claims[best].keys || (claims[best].keys == 0 && first_owner)) best = i;
    }
    return best;
}

// Every other one that says it owns the slot has to import instead: migrating is for owners only.
static void install(struct plan_claim *claims, size_t count, size_t owner) {
    for (size_t i = 0; i < count; i++) {
        claims[i].yield = i != owner && claims[i].owner;
        if (claims[i].yield) claims[i].importing = true;
        if (i == owner || claims[i].yield) claims[i].migrating = false;
    }
    claims[owner].importing = false;
}

struct tally {
    size_t migrating, importing; // how many
    size_t source, target;       // the first of each
};

static struct tally count_open(const struct plan_claim *claims, size_t count) {
    struct tally tally = {0, 0, PLAN_NONE, PLAN_NONE};
    for (size_t i = 0; i < count; i++) {
        if (claims[i].migrating && tally.migrating++ == 0) tally.source = i;
        if (claims[i].importing && tally.importing++ == 0) tally.target = i;
    }
    return tally;
}

static enum plan_fix_case judge(const struct plan_claim *claims, const struct tally *tally, size_t owner) {
    if (tally->migrating == 1 && tally->importing == 1) return PLAN_FIX_MOVE;
    if (tally->migrating == 0) return tally->importing > 0 ? PLAN_FIX_GATHER : PLAN_FIX_NOTHING;
    if (tally->migrating != 1) return PLAN_FIX_UNKNOWN;
    if (tally->importing > 1) return tally->source == owner ? PLAN_FIX_MOVE_AND_CLOSE : PLAN_FIX_UNKNOWN;
    bool harmless = tally->source == owner || claims[tally->source].keys == 0;
    return harmless ? PLAN_FIX_CLOSE : PLAN_FIX_UNKNOWN;
}

struct plan_fix plan_fix_slot(struct plan_claim *claims, size_t count) {
    struct plan_fix fix = {.owner = clear_owner(claims, count), .source = PLAN_NONE, .target = PLAN_NONE};
    find_importing(claims, count, fix.owner);
    for (size_t i = 0; i < count; i++)
        claims[i].yield = false;
    // Whoever alone holds keys without owning the slot is elected too: then it does own it.
    fix.elected = fix.owner == PLAN_NONE || !claims[fix.owner].owner;
    if (fix.elected) {
        fix.owner = elect(claims, count);
        install(claims, count, fix.owner);
    }
    struct tally tally = count_open(claims, count);
    fix.what = judge(claims, &tally, fix.owner);
    fix.source = tally.source;
    fix.target = tally.target;
    size_t wanted = tally.source == PLAN_NONE ? PLAN_NONE : claims[tally.source].migrating_to;
    if (fix.what == PLAN_FIX_MOVE_AND_CLOSE && wanted != PLAN_NONE && claims[wanted].importing)
        fix.target = wanted;
    return fix;
}

void plan_cover(size_t *slots, size_t count, size_t slot_count, size_t *owners) {
    // First how many each one gets, then who gets which, so that neighbours stay together.
    size_t *gains = mem_calloc(count, sizeof(*gains));
    for (size_t i = 0; i < slot_count; i++) {
        size_t least = 0;
        for (size_t j = 1; j < count; j++)
            if (slots[j] < slots[least]) least = j;
        slots[least]++;
        gains[least]++;
    }
    for (size_t i = 0, node = 0; i < slot_count; i++) {
        while (gains[node] == 0)
            node++;
        owners[i] = node;
        gains[node]--;
    }
    mem_free(gains);
}
