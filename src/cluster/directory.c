#include "cluster/directory.h"

#include <stdbool.h>
#include <string.h>

#include "base/memory.h"

enum { TABLE_SMALLEST = 64, ENTRIES_PER_BLOCK = 64 };

// What both kinds of entry begin with; the key follows.
struct entry {
    uint32_t number, hash, references;
    char key[];
};

// Entries lie in blocks by their numbers; an index of open addressing, at most half full, finds them.
struct table {
    uint32_t key_size, entry_size;
    char **blocks;
    uint32_t end;    // numbers given so far
    uint32_t *spare; // of those, numbers that are free
    uint32_t spare_count, spare_capacity;
    uint64_t *index; // hash above, number plus one below; 0 is a gap
    uint32_t index_size, count;
};

struct directory {
    struct table names, addresses;
    uint32_t holders;
};

_Static_assert(offsetof(struct directory_name, id) == offsetof(struct entry, key), "an entry and its key");
_Static_assert(offsetof(struct directory_address, place) == offsetof(struct entry, key),
               "an entry and its key");
_Static_assert(sizeof(struct directory_place) % sizeof(uint32_t) == 0, "no padding, whole words");

// Names are random already, and the same seed must give the same order everywhere.
static uint32_t key_hash(const char *key, uint32_t size) {
    uint64_t hash = 0;
    uint32_t at = 0;
    for (uint64_t word, factor = 0x9e3779b97f4a7c15u; at + sizeof(word) <= size; at += sizeof(word)) {
        memcpy(&word, key + at, sizeof(word));
        hash += (word ^ word >> 32) * factor;
        factor += 0xc2b2ae3d27d4eb4eu;
    }
    uint32_t tail = 0;
    if (at < size) memcpy(&tail, key + at, sizeof(tail));
    hash += tail;
    return (uint32_t)((hash ^ hash >> 29) * 0x9e3779b97f4a7c15u >> 32);
}

static struct entry *entry_at(const struct table *table, uint32_t number) {
    return (struct entry *)(table->blocks[number / ENTRIES_PER_BLOCK] +
                            (size_t)(number % ENTRIES_PER_BLOCK) * table->entry_size);
}

static struct entry *entry_of(const struct table *table, uint64_t place) {
    return entry_at(table, (uint32_t)place - 1);
}

static inline __attribute__((always_inline)) struct entry *find(const struct table *table, const char *key,
                                                                uint32_t size, uint32_t hash) {
    uint32_t mask = table->index_size - 1;
    uint64_t place;
    for (uint32_t at = hash & mask; (place = table->index[at]) != 0; at = (at + 1) & mask) {
        if (place >> 32 != hash) continue;
        struct entry *entry = entry_of(table, place);
        if (memcmp(entry->key, key, size) == 0) return entry;
    }
    return NULL;
}

static void index_put(struct table *table, const struct entry *entry) {
    uint32_t mask = table->index_size - 1, at = entry->hash & mask;
    while (table->index[at])
        at = (at + 1) & mask;
    table->index[at] = (uint64_t)entry->hash << 32 | (entry->number + 1);
}

static void index_grow(struct table *table) {
    uint64_t *old = table->index;
    uint32_t size = table->index_size;
    table->index_size = size * 2;
    table->index = mem_calloc(table->index_size, sizeof(*table->index));
    for (uint32_t i = 0; i < size; i++)
        if (old[i]) index_put(table, entry_of(table, old[i]));
    mem_free(old);
}

// Takes an entry out and closes the gap behind it.
static void index_remove(struct table *table, const struct entry *entry) {
    uint32_t mask = table->index_size - 1, at = entry->hash & mask;
    while ((uint32_t)table->index[at] != entry->number + 1)
        at = (at + 1) & mask;
    table->index[at] = 0;
    for (uint32_t next = (at + 1) & mask; table->index[next]; next = (next + 1) & mask) {
        uint64_t moved = table->index[next];
        table->index[next] = 0;
        index_put(table, entry_of(table, moved));
    }
}

static uint32_t free_number(struct table *table) {
    if (table->spare_count) return table->spare[--table->spare_count];
    if (table->end % ENTRIES_PER_BLOCK == 0) {
        uint32_t blocks = table->end / ENTRIES_PER_BLOCK;
        table->blocks = mem_realloc(table->blocks, (blocks + 1) * sizeof(*table->blocks));
        table->blocks[blocks] = mem_alloc((size_t)ENTRIES_PER_BLOCK * table->entry_size);
    }
    return table->end++;
}

static void *take(struct table *table, const void *key) {
    uint32_t hash = key_hash(key, table->key_size);
    struct entry *entry = find(table, key, table->key_size, hash);
    if (entry) {
        entry->references++;
        return entry;
    }
    if (++table->count * 2 > table->index_size) index_grow(table);
    uint32_t number = free_number(table);
    entry = entry_at(table, number);
    entry->number = number;
    entry->hash = hash;
    entry->references = 1;
    memcpy(entry->key, key, table->key_size);
    index_put(table, entry);
    return entry;
}

static void drop(struct table *table, struct entry *entry) {
    if (entry == NULL || --entry->references) return;
    index_remove(table, entry);
    table->count--;
    if (table->spare_count == table->spare_capacity) {
        table->spare_capacity = table->spare_capacity ? table->spare_capacity * 2 : TABLE_SMALLEST;
        table->spare = mem_realloc(table->spare, table->spare_capacity * sizeof(*table->spare));
    }
    table->spare[table->spare_count++] = entry->number;
}

static void table_init(struct table *table, uint32_t key_size, uint32_t entry_size) {
    table->key_size = key_size;
    table->entry_size = entry_size;
    table->index_size = TABLE_SMALLEST;
    table->index = mem_calloc(table->index_size, sizeof(*table->index));
}

static void table_free(struct table *table) {
    for (uint32_t i = 0; i < (table->end + ENTRIES_PER_BLOCK - 1) / ENTRIES_PER_BLOCK; i++)
        mem_free(table->blocks[i]);
    mem_free(table->blocks);
    mem_free(table->spare);
    mem_free(table->index);
}

// ---- The door ----

struct directory *directory_create(void) {
    struct directory *directory = mem_calloc(1, sizeof(*directory));
    table_init(&directory->names, CLUSTER_ID_SIZE, sizeof(struct directory_name));
    table_init(&directory->addresses, sizeof(struct directory_place), sizeof(struct directory_address));
    directory->holders = 1;
    return directory;
}

struct directory *directory_retain(struct directory *directory) {
    directory->holders++;
    return directory;
}

void directory_release(struct directory *directory) {
    if (--directory->holders) return;
    table_free(&directory->names);
    table_free(&directory->addresses);
    mem_free(directory);
}

struct directory_name *directory_take_name(struct directory *directory, const char *id) {
    return take(&directory->names, id);
}

struct directory_address *directory_take_address(struct directory *directory,
                                                 const struct directory_place *place) {
    return take(&directory->addresses, place);
}

void directory_drop_name(struct directory *directory, struct directory_name *name) {
    drop(&directory->names, (struct entry *)name);
}

void directory_drop_address(struct directory *directory, struct directory_address *address) {
    drop(&directory->addresses, (struct entry *)address);
}

int64_t directory_find_name(const struct directory *directory, const char *id) {
    uint32_t hash = key_hash(id, CLUSTER_ID_SIZE);
    const struct entry *entry = find(&directory->names, id, CLUSTER_ID_SIZE, hash);
    return entry ? (int64_t)entry->number : -1;
}
