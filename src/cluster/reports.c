#include "cluster/reports.h"

#include <string.h>

#include "base/memory.h"

static uint64_t bit_of(const struct peer *peer) {
    return (uint64_t)1 << peer->index % PEER_WORD;
}

static uint64_t all_of(const struct reported *word) {
    uint64_t all = 0;
    for (uint32_t age = 0; age < REPORT_AGES; age++)
        all |= word->heard[age];
    return all;
}

static bool accuses(const struct cluster *cluster, uint32_t reporter, const struct peer *peer) {
    const struct reported *row = cluster->reports[reporter];
    return row && (all_of(&row[peer->index / PEER_WORD]) & bit_of(peer)) != 0;
}

bool reports_add(struct cluster *cluster, const struct peer *reporter, struct peer *peer) {
    struct reported **row = &cluster->reports[reporter->index];
    if (*row == NULL) *row = mem_calloc(cluster->peers_capacity / PEER_WORD, sizeof(**row));
    struct reported *word = &(*row)[peer->index / PEER_WORD];
    bool news = (all_of(word) & bit_of(peer)) == 0;
    word->heard[cluster->report_age] |= bit_of(peer);
    peer->report_count += news;
    return news;
}

bool reports_remove(struct cluster *cluster, const struct peer *reporter, struct peer *peer) {
    if (!accuses(cluster, reporter->index, peer)) return false;
    struct reported *word = &cluster->reports[reporter->index][peer->index / PEER_WORD];
    for (uint32_t age = 0; age < REPORT_AGES; age++)
        word->heard[age] &= ~bit_of(peer);
    peer->report_count--;
    return true;
}

uint32_t reports_count(const struct cluster *cluster, const struct peer *peer) {
    uint32_t count = 0;
    for (uint32_t reporter = 0; peer->report_count && reporter < cluster->peers_end; reporter++)
        count += accuses(cluster, reporter, peer) && peer_votes(cluster->peers[reporter]);
    return count;
}

void reports_forget(struct cluster *cluster, struct peer *peer) {
    PEERS_EACH(cluster, other) {
        reports_remove(cluster, peer, other);
        reports_remove(cluster, other, peer);
    }
    mem_free(cluster->reports[peer->index]);
    cluster->reports[peer->index] = NULL;
}

// Drops what was heard in one of the ages only, of those in a word from the peer `first` on. Is nothing left?
static bool drop_age(struct cluster *cluster, struct reported *word, uint32_t age, uint32_t first) {
    uint64_t dropped = word->heard[age];
    word->heard[age] = 0;
    uint64_t left = all_of(word);
    for (dropped &= ~left; dropped; dropped &= dropped - 1)
        cluster->peers[first + (uint32_t)__builtin_ctzll(dropped)]->report_count--;
    return left == 0;
}

// The oldest age becomes the one that is heard now.
static void turn(struct cluster *cluster) {
    cluster->report_age = (cluster->report_age + 1) % REPORT_AGES;
    for (uint32_t reporter = 0; reporter < cluster->peers_end; reporter++) {
        struct reported *row = cluster->reports[reporter];
        bool empty = true;
        for (uint32_t first = 0; row && first < cluster->peers_end; first += PEER_WORD)
            empty &= drop_age(cluster, &row[first / PEER_WORD], cluster->report_age, first);
        if (!row || !empty) continue;
        mem_free(row);
        cluster->reports[reporter] = NULL;
    }
}

void reports_age(struct cluster *cluster) {
    enum { AGES_PER_TIMEOUT = REPORT_AGES / 2 };
    uint64_t age = max64(cluster->config.node_timeout / AGES_PER_TIMEOUT, 1);
    for (int turns = 0; turns < REPORT_AGES && cluster->now >= cluster->next_report_age; turns++) {
        turn(cluster);
        cluster->next_report_age += age;
    }
    if (cluster->now >= cluster->next_report_age) cluster->next_report_age = cluster->now + age;
}

void reports_grow(struct cluster *cluster, uint32_t old, uint32_t capacity) {
    uint32_t words = capacity / PEER_WORD, old_words = old / PEER_WORD;
    cluster->reports = mem_realloc(cluster->reports, capacity * sizeof(*cluster->reports));
    memset(cluster->reports + old, 0, (capacity - old) * sizeof(*cluster->reports));
    for (uint32_t reporter = 0; reporter < old; reporter++) {
        struct reported **row = &cluster->reports[reporter];
        if (*row == NULL) continue;
        *row = mem_realloc(*row, words * sizeof(**row));
        memset(*row + old_words, 0, (words - old_words) * sizeof(**row));
    }
}

void reports_free(struct cluster *cluster) {
    for (uint32_t reporter = 0; reporter < cluster->peers_end; reporter++)
        mem_free(cluster->reports[reporter]);
    mem_free(cluster->reports);
}
