#include "server/eviction.h"

#include <string.h>

#include "base/hash.h"
#include "base/prng.h"
#include "keyspace/access.h"
#include "keyspace/slot_lock.h"
#include "os/clock.h"
#include "os/memory_use.h"
#include "os/random.h"

enum { POOL_SIZE = 16, KEY_ROOM = 256, TENACITY_UNIT_US = 50, TENACITY_MAX = 100 };

// A key that was seen and may go; the higher its score the sooner.
struct candidate {
    uint64_t score;
    unsigned db, slot;
    size_t key_size; // longer keys than KEY_ROOM are not kept here, only evicted at sight
    char key[KEY_ROOM];
};

// The best seen by this thread, ascending by score.
static _Thread_local struct candidate pool[POOL_SIZE];
static _Thread_local unsigned pooled;
static _Thread_local struct prng prng;
static _Thread_local bool seeded;

static uint64_t draw(void) {
    if (!seeded) prng_seed(&prng, random_u64());
    seeded = true;
    return prng_next(&prng);
}

static bool volatile_only(void) {
    return settings.maxmemory_policy <= POLICY_VOLATILE_TTL;
}

static bool is_random_policy(void) {
    return settings.maxmemory_policy == POLICY_ALLKEYS_RANDOM || settings.maxmemory_policy == POLICY_VOLATILE_RANDOM;
}

size_t eviction_memory(const struct dispatcher *dispatcher) {
    size_t heap = memory_use_heap(), journal = journal_memory(dispatcher->journal);
    return heap > journal ? heap - journal : 0;
}

static uint64_t score_of(const struct dispatcher *dispatcher, const struct entry *entry) {
    switch (settings.maxmemory_policy) {
    case POLICY_VOLATILE_LFU:
    case POLICY_ALLKEYS_LFU:
        return 255 - access_frequency(keyspace_access(dispatcher->keyspace), entry, dispatcher->now_ms);
    case POLICY_VOLATILE_TTL: return UINT64_MAX - (uint64_t)entry_expiry(entry);
    default: return (uint64_t)access_idle_seconds(entry, dispatcher->now_ms);
    }
}

// The next slot with a key that may go, from a random one on; HASH_SLOTS: there is none.
static unsigned find_slot(const struct keyspace *keyspace, unsigned db) {
    unsigned start = (unsigned)(draw() % HASH_SLOTS);
    for (unsigned i = 0; i < HASH_SLOTS; i++) {
        unsigned slot = (start + i) % HASH_SLOTS;
        size_t count = volatile_only() ? keyspace_slot_count_expiring_in(keyspace, db, slot)
                                       : keyspace_slot_count_in(keyspace, db, slot);
        if (count) return slot;
    }
    return HASH_SLOTS;
}

static void pool_insert(const struct candidate *candidate) {
    for (unsigned i = 0; i < pooled; i++)
        if (pool[i].slot == candidate->slot && pool[i].db == candidate->db &&
            bytes_equal(bytes_of(pool[i].key, pool[i].key_size), bytes_of(candidate->key, candidate->key_size)))
            return;
    if (pooled == POOL_SIZE) {
        if (candidate->score <= pool[0].score) return;
        memmove(pool, pool + 1, (POOL_SIZE - 1) * sizeof *pool);
        pooled--;
    }
    unsigned at = pooled++;
    for (; at > 0 && pool[at - 1].score > candidate->score; at--)
        pool[at] = pool[at - 1];
    pool[at] = *candidate;
}

static bool sample_database(struct dispatcher *dispatcher, unsigned db) {
    for (unsigned i = 0; i < settings.maxmemory_samples; i++) {
        unsigned slot = find_slot(dispatcher->keyspace, db);
        if (slot == HASH_SLOTS) return i > 0;
        slot_lock(dispatcher->keyspace, slot);
        struct entry *entry = keyspace_slot_random(dispatcher->keyspace, db, slot, draw(), volatile_only());
        if (entry && entry->key_size <= KEY_ROOM) {
            struct candidate candidate = {.score = score_of(dispatcher, entry), .db = db, .slot = slot};
            candidate.key_size = entry->key_size;
            memcpy(candidate.key, entry_key(entry).data, entry->key_size);
            pool_insert(&candidate);
        } else if (entry) {
            dispatch_evict(dispatcher, db, slot, entry_key(entry));
            dispatch_flush_effects(dispatcher);
        }
        slot_unlock(dispatcher->keyspace, slot);
    }
    return true;
}

// Removes the candidate if it is still what it was. False: it is not there any more.
static bool evict(struct dispatcher *dispatcher, const struct candidate *candidate) {
    struct bytes key = bytes_of(candidate->key, candidate->key_size);
    slot_lock(dispatcher->keyspace, candidate->slot);
    bool there = !keyspace_slot_busy(dispatcher->keyspace, candidate->slot) &&
                 keyspace_find(dispatcher->keyspace, candidate->db, candidate->slot,
                               hash_bytes(key.data, key.size), key) != NULL;
    if (there) {
        dispatch_evict(dispatcher, candidate->db, candidate->slot, key);
        dispatch_flush_effects(dispatcher);
    }
    slot_unlock(dispatcher->keyspace, candidate->slot);
    return there;
}

static bool evict_sampled(struct dispatcher *dispatcher) {
    bool any = false;
    for (unsigned db = 0; db < keyspace_databases(dispatcher->keyspace); db++)
        any |= sample_database(dispatcher, db);
    while (pooled)
        if (evict(dispatcher, &pool[--pooled])) return true;
    return any;
}

static bool evict_random(struct dispatcher *dispatcher) {
    static _Thread_local unsigned next_db;
    unsigned databases = keyspace_databases(dispatcher->keyspace);
    for (unsigned i = 0; i < databases; i++) {
        unsigned db = next_db++ % databases, slot = find_slot(dispatcher->keyspace, db);
        if (slot == HASH_SLOTS) continue;
        slot_lock(dispatcher->keyspace, slot);
        struct entry *entry = keyspace_slot_random(dispatcher->keyspace, db, slot, draw(), volatile_only());
        if (entry) {
            dispatch_evict(dispatcher, db, slot, entry_key(entry));
            dispatch_flush_effects(dispatcher);
        }
        slot_unlock(dispatcher->keyspace, slot);
        return true;
    }
    return false;
}

bool eviction_make_room(struct dispatcher *dispatcher) {
    if (eviction_memory(dispatcher) <= settings.maxmemory) return true;
    if (settings.maxmemory_policy == POLICY_NOEVICTION || role.replica) return false;
    // Tenacity: how long a command may be held up for it; what is left to do, the next command does.
    unsigned tenacity = settings.maxmemory_eviction_tenacity;
    bool bounded = tenacity < TENACITY_MAX;
    int64_t end_us = clock_mono_us() + (int64_t)TENACITY_UNIT_US * (tenacity + 1);
    do {
        bool evicted = is_random_policy() ? evict_random(dispatcher) : evict_sampled(dispatcher);
        if (!evicted) return false;
        if (bounded && clock_mono_us() >= end_us) return true;
    } while (eviction_memory(dispatcher) > settings.maxmemory);
    return true;
}
