#include "cli/cluster_layout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bitset.h"
#include "base/memory.h"

enum { WITH_PRIMARY_COST = 10000, TOGETHER_COST = 1 };

size_t layout_primaries(size_t nodes, size_t replicas) {
    return nodes / (replicas + 1);
}

static bool is_first_of_host(const char *const *hosts, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (strcmp(hosts[i], hosts[index]) == 0) return false;
    return true;
}

// The nodes in such an order that neighbours stand on different hosts, as far as possible: one of each host
// in turn, the hosts in the order in which they are first named.
static void interleave(const char *const *hosts, size_t count, size_t *order) {
    bool *taken = mem_calloc(count, sizeof *taken);
    size_t done = 0;
    while (done < count)
        for (size_t host = 0; host < count; host++) {
            if (!is_first_of_host(hosts, host)) continue;
            size_t i = host;
            while (i < count && (taken[i] || strcmp(hosts[i], hosts[host]) != 0))
                i++;
            if (i == count) continue;
            taken[i] = true;
            order[done++] = i;
        }
    mem_free(taken);
}

static void share_slots(const size_t *primaries, size_t count, struct layout_place *places) {
    double each = (double)HASH_SLOTS / (double)count, cursor = 0;
    unsigned first = 0;
    for (size_t i = 0; i < count; i++) {
        long last = lround(cursor + each - 1);
        if (last >= HASH_SLOTS || i == count - 1) last = HASH_SLOTS - 1;
        if (last < (long)first) last = first;
        places[primaries[i]] =
            (struct layout_place){.is_primary = true, .first_slot = first, .last_slot = (unsigned)last};
        first = (unsigned)last + 1;
        cursor += each;
    }
}

// Takes a node out of waiting[0..*count): the first on another host than `host`, else the first.
static size_t take_replica(const char *const *hosts, size_t *waiting, size_t *count, const char *host) {
    size_t at = 0;
    while (at < *count && strcmp(hosts[waiting[at]], host) == 0)
        at++;
    if (at == *count) at = 0;
    size_t node = waiting[at];
    memmove(waiting + at, waiting + at + 1, (*count - at - 1) * sizeof *waiting);
    (*count)--;
    return node;
}

static unsigned cost_of(const char *const *hosts, size_t count, const struct layout_place *places) {
    unsigned cost = 0;
    for (size_t i = 0; i < count; i++) {
        if (places[i].is_primary) continue;
        if (strcmp(hosts[i], hosts[places[i].primary]) == 0) cost += WITH_PRIMARY_COST;
        for (size_t j = 0; j < i; j++)
            if (!places[j].is_primary && places[j].primary == places[i].primary &&
                strcmp(hosts[i], hosts[j]) == 0)
                cost += TOGETHER_COST;
    }
    return cost;
}

static void swap_primaries(struct layout_place *a, struct layout_place *b) {
    size_t primary = a->primary;
    a->primary = b->primary;
    b->primary = primary;
}

// Lets two replicas change places as long as that helps; every change lowers the cost, so it ends.
static unsigned improve(const char *const *hosts, size_t count, struct layout_place *places, unsigned cost) {
    bool better = true;
    while (better && cost) {
        better = false;
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < i; j++) {
                if (places[i].is_primary || places[j].is_primary || places[i].primary == places[j].primary)
                    continue;
                swap_primaries(&places[i], &places[j]);
                unsigned now = cost_of(hosts, count, places);
                better |= now < cost;
                if (now < cost)
                    cost = now;
                else
                    swap_primaries(&places[i], &places[j]);
            }
    }
    return cost;
}

enum layout_affinity layout_create(const char *const *hosts, size_t count, size_t replicas,
                                   struct layout_place *places, size_t *order, bool *improved) {
    size_t primaries = layout_primaries(count, replicas), waiting_count = count - primaries,
           assigned = primaries;
    size_t *waiting = mem_calloc(waiting_count + 1, sizeof *waiting);
    interleave(hosts, count, order);
    share_slots(order, primaries, places);
    // The first replica waits to the end: on several hosts it would stand on the first primary's.
    for (size_t i = 0; i < waiting_count; i++)
        waiting[i] = order[primaries + (i + 1) % waiting_count];
    for (size_t round = 0; waiting_count; round++)
        for (size_t i = 0; i < primaries && waiting_count; i++) {
            size_t quota = round == 0 ? replicas : 1; // then what is left over, one each
            for (; quota && waiting_count; quota--) {
                size_t node = take_replica(hosts, waiting, &waiting_count, hosts[order[i]]);
                places[node] = (struct layout_place){.primary = order[i], .is_extra = round > 0};
                order[assigned++] = node;
            }
        }
    mem_free(waiting);
    unsigned cost = cost_of(hosts, count, places);
    *improved = cost > 0;
    cost = improve(hosts, count, places, cost);
    return cost >= WITH_PRIMARY_COST ? LAYOUT_REPLICA_WITH_PRIMARY
           : cost                    ? LAYOUT_REPLICAS_TOGETHER
                                     : LAYOUT_APART;
}

struct ranked {
    unsigned slot_count;
    size_t source;
};

static int compare_ranked(const void *a, const void *b) {
    const struct ranked *left = a, *right = b;
    if (left->slot_count != right->slot_count) return left->slot_count > right->slot_count ? -1 : 1;
    return left->source < right->source ? -1 : left->source > right->source;
}

size_t layout_reshard(const struct layout_source *sources, size_t count, unsigned wanted,
                      struct layout_move *moves) {
    struct ranked *ranked = mem_calloc(count + 1, sizeof *ranked);
    unsigned total = 0;
    for (size_t i = 0; i < count; i++) {
        ranked[i] = (struct ranked){sources[i].slot_count, i};
        total += sources[i].slot_count;
    }
    qsort(ranked, count, sizeof *ranked, compare_ranked);
    size_t taken = 0;
    for (size_t i = 0; i < count && total; i++) {
        double share = (double)wanted / total * ranked[i].slot_count;
        size_t quota = (size_t)(i == 0 ? ceil(share) : floor(share));
        for (unsigned slot = 0; slot < HASH_SLOTS && quota && taken < wanted; slot++) {
            if (!bitset_test(sources[ranked[i].source].slots, slot)) continue;
            moves[taken++] = (struct layout_move){(uint16_t)slot, ranked[i].source};
            quota--;
        }
    }
    mem_free(ranked);
    return taken;
}
