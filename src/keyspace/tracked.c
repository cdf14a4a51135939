#include "keyspace/tracked.h"

#include <string.h>

#include "base/memory.h"

enum {
    READERS_AT_FIRST = 2, // most keys have one
    CHAINS_AT_FIRST = 4,
};

// --- The readers of a key.

static uint32_t place_of_reader(const struct tracked_key *key, uint64_t reader) {
    uint32_t at = (uint32_t)((reader * 0x9e3779b97f4a7c15u) >> 32) & (key->capacity - 1);
    while (key->readers[at] && key->readers[at] != reader)
        at = (at + 1) & (key->capacity - 1);
    return at;
}

static void widen_readers(struct tracked_key *key) {
    uint64_t *old = key->readers;
    uint32_t old_capacity = key->capacity;
    key->capacity *= 2;
    key->readers = mem_calloc(key->capacity, sizeof *key->readers);
    for (uint32_t i = 0; i < old_capacity; i++)
        if (old[i]) key->readers[place_of_reader(key, old[i])] = old[i];
    mem_free(old);
}

static bool add_reader(struct tracked_key *key, uint64_t reader) {
    if (key->readers[place_of_reader(key, reader)] == reader) return false;
    if (key->count == key->capacity / 2)
        widen_readers(key); // half of the places stay free: probing ends soon
    key->readers[place_of_reader(key, reader)] = reader;
    key->count++;
    return true;
}

// --- The keys of a table.

static struct tracked_key **chain_of(struct tracked_table *table, uint64_t hash) {
    return &table->chains[hash & (table->chain_count - 1)];
}

static struct tracked_key **find(struct tracked_table *table, uint64_t hash, struct bytes key) {
    if (table->chain_count == 0) return NULL;
    struct tracked_key **link = chain_of(table, hash);
    while (*link && !((*link)->hash == hash && bytes_equal(tracked_key_bytes(*link), key)))
        link = &(*link)->next;
    return *link ? link : NULL;
}

static void widen_chains(struct tracked_table *table) {
    struct tracked_table wider = {.count = table->count};
    wider.chain_count = table->chain_count ? table->chain_count * 2 : CHAINS_AT_FIRST;
    wider.chains = mem_calloc(wider.chain_count, sizeof *wider.chains);
    for (uint32_t i = 0; i < table->chain_count; i++) {
        while (table->chains[i]) {
            struct tracked_key *key = table->chains[i];
            table->chains[i] = key->next;
            struct tracked_key **chain = chain_of(&wider, key->hash);
            key->next = *chain;
            *chain = key;
        }
    }
    mem_free(table->chains);
    *table = wider;
}

static struct tracked_key *insert(struct tracked_table *table, uint64_t hash, struct bytes key) {
    if (table->count == table->chain_count) widen_chains(table);
    struct tracked_key *added = mem_alloc(sizeof *added + key.size);
    *added = (struct tracked_key){.hash = hash, .capacity = READERS_AT_FIRST, .key_size = (uint32_t)key.size};
    added->readers = mem_calloc(READERS_AT_FIRST, sizeof *added->readers);
    if (key.size) memcpy(added->key, key.data, key.size);
    struct tracked_key **chain = chain_of(table, hash);
    added->next = *chain;
    *chain = added;
    table->count++;
    return added;
}

struct tracked_added tracked_add(struct tracked_table *table, uint64_t hash, struct bytes key,
                                 uint64_t reader) {
    struct tracked_key **link = find(table, hash, key);
    struct tracked_key *tracked = link ? *link : insert(table, hash, key);
    return (struct tracked_added){.key = !link, .reader = add_reader(tracked, reader)};
}

static struct tracked_key *take_out(struct tracked_table *table, struct tracked_key **link) {
    struct tracked_key *taken = *link;
    *link = taken->next;
    taken->next = NULL;
    if (--table->count == 0) tracked_table_free(table);
    return taken;
}

struct tracked_key *tracked_take(struct tracked_table *table, uint64_t hash, struct bytes key) {
    struct tracked_key **link = find(table, hash, key);
    return link ? take_out(table, link) : NULL;
}

struct tracked_key *tracked_take_any(struct tracked_table *table, uint64_t random) {
    if (table->count == 0) return NULL;
    uint32_t at = (uint32_t)random & (table->chain_count - 1);
    while (!table->chains[at])
        at = (at + 1) & (table->chain_count - 1);
    return take_out(table, &table->chains[at]);
}

void tracked_key_free(struct tracked_key *key) {
    mem_free(key->readers);
    mem_free(key);
}

void tracked_table_free(struct tracked_table *table) {
    for (uint32_t i = 0; i < table->chain_count; i++) {
        while (table->chains[i]) {
            struct tracked_key *key = table->chains[i];
            table->chains[i] = key->next;
            tracked_key_free(key);
        }
    }
    mem_free(table->chains);
    *table = (struct tracked_table){0};
}
