#include "server/eviction.h"

#include <stdatomic.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/prng.h"
#include "call/settings.h"
#include "keyspace/access.h"
#include "keyspace/slot_lock.h"
#include "os/clock.h"
#include "os/memory_use.h"
#include "os/random.h"
#include "server/background.h"
#include "server/latency.h"
#include "server/worker.h"

enum {
    POOL_SIZE = 16,
    KEYS_BETWEEN_CLOCKS = 16,
    FRUITLESS_ROUNDS_MAX = 32, // samples in a row that found nothing to evict
    BACKGROUND_WAIT_US = 200,
    EMPTY_FOR_MS = 100, // a database that has nothing to evict is left alone for that long
};

// A key that could go. The higher the score the sooner.
struct candidate {
    uint64_t score;
    unsigned db, slot;
    size_t key_size, key_room;
    char *key;
};

// One worker's; candidates ascend by score.
struct pool {
    struct candidate candidates[POOL_SIZE];
    unsigned count;
    struct prng prng;
    unsigned next_db;
    int64_t *empty_until_ms; // for each database: until then it is not searched again (monotonic)
} __attribute__((aligned(64)));

static struct pool pools[WORKERS_MAX];
static struct journal *journal;
static _Atomic int64_t over_since_ms;
static _Atomic uint64_t over_total_ms;

void eviction_start(void) {
    journal = worker_dispatcher(worker_at(0))->journal;
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        prng_seed(&pools[i].prng, random_u64());
}

void eviction_forget(void) {
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        pools[i].count = 0;
}

uint64_t eviction_not_counted(void) {
    size_t memory = journal_memory(journal), kept = journal_backlog(journal);
    return memory > kept ? memory - kept : 0;
}

uint64_t eviction_exceeding_ms(void) {
    int64_t since = atomic_load_explicit(&over_since_ms, memory_order_relaxed);
    return since ? (uint64_t)(clock_mono_ms() - since) : 0;
}

uint64_t eviction_exceeded_ms(void) {
    return atomic_load_explicit(&over_total_ms, memory_order_relaxed) + eviction_exceeding_ms();
}

static bool is_over(void) {
    uint64_t used = memory_use_heap();
    if (used <= settings.maxmemory) return false;
    return used - settings.maxmemory > eviction_not_counted();
}

static bool only_volatile(void) {
    return settings.maxmemory_policy <= POLICY_VOLATILE_TTL;
}

static bool is_random(void) {
    return settings.maxmemory_policy == POLICY_ALLKEYS_RANDOM || settings.maxmemory_policy == POLICY_VOLATILE_RANDOM;
}

// --- Sampling.

static size_t keys_of_slot(struct keyspace *keyspace, unsigned db, unsigned slot) {
    return only_volatile() ? keyspace_slot_count_expiring_in(keyspace, db, slot)
                           : keyspace_slot_count_in(keyspace, db, slot);
}

// A slot with keys that may go: the first at or after a random one. False: there is none (or was none a moment ago).
static bool choose_slot(struct pool *pool, struct dispatcher *dispatcher, unsigned db, unsigned *slot) {
    struct keyspace *keyspace = dispatcher->keyspace;
    if (!pool->empty_until_ms)
        pool->empty_until_ms = mem_calloc(keyspace_databases(keyspace), sizeof *pool->empty_until_ms);
    if (pool->empty_until_ms[db] > dispatcher->mono_ms) return false;
    unsigned start = (unsigned)prng_below(&pool->prng, HASH_SLOTS);
    for (unsigned i = 0; i < HASH_SLOTS; i++) {
        *slot = (start + i) % HASH_SLOTS;
        if (keys_of_slot(keyspace, db, *slot) && !keyspace_slot_busy(keyspace, *slot)) return true;
    }
    if (db != 0) pool->empty_until_ms[db] = dispatcher->mono_ms + EMPTY_FOR_MS;
    return false;
}

