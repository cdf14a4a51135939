// table: the hash table of one slot of one database: buckets of one cache line, each seven entries and a link.
//
// A bucket's words 0..6 are entries: 48 bits of pointer, 1 bit "has an expiry", 15 bits of hash, so that a miss is told
// from a hit, and an expiring key from a lasting one, without touching the entry. Word 7 links to an overflow bucket in its
// low 48 bits; its upper 16 bits are kept for a snapshot's epoch.
// Growth doubles the bucket array: at once while it is small, else a few buckets with each change ("old" is being emptied).
// Only keyspace.c and its neighbours in this folder use it. The slot's lock protects it.
#ifndef SHOAL_KEYSPACE_TABLE_H
#define SHOAL_KEYSPACE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "keyspace/entry.h"

struct bucket;

struct table {
    struct bucket *buckets; // 1 << bits of them, or NULL when empty
    struct bucket *old;     // the former array, smaller or larger, that is being emptied, or NULL
    uint32_t count;         // entries; read by others without the lock (relaxed)
    uint32_t expiring;      // those with an expiry; likewise
    uint32_t moved;         // buckets of `old` below this index are moved
    uint8_t bits;
    uint8_t old_bits;
    uint32_t overflowing;   // overflow buckets now linked
};

static inline struct entry *table_place_entry(const uint64_t *place) {
    return (struct entry *)(uintptr_t)(*place & 0xffffffffffffu);
}

// Puts another entry with the same key (and hash) in the place.
void table_place_set(struct table *table, uint64_t *place, struct entry *entry);

// Adds an entry whose key is not in the table.
void table_insert(struct table *table, uint64_t hash, struct entry *entry);

// Takes the entry at `place` out, without freeing it.
void table_remove(struct table *table, uint64_t hash, uint64_t *place);

// One step of a scan that meets, over a whole round from cursor 0 to cursor 0, each entry that is there throughout.
// Calls visit for some entries; visit may not change the table.
uint64_t table_scan(struct table *table, uint64_t cursor, void (*visit)(void *context, struct entry *entry),
                    void *context);

// Calls visit for every entry until it returns false; visit may not change the table.
bool table_each(struct table *table, bool (*visit)(void *context, struct entry *entry), void *context);

// Visits the entries of up to `limit` buckets from bucket *cursor on (wrapping to 0 at the end and returning true then),
// only those with an expiry when `expiring_only`. Meant for the expiry cycle: visits do not touch other entries.
bool table_walk(struct table *table, uint32_t *cursor, unsigned limit, bool expiring_only,
                void (*visit)(void *context, struct entry *entry), void *context);

// An entry chosen at random (with the caller's random number), NULL when there is none.
struct entry *table_random(struct table *table, uint64_t random, bool expiring_only);

// Frees the buckets and, with `free_entry`, the entries.
void table_clear(struct table *table, void (*free_entry)(struct entry *entry));

// Bytes of heap in buckets.
size_t table_memory(const struct table *table);

#endif
