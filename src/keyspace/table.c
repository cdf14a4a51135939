#include "keyspace/table.h"

#include "base/hash.h"
#include "base/memory.h"
#include "keyspace/bucket.h"

enum {
    FILL_LIMIT = 6,        // entries a bucket, on average, before the table doubles
    AT_ONCE_BITS = 8,      // tables up to this size are moved in one go
    MOVES_A_CHANGE = 2,    // buckets moved with each change of a larger one
    SHRINK_DIVISOR = 8,    // a table shrinks when it is filled to one part in this
    EMPTY_PROBES = 64,     // of table_random before it walks
    GATHERED_MAX = 128,    // entries that table_walk takes from one bucket
};

static inline uint64_t tag_of(uint64_t hash) {
    return hash >> TAG_SHIFT << TAG_SHIFT; // the top 15 bits; bucket numbers come from the low ones
}

static inline void link_bucket(struct bucket *bucket, struct bucket *next) {
    bucket->link = (bucket->link & ~(uint64_t)POINTER_MASK) | (uint64_t)(uintptr_t)next;
}

static inline uint64_t pack(uint64_t hash, const struct entry *entry) {
    return tag_of(hash) | (entry->has_expiry ? EXPIRY_BIT : 0) | (uint64_t)(uintptr_t)entry;
}

// Counts are read without the lock by DBSIZE and the cycles.
static inline void add_count(uint32_t *count, int change) {
    __atomic_store_n(count, *count + (uint32_t)change, __ATOMIC_RELAXED);
}

static struct bucket *new_buckets(size_t count) {
    struct bucket *buckets = mem_aligned_alloc(sizeof(struct bucket), count * sizeof(struct bucket));
    memset(buckets, 0, count * sizeof *buckets);
    return buckets;
}

static inline bool has_key(const struct entry *entry, struct bytes key) {
    return entry && entry->key_size == key.size && memcmp(entry__key_data(entry), key.data, key.size) == 0;
}

uint64_t *table__find_in(struct bucket *bucket, uint64_t hash, struct bytes key) {
    do {
        for (unsigned like = places_like(bucket, hash); like; like &= like - 1) {
            uint64_t *place = &bucket->places[first_of(like)];
            if (has_key(table_place_entry(place), key)) return place;
        }
        bucket = next_bucket(bucket);
    } while (bucket);
    return NULL;
}

void table_place_set(struct table *table, uint64_t *place, struct entry *entry) {
    bool had = *place & EXPIRY_BIT;
    uint64_t tag = *place >> TAG_SHIFT << TAG_SHIFT;
    if (had != (bool)entry->has_expiry) add_count(&table->expiring, entry->has_expiry ? 1 : -1);
    *place = pack(tag, entry);
}

static void put(struct table *table, struct bucket *bucket, uint64_t word) {
    for (;;) {
        for (int i = 0; i < BUCKET_ENTRIES; i++) {
            if (bucket->places[i]) continue;
            bucket->places[i] = word;
            return;
        }
        struct bucket *next = next_bucket(bucket);
        if (!next) {
            next = new_buckets(1);
            link_bucket(bucket, next);
            table->overflowing++;
        }
        bucket = next;
    }
}

// Moves every entry of one old bucket (with its overflow) to the new array.
static void move_bucket(struct table *table, struct bucket *from) {
    for (struct bucket *bucket = from; bucket;) {
        for (int i = 0; i < BUCKET_ENTRIES; i++) {
            uint64_t word = bucket->places[i];
            if (!word) continue;
            struct bytes key = entry_key(table_place_entry(&word));
            put(table, home(table->buckets, table->bits, hash_bytes(key.data, key.size)), word);
        }
        struct bucket *next = next_bucket(bucket);
        if (bucket != from) {
            mem_free(bucket);
            table->overflowing--;
        } else {
            memset(bucket, 0, sizeof *bucket);
        }
        bucket = next;
    }
}

static void move_some(struct table *table, uint64_t count) {
    uint64_t size = 1ull << table->old_bits;
    while (count-- && table->moved < size)
        move_bucket(table, &table->old[table->moved++]);
    if (table->moved < size) return;
    mem_free(table->old);
    table->old = NULL;
}

// Starts moving to an array of 1 << bits buckets.
static void resize(struct table *table, uint8_t bits) {
    table->old = table->buckets;
    table->old_bits = table->bits;
    table->moved = 0;
    table->bits = bits;
    table->buckets = new_buckets(1ull << bits);
    move_some(table, bits <= AT_ONCE_BITS ? UINT64_MAX : MOVES_A_CHANGE);
}