static uint64_t score_of(struct keyspace *keyspace, const struct entry *entry, int64_t now_ms) {
    enum { FREQUENCY_MAX = 255 };
    switch (settings.maxmemory_policy) {
    case POLICY_VOLATILE_LFU:
    case POLICY_ALLKEYS_LFU: return FREQUENCY_MAX - access_frequency(keyspace_access(keyspace), entry, now_ms);
    case POLICY_VOLATILE_TTL: return UINT64_MAX - (uint64_t)entry_expiry(entry);
    default: return (uint64_t)access_idle_seconds(entry, now_ms);
    }
}

static void write_candidate(struct candidate *candidate, unsigned db, unsigned slot, uint64_t score, struct bytes key) {
    if (candidate->key_room < key.size || !candidate->key) {
        candidate->key_room = key.size < 64 ? 64 : key.size;
        candidate->key = mem_realloc(candidate->key, candidate->key_room);
    }
    if (key.size) memcpy(candidate->key, key.data, key.size);
    candidate->key_size = key.size;
    candidate->db = db;
    candidate->slot = slot;
    candidate->score = score;
}

// Puts the key where its score belongs, if it is better than the worst that is there.
static void offer(struct pool *pool, unsigned db, unsigned slot, uint64_t score, struct bytes key) {
    unsigned at = 0;
    while (at < pool->count && pool->candidates[at].score < score)
        at++;
    if (pool->count == POOL_SIZE && at == 0) return;
    struct candidate spare;
    if (pool->count == POOL_SIZE) { // the worst makes way; its memory is used again
        spare = pool->candidates[0];
        at--;
        memmove(pool->candidates, pool->candidates + 1, at * sizeof spare);
    } else {
        spare = pool->candidates[pool->count];
        memmove(pool->candidates + at + 1, pool->candidates + at, (pool->count - at) * sizeof spare);
        pool->count++;
    }
    pool->candidates[at] = spare;
    write_candidate(&pool->candidates[at], db, slot, score, key);
}

static bool is_in_pool(const struct pool *pool, unsigned db, struct bytes key) {
    for (unsigned i = 0; i < pool->count; i++) {
        const struct candidate *one = &pool->candidates[i];
        if (one->db == db && bytes_equal(bytes_of(one->key, one->key_size), key)) return true;
    }
    return false;
}

// Looks at some keys of a database. False: it has none that may go.
static bool sample(struct pool *pool, struct dispatcher *dispatcher, unsigned db) {
    struct keyspace *keyspace = dispatcher->keyspace;
    bool found = false;
    for (unsigned i = 0; i < settings.maxmemory_samples; i++) {
        unsigned slot;
        if (!choose_slot(pool, dispatcher, db, &slot)) break;
        slot_lock(keyspace, slot);
        struct entry *entry = keyspace_slot_random(keyspace, db, slot, prng_next(&pool->prng), only_volatile());
        if (entry) {
            found = true;
            if (!is_in_pool(pool, db, entry_key(entry)))
                offer(pool, db, slot, score_of(keyspace, entry, dispatcher->now_ms), entry_key(entry));
        }
        slot_unlock(keyspace, slot);
    }
    return found;
}

// --- Evicting.

// Removes the key if it is still there and may go.
static bool evict(struct dispatcher *dispatcher, unsigned db, unsigned slot, struct bytes key) {
    struct keyspace *keyspace = dispatcher->keyspace;
    slot_lock(keyspace, slot);
    struct entry *entry = keyspace_find(keyspace, db, slot, hash_bytes(key.data, key.size), key);
    bool may_go = entry && (!only_volatile() || entry->has_expiry) && !keyspace_slot_busy(keyspace, slot);
    if (may_go) {
        dispatch_evict(dispatcher, db, slot, key);
        dispatch_flush_effects(dispatcher);
    }
    slot_unlock(keyspace, slot);
    return may_go;
}

