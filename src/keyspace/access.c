#include "keyspace/access.h"

enum { LFU_START = 5, LFU_MAX = 255 };

static uint32_t minutes(int64_t now_ms) {
    return (uint32_t)(now_ms / 60000) & 0xffff;
}

// A small generator of its own: chance decides only how fast a counter grows.
static uint32_t chance(void) {
    static _Thread_local uint32_t state = 2463534242u;
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

void access_start(const struct keyspace_access *how, struct entry *entry, int64_t now_ms) {
    if (how->lfu)
        access_set_frequency(entry, LFU_START, now_ms);
    else
        entry->access = (uint32_t)(now_ms / 1000) & 0xffffff;
}

unsigned access_frequency(const struct keyspace_access *how, const struct entry *entry, int64_t now_ms) {
    uint32_t since = (minutes(now_ms) - (entry->access >> 8)) & 0xffff;
    unsigned counter = entry->access & 0xff;
    unsigned lost = how->decay_time ? since / how->decay_time : 0;
    return lost > counter ? 0 : counter - lost;
}

void access_use_lfu(const struct keyspace_access *how, struct entry *entry, int64_t now_ms) {
    unsigned counter = access_frequency(how, entry, now_ms);
    if (counter < LFU_MAX) {
        unsigned base = counter > LFU_START ? counter - LFU_START : 0;
        if ((uint64_t)chance() * (1 + (uint64_t)base * how->log_factor) <= UINT32_MAX) counter++;
    }
    access_set_frequency(entry, counter, now_ms);
}

int64_t access_idle_seconds(const struct entry *entry, int64_t now_ms) {
    return (int64_t)(((uint32_t)(now_ms / 1000) - entry->access) & 0xffffff);
}

void access_set_idle(struct entry *entry, int64_t idle_seconds, int64_t now_ms) {
    entry->access = (uint32_t)(now_ms / 1000 - idle_seconds) & 0xffffff;
}

void access_set_frequency(struct entry *entry, unsigned frequency, int64_t now_ms) {
    entry->access = (minutes(now_ms) << 8 | (frequency & 0xff)) & 0xffffff;
}