static void make_room(struct table *table) {
    if (!table->buckets) {
        table->buckets = new_buckets(1);
        table->bits = 0;
        return;
    }
    if (table->old)
        move_some(table, MOVES_A_CHANGE);
    else if (table->count >= (uint64_t)FILL_LIMIT << table->bits)
        resize(table, (uint8_t)(table->bits + 1));
}

static void give_back_room(struct table *table) {
    if (table->count == 0) {
        table_clear(table, NULL);
        return;
    }
    if (table->old)
        move_some(table, MOVES_A_CHANGE);
    else if (table->bits > 0 && table->count < ((uint64_t)BUCKET_ENTRIES << table->bits) / SHRINK_DIVISOR)
        resize(table, (uint8_t)(table->bits - 1));
}

void table_insert(struct table *table, uint64_t hash, struct entry *entry) {
    make_room(table);
    put(table, current_home(table, hash), pack(hash, entry));
    add_count(&table->count, 1);
    if (entry->has_expiry) add_count(&table->expiring, 1);
}

// Frees the overflow buckets of a home bucket that have become empty.
static void drop_empty_overflow(struct table *table, struct bucket *bucket) {
    struct bucket *next = next_bucket(bucket);
    while (next) {
        bool empty = true;
        for (int i = 0; i < BUCKET_ENTRIES; i++)
            empty &= next->places[i] == 0;
        if (empty) {
            link_bucket(bucket, next_bucket(next));
            mem_free(next);
            table->overflowing--;
        } else {
            bucket = next;
        }
        next = next_bucket(bucket);
    }
}

void table_remove(struct table *table, uint64_t hash, uint64_t *place) {
    if (*place & EXPIRY_BIT) add_count(&table->expiring, -1);
    *place = 0;
    add_count(&table->count, -1);
    struct bucket *bucket = current_home(table, hash);
    if (next_bucket(bucket)) drop_empty_overflow(table, bucket);
    give_back_room(table);
}

static void visit_bucket(struct bucket *bucket, void (*visit)(void *context, struct entry *entry), void *context) {
    for (; bucket; bucket = next_bucket(bucket))
        for (int i = 0; i < BUCKET_ENTRIES; i++)
            if (bucket->places[i]) visit(context, table_place_entry(&bucket->places[i]));
}

static uint64_t reverse_bits(uint64_t value) {
    value = __builtin_bswap64(value);
    value = (value & 0x0f0f0f0f0f0f0f0fu) << 4 | (value >> 4 & 0x0f0f0f0f0f0f0f0fu);
    value = (value & 0x3333333333333333u) << 2 | (value >> 2 & 0x3333333333333333u);
    return (value & 0x5555555555555555u) << 1 | (value >> 1 & 0x5555555555555555u);
}

// Adds one to the cursor at its highest bit under the mask, carrying downwards: buckets are met in an order in which a
// table that doubles or halves between two steps neither hides nor (save on shrinking) repeats what was met.
static uint64_t next_cursor(uint64_t cursor, uint64_t mask) {
    cursor |= ~mask;
    return reverse_bits(reverse_bits(cursor) + 1);
}

uint64_t table_scan(struct table *table, uint64_t cursor, void (*visit)(void *context, struct entry *entry),
                    void *context) {
    if (!table->buckets) return 0;
    uint64_t mask = (1ull << table->bits) - 1;
    if (!table->old) {
        visit_bucket(&table->buckets[cursor & mask], visit, context);
        return next_cursor(cursor, mask);
    }
    // While two arrays hold entries: the bucket of the smaller, and all of the larger that it spreads to.
    uint64_t old_mask = (1ull << table->old_bits) - 1;
    bool grows = mask > old_mask;
    struct bucket *small = grows ? table->old : table->buckets, *large = grows ? table->buckets : table->old;
    uint64_t small_mask = grows ? old_mask : mask, large_mask = grows ? mask : old_mask;
    visit_bucket(&small[cursor & small_mask], visit, context);
    do {
        visit_bucket(&large[cursor & large_mask], visit, context);
        cursor = next_cursor(cursor, large_mask);
    } while (cursor & (small_mask ^ large_mask));
    return cursor;
}

static bool each_in(struct bucket *buckets, uint8_t bits, bool (*visit)(void *context, struct entry *entry),
                    void *context) {
    for (uint64_t i = 0; i < 1ull << bits; i++)
        for (struct bucket *bucket = &buckets[i]; bucket; bucket = next_bucket(bucket))
            for (int j = 0; j < BUCKET_ENTRIES; j++)
                if (bucket->places[j] && !visit(context, table_place_entry(&bucket->places[j]))) return false;
    return true;
}

