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
    hand_out(&work, 1, true);
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
