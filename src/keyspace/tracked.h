// tracked: who has read which keys of one slot and wants to be told when they change (CLIENT TRACKING).
// A key stands here once, whatever its database, with each of its readers once; it leaves as a whole.
// Invariant: a key in the table has at least one reader. The slot's lock protects a table; a key that was
// taken out belongs to whoever took it.
#ifndef SHOAL_KEYSPACE_TRACKED_H
#define SHOAL_KEYSPACE_TRACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct tracked_key {
    struct tracked_key *next; // of its chain
    uint64_t hash;
    uint64_t *readers; // open addressing; 0: a free place
    uint32_t capacity; // of readers, a power of two
    uint32_t count;    // readers
    uint32_t key_size;
    char key[];
};

// All zero is an empty table that owns nothing.
struct tracked_table {
    struct tracked_key **chains;
    uint32_t chain_count; // a power of two, or 0
    uint32_t count;       // keys
};

struct tracked_added {
    bool key, reader; // is it new?
};

// Notes that `reader`, any number but 0, has read `key`; `hash` is hash_bytes of it.
struct tracked_added tracked_add(struct tracked_table *table, uint64_t hash, struct bytes key,
                                 uint64_t reader);

// Takes a key out: this one, or NULL when nobody has read it; or one that a random number chooses, NULL from
// an empty table. Free it with tracked_key_free.
struct tracked_key *tracked_take(struct tracked_table *table, uint64_t hash, struct bytes key);
struct tracked_key *tracked_take_any(struct tracked_table *table, uint64_t random);

void tracked_key_free(struct tracked_key *key);
void tracked_table_free(struct tracked_table *table); // with all its keys

static inline struct bytes tracked_key_bytes(const struct tracked_key *key) {
    return bytes_of(key->key, key->key_size);
}

// Walks the readers, in no order.
#define TRACKED_EACH_READER(reader, tracked)                                                                 \
    for (uint32_t reader##_at = 0; reader##_at < (tracked)->capacity; reader##_at++)                         \
        for (uint64_t reader = (tracked)->readers[reader##_at]; reader; reader = 0)

#endif