bool table_each(struct table *table, bool (*visit)(void *context, struct entry *entry), void *context) {
    if (table->buckets && !each_in(table->buckets, table->bits, visit, context)) return false;
    return !table->old || each_in(table->old, table->old_bits, visit, context);
}

// Adds a bucket's entries, its overflow included, to `found`; what finds no room there waits for the next round.
static unsigned gather(const struct bucket *bucket, bool expiring_only, struct entry **found, unsigned count) {
    for (; bucket; bucket = next_bucket(bucket))
        for (int i = 0; i < BUCKET_ENTRIES && count < GATHERED_MAX; i++)
            if (bucket->places[i] && (!expiring_only || bucket->places[i] & EXPIRY_BIT))
                found[count++] = table_place_entry(&bucket->places[i]);
    return count;
}

bool table_walk(struct table *table, uint32_t *cursor, unsigned limit, bool expiring_only,
                void (*visit)(void *context, struct entry *entry), void *context) {
    struct entry *found[GATHERED_MAX];
    while (limit--) {
        // A visit may remove its entry and so free buckets: they are gathered first, and the table is looked at anew.
        if (!table->buckets || *cursor >= 1ull << table->bits) {
            *cursor = 0;
            return true;
        }
        unsigned count = gather(&table->buckets[*cursor], expiring_only, found, 0);
        if (table->old && *cursor < 1ull << table->old_bits)
            count = gather(&table->old[*cursor], expiring_only, found, count);
        for (unsigned i = 0; i < count; i++)
            visit(context, found[i]);
        ++*cursor;
    }
    return false;
}

// Any fitting entry of the bucket, chosen by `random`; NULL when there is none.
static struct entry *pick(struct bucket *bucket, uint64_t random, bool expiring_only) {
    struct entry *chosen = NULL;
    unsigned seen = 0;
    for (; bucket; bucket = next_bucket(bucket))
        for (int i = 0; i < BUCKET_ENTRIES; i++) {
            uint64_t word = bucket->places[i];
            if (!word || (expiring_only && !(word & EXPIRY_BIT))) continue;
            seen++;
            random = random * 6364136223846793005u + 1442695040888963407u;
            if ((random >> 33) % seen == 0) chosen = table_place_entry(&word);
        }
    return chosen;
}

struct entry *table_random(struct table *table, uint64_t random, bool expiring_only) {
    if (table->count == 0 || (expiring_only && table->expiring == 0)) return NULL;
    uint64_t size = 1ull << table->bits, old_size = table->old ? 1ull << table->old_bits : 0;
    for (uint64_t probe = 0; probe < size + old_size + EMPTY_PROBES; probe++) {
        uint64_t at = probe < EMPTY_PROBES ? (random = random * 6364136223846793005u + 1442695040888963407u) >> 16
                                           : probe;
        at %= size + old_size;
        struct entry *entry =
            pick(at < size ? &table->buckets[at] : &table->old[at - size], random, expiring_only);
        if (entry) return entry;
    }
    return NULL;
}

static void clear_buckets(struct bucket *buckets, uint8_t bits, void (*free_entry)(struct entry *entry)) {
    for (uint64_t i = 0; i < 1ull << bits; i++)
        for (struct bucket *bucket = &buckets[i], *next; bucket; bucket = next) {
            next = next_bucket(bucket);
            for (int j = 0; free_entry && j < BUCKET_ENTRIES; j++)
                if (bucket->places[j]) free_entry(table_place_entry(&bucket->places[j]));
            if (bucket != &buckets[i]) mem_free(bucket);
        }
    mem_free(buckets);
}

void table_clear(struct table *table, void (*free_entry)(struct entry *entry)) {
    if (table->buckets) clear_buckets(table->buckets, table->bits, free_entry);
    if (table->old) clear_buckets(table->old, table->old_bits, free_entry);
    table->buckets = table->old = NULL;
    table->bits = table->old_bits = 0;
    table->moved = 0;
    table->overflowing = 0;
    __atomic_store_n(&table->count, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&table->expiring, 0, __ATOMIC_RELAXED);
}

size_t table_memory(const struct table *table) {
    size_t buckets = table->overflowing;
    if (table->buckets) buckets += (size_t)1 << table->bits;
    if (table->old) buckets += (size_t)1 << table->old_bits;
    return buckets * sizeof(struct bucket);
}