static bool evict_random(struct pool *pool, struct dispatcher *dispatcher) {
    struct keyspace *keyspace = dispatcher->keyspace;
    unsigned databases = keyspace_databases(keyspace), slot;
    for (unsigned i = 0; i < databases; i++) {
        unsigned db = pool->next_db++ % databases;
        if (!choose_slot(pool, dispatcher, db, &slot)) continue;
        slot_lock(keyspace, slot);
        struct entry *entry = keyspace_slot_random(keyspace, db, slot, prng_next(&pool->prng), only_volatile());
        if (entry) {
            dispatch_evict(dispatcher, db, slot, entry_key(entry));
            dispatch_flush_effects(dispatcher);
        }
        slot_unlock(keyspace, slot);
        if (entry) return true;
    }
    return false;
}

static bool evict_best(struct pool *pool, struct dispatcher *dispatcher) {
    struct keyspace *keyspace = dispatcher->keyspace;
    for (unsigned round = 0; round < FRUITLESS_ROUNDS_MAX; round++) {
        bool any = false;
        // Another one is the first each time: of keys that are equally good, those that are found first go first.
        unsigned databases = keyspace_databases(keyspace), first = pool->next_db++;
        for (unsigned i = 0; i < databases; i++)
            any = sample(pool, dispatcher, (first + i) % databases) || any;
        if (!any) return false;
        while (pool->count) {
            struct candidate *best = &pool->candidates[--pool->count];
            if (evict(dispatcher, best->db, best->slot, bytes_of(best->key, best->key_size))) return true;
        }
    }
    return false;
}

// How long one command may spend here, microseconds.
static int64_t time_limit_us(void) {
    enum { TENACITY_STEPS = 10, STEP_US = 50, FOREVER = 100 };
    unsigned tenacity = settings.maxmemory_eviction_tenacity;
    if (tenacity <= TENACITY_STEPS) return STEP_US * (int64_t)tenacity;
    if (tenacity >= FOREVER) return INT64_MAX;
    double limit = STEP_US * TENACITY_STEPS;
    for (unsigned i = TENACITY_STEPS; i < tenacity; i++)
        limit *= 1.15;
    return (int64_t)limit;
}

static bool evict_one(struct pool *pool, struct dispatcher *dispatcher) {
    return is_random() ? evict_random(pool, dispatcher) : evict_best(pool, dispatcher);
}

// Nothing may go, but the background thread may be about to free something.
static bool wait_for_background(int64_t until_us) {
    while (is_over()) {
        if (!background_pending() || clock_mono_us() > until_us) return false;
        clock_sleep_us(BACKGROUND_WAIT_US);
    }
    return true;
}

static bool make_room(struct dispatcher *dispatcher) {
    struct pool *pool = &pools[dispatcher->worker];
    int64_t start = clock_mono_us(), limit = time_limit_us();
    int64_t until = limit > INT64_MAX - start ? INT64_MAX : start + limit;
    for (unsigned evicted = 1; is_over(); evicted++) {
        if (settings.maxmemory_policy == POLICY_NOEVICTION || !evict_one(pool, dispatcher))
            return wait_for_background(until);
        if (evicted % KEYS_BETWEEN_CLOCKS == 0 && clock_mono_us() > until) return true;
    }
    latency_add(LATENCY_EVICTION_CYCLE, (clock_mono_us() - start) / 1000);
    return true;
}

bool eviction_make_room(struct dispatcher *dispatcher) {
    if (__builtin_expect(!is_over(), 1)) {
        int64_t since = atomic_load_explicit(&over_since_ms, memory_order_relaxed);
        if (__builtin_expect(since != 0, 0) && atomic_exchange(&over_since_ms, 0) == since)
            atomic_fetch_add(&over_total_ms, (uint64_t)(dispatcher->mono_ms - since));
        return true;
    }
    if (role.loading) return true;
    int64_t none = 0;
    atomic_compare_exchange_strong(&over_since_ms, &none, dispatcher->mono_ms);
    return make_room(dispatcher);
}
