// bucket: the inside of a table: its buckets, and the search in them, which is inlined where every command
// comes along. Invariants, thread and lock are those of table.h; only the files of this folder look in here.
#ifndef SHOAL_KEYSPACE_BUCKET_H
#define SHOAL_KEYSPACE_BUCKET_H

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/prefetch.h"
#include "keyspace/table.h"

enum { BUCKET_ENTRIES = 7 };

#define POINTER_MASK 0xffffffffffffu
#define EXPIRY_BIT (1ull << 48)
#define TAG_SHIFT 49

// One cache line. links[0..6]: entries; link: the overflow bucket in its low 48 bits.
struct bucket {
    uint64_t places[BUCKET_ENTRIES];
    uint64_t link;
};

static inline struct bucket *next_bucket(const struct bucket *bucket) {
    return (struct bucket *)(uintptr_t)(bucket->link & POINTER_MASK);
}

static inline struct bucket *home(struct bucket *buckets, uint8_t bits, uint64_t hash) {
    return &buckets[hash & ((1ull << bits) - 1)];
}

// A bit for each place of the bucket whose tag is that of the hash; an empty place may be among them.
static inline unsigned places_like(const struct bucket *bucket, uint64_t hash) {
#if defined(__SSE2__)
    // The upper halves of the eight words, then of these the tags, side by side; tags have 15 bits: nothing
    // saturates.
    const __m128 *words = (const __m128 *)bucket;
    __m128i first = _mm_castps_si128(_mm_shuffle_ps(words[0], words[1], _MM_SHUFFLE(3, 1, 3, 1)));
    __m128i second = _mm_castps_si128(_mm_shuffle_ps(words[2], words[3], _MM_SHUFFLE(3, 1, 3, 1)));
    __m128i tags =
        _mm_packs_epi32(_mm_srli_epi32(first, TAG_SHIFT - 32), _mm_srli_epi32(second, TAG_SHIFT - 32));
    __m128i equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16((short)(hash >> TAG_SHIFT)));
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128())) &
           ((1u << BUCKET_ENTRIES) - 1);
#else
    unsigned like = 0;
    for (int i = 0; i < BUCKET_ENTRIES; i++)
        like |= (unsigned)(bucket->places[i] >> TAG_SHIFT == hash >> TAG_SHIFT) << i;
    return like;
#endif
}

static inline unsigned first_of(unsigned places) {
    return (unsigned)__builtin_ctz(places);
}

// The home bucket of a hash in the array that holds it now: the old one until that bucket was moved.
static inline struct bucket *current_home(const struct table *table, uint64_t hash) {
    if (__builtin_expect(table->old != NULL, 0)) {
        uint64_t index = hash & ((1ull << table->old_bits) - 1);
        if (index >= table->moved) return &table->old[index];
    }
    return home(table->buckets, table->bits, hash);
}

// The place of the key in this bucket or those that overflow from it, or NULL.
uint64_t *table__find_in(struct bucket *bucket, uint64_t hash, struct bytes key);

// Is it the entry at this place? Looked at for keys of everyday length only.
static inline bool has_short_key(const uint64_t *place, struct bytes key) {
    const struct entry *entry = table_place_entry(place);
    return entry && entry->key_size == key.size && BYTES_SHORT_MIN <= key.size &&
           key.size <= BYTES_SHORT_MAX && bytes_short_equal(entry__key_data(entry), key.data, key.size);
}

// The place of the entry with this key, or NULL. The pointer inside may be replaced with table_place_set.
static inline __attribute__((always_inline)) uint64_t *table_find(struct table *table, uint64_t hash,
                                                                  struct bytes key) {
    if (!table->buckets) return NULL;
    struct bucket *bucket = current_home(table, hash);
    unsigned like = places_like(bucket, hash);
    if (!like && !next_bucket(bucket)) return NULL;
    // Nearly always the first entry with the right tag is the one.
    if (like && has_short_key(&bucket->places[first_of(like)], key)) return &bucket->places[first_of(like)];
    return table__find_in(bucket, hash, key);
}

// Cache hints for an approaching table_find: first the bucket, then, once that has arrived, the entry.

// Without the lock: an address that another thread has just made stale is asked for in vain, and never looked
// at.
static inline __attribute__((no_sanitize_thread)) void table_prefetch_bucket(const struct table *table,
                                                                             uint64_t hash) {
    struct bucket *buckets = __atomic_load_n(&table->buckets, __ATOMIC_RELAXED);
    struct bucket *old = __atomic_load_n(&table->old, __ATOMIC_RELAXED);
    if (__builtin_expect(old != NULL, 0)) {
        uint64_t index = hash & ((1ull << __atomic_load_n(&table->old_bits, __ATOMIC_RELAXED)) - 1);
        if (index >= __atomic_load_n(&table->moved, __ATOMIC_RELAXED)) prefetch(&old[index]);
    }
    if (buckets) prefetch(home(buckets, __atomic_load_n(&table->bits, __ATOMIC_RELAXED), hash));
}

static inline void table_prefetch_entry(const struct table *table, uint64_t hash) {
    if (!table->buckets) return;
    const struct bucket *bucket = current_home(table, hash);
    unsigned like = places_like(bucket, hash);
    if (!like) return;
    const struct entry *entry =
        table_place_entry(&bucket->places[first_of(like)]); // nearly always the only one
    prefetch(entry);
    prefetch((const char *)entry + PREFETCH_LINE); // where an everyday value ends
}

#endif
