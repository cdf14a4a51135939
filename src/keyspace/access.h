// access: the 24 bits that tell when, or how often, an entry was used; for eviction and for OBJECT IDLETIME / FREQ.
// LRU: seconds of the wall clock, modulo 2^24. LFU: minutes modulo 2^16 in the upper bits, a logarithmic counter in the
// lower eight, which grows ever more seldom and loses one for each decay time that passes.
// Source: Redis documentation, "Key eviction". Needs the slot's lock.
#ifndef SHOAL_KEYSPACE_ACCESS_H
#define SHOAL_KEYSPACE_ACCESS_H

#include <stdint.h>

#include "keyspace/keyspace.h"

void access_start(const struct keyspace_access *how, struct entry *entry, int64_t now_ms);
void access_use_lfu(const struct keyspace_access *how, struct entry *entry, int64_t now_ms);

static inline void access_use(const struct keyspace_access *how, struct entry *entry, int64_t now_ms) {
    if (__builtin_expect(how->lfu, 0)) {
        access_use_lfu(how, entry, now_ms);
        return;
    }
    uint32_t seconds = (uint32_t)(now_ms / 1000) & 0xffffff;
    if (entry->access != seconds) entry->access = seconds; // a line that is only read stays shared between the cores
}

// Seconds since the last use (LRU).
int64_t access_idle_seconds(const struct entry *entry, int64_t now_ms);
// The counter, 0..255, decayed to now (LFU).
unsigned access_frequency(const struct keyspace_access *how, const struct entry *entry, int64_t now_ms);

// RESTORE's IDLETIME and FREQ.
void access_set_idle(struct entry *entry, int64_t idle_seconds, int64_t now_ms);
void access_set_frequency(struct entry *entry, unsigned frequency, int64_t now_ms);

#endif
