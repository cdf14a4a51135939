#include "keyspace/keyspace.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"
#include "keyspace/access.h"
#include "keyspace/bucket.h"
#include "keyspace/keyspace_private.h"
#include "keyspace/slot_lock.h"

struct keyspace *keyspace_create(unsigned databases) {
    struct keyspace *keyspace = mem_aligned_alloc(64, sizeof *keyspace);
    memset(keyspace, 0, sizeof *keyspace);
    keyspace->database_count = databases;
    keyspace->databases = mem_calloc(databases, sizeof *keyspace->databases);
    keyspace->access = (struct keyspace_access){.lfu = false, .log_factor = 10, .decay_time = 1};
    return keyspace;
}

void keyspace_destroy(struct keyspace *keyspace) {
    for (unsigned db = 0; db < keyspace->database_count; db++) {
        keyspace_clear(keyspace, db);
        mem_free(keyspace->databases[db].tables);
    }
    keyspace__free_audiences(keyspace);
    mem_free(keyspace->databases);
    mem_free(keyspace);
}

unsigned keyspace_databases(const struct keyspace *keyspace) {
    return keyspace->database_count;
}

struct keyspace_access *keyspace_access(struct keyspace *keyspace) {
    return &keyspace->access;
}

// --- Tables.

struct table *keyspace__table(const struct keyspace *keyspace, unsigned db, unsigned slot) {
    if (__builtin_expect(db == keyspace->swapped_zero, 1))
        return (struct table *)&keyspace->slots[slot].table;
    struct table *tables = __atomic_load_n(&keyspace->databases[db].tables, __ATOMIC_ACQUIRE);
    return tables ? &tables[slot] : NULL;
}

__attribute__((noinline)) static struct table *make_tables(struct keyspace *keyspace, unsigned db,
                                                           unsigned slot) {
    // Two slots may be written for the first time at once, by two workers.
    lock_acquire(&keyspace->databases_lock);
    if (!keyspace->databases[db].tables) {
        struct table *tables = mem_calloc(HASH_SLOTS, sizeof *tables);
        __atomic_store_n(&keyspace->databases[db].tables, tables, __ATOMIC_RELEASE);
    }
    lock_release(&keyspace->databases_lock);
    return &keyspace->databases[db].tables[slot];
}

static inline struct table *table_for_writing(struct keyspace *keyspace, unsigned db, unsigned slot) {
    struct table *table = keyspace__table(keyspace, db, slot);
    return __builtin_expect(table != NULL, 1) ? table : make_tables(keyspace, db, slot);
}

// --- Entries.

static size_t entry_size(size_t key_size, size_t value_size, bool expiry) {
    return ENTRY_HEADER_SIZE + (expiry ? 8 : 0) + key_size + value_size;
}

static void free_entry(struct entry *entry) {
    if (entry->encoding == ENCODING_BLOB) blob_release(entry_blob(entry));
    mem_free(entry);
}

// A new entry with its value unset.
static struct entry *make_entry(struct bytes key, enum entry_encoding encoding, size_t value_size,
                                int64_t expire_ms) {
    bool expiry = expire_ms != NO_EXPIRY;
    struct entry *entry = mem_try_alloc(entry_size(key.size, value_size, expiry));
    if (!entry) return NULL;
    *entry = (struct entry){.type = ENTRY_STRING,
                            .encoding = encoding,
                            .has_expiry = expiry,
                            .key_size = (uint32_t)key.size,
                            .value_size = (uint32_t)value_size};
    if (expiry) memcpy(entry->data, &expire_ms, sizeof expire_ms);
    memcpy((char *)entry__key_data(entry), key.data, key.size);
    return entry;
}

// Where a value is to be written, and what is there.
struct target {
    struct table *table;
    uint64_t *place; // of the old entry, or NULL
    uint64_t hash;
    struct bytes key;
    int64_t expire_ms, now_ms;
};

static inline void aim(struct target *target, struct keyspace *keyspace, unsigned db, unsigned slot,
                       uint64_t hash, struct bytes key, int64_t expire_ms, int64_t now_ms) {
    struct table *table = table_for_writing(keyspace, db, slot);
    *target = (struct target){.table = table,
                              .place = table_find(table, hash, key),
                              .hash = hash,
                              .key = key,
                              .expire_ms = expire_ms,
                              .now_ms = now_ms};
}

static inline struct entry *target_entry(const struct target *target) {
    return target->place ? table_place_entry(target->place) : NULL;
}

// Could `old`, which has another size, hold a value of this one without moving, and without wasting much?
static bool has_room(struct entry *old, size_t value_size, bool expiry) {
    size_t needed = entry_size(old->key_size, value_size, expiry);
    size_t room = mem_usable_size(old);
    return needed <= room && room <= needed + 16 + needed / 4;
}

static inline bool fits_in_place(struct entry *old, size_t value_size, bool expiry) {
    if (old->has_expiry != expiry || old->encoding == ENCODING_BLOB) return false;
    return old->value_size == value_size || has_room(old, value_size, expiry);
}

static struct entry *put_new_entry(struct keyspace *keyspace, const struct target *target,
                                   enum entry_encoding encoding, size_t value_size) {
    struct entry *entry = make_entry(target->key, encoding, value_size, target->expire_ms),
                 *old = target_entry(target);
    if (!entry) return NULL;
    if (old) {
        entry->access = old->access;
        access_use(&keyspace->access, entry, target->now_ms);
        table_place_set(target->table, target->place, entry);
        free_entry(old);
    } else {
        access_start(&keyspace->access, entry, target->now_ms);
        table_insert(target->table, target->hash, entry);
    }
    return entry;
}

// The entry to write a value of this size into: the old one where it fits, else a new one in its place.
static inline struct entry *prepare_entry(struct keyspace *keyspace, const struct target *target,
                                          enum entry_encoding encoding, size_t value_size) {
    struct entry *old = target_entry(target);
    if (!old || !fits_in_place(old, value_size, target->expire_ms != NO_EXPIRY))
        return put_new_entry(keyspace, target, encoding, value_size);
    if (old->has_expiry) memcpy(old->data, &target->expire_ms, sizeof target->expire_ms);
    old->encoding = encoding;
    old->value_size = (uint32_t)value_size;
    old->raw = false;
    access_use(&keyspace->access, old, target->now_ms);
    return old;
}

struct entry *keyspace_find(struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t hash,
                            struct bytes key) {
    struct table *table = keyspace__table(keyspace, db, slot);
    if (!table) return NULL;
    uint64_t *place = table_find(table, hash, key);
    return place ? table_place_entry(place) : NULL;
}

void keyspace_use(struct keyspace *keyspace, struct entry *entry, int64_t now_ms) {
    access_use(&keyspace->access, entry, now_ms);
}

// Is the value worth keeping as an integer? Only what would read back as the same bytes.
static bool as_integer(struct bytes value, int64_t *integer) {
    if (value.size == 0 || value.size > 20) return false;
    char first = value.data[0];
    if (first != '-' && (first < '0' || first > '9')) return false;
    return number_parse(value, integer);
}

static struct entry *write_integer(struct keyspace *keyspace, const struct target *target, int64_t integer) {
    struct entry *entry = prepare_entry(keyspace, target, ENCODING_INTEGER, sizeof integer);
    if (entry) memcpy(entry__value_data(entry), &integer, sizeof integer);
    return entry;
}

// A pointer has the size of an integer, so an old blob's entry never looks fit: its blob is released with it.
static struct entry *write_blob(struct keyspace *keyspace, const struct target *target, struct blob *blob) {
    struct entry *entry = blob ? prepare_entry(keyspace, target, ENCODING_BLOB, sizeof blob) : NULL;
    if (entry)
        memcpy(entry__value_data(entry), &blob, sizeof blob);
    else if (blob)
        blob_release(blob);
    return entry;
}

static struct blob *blob_of(struct bytes value) {
    struct blob *blob = blob_create(value.size, value.size);
    if (blob) memcpy(blob->data, value.data, value.size);
    return blob;
}

struct entry *keyspace_set_string(struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t hash,
                                  struct bytes key, struct bytes value, int64_t expire_ms, int64_t now_ms) {
    struct target target;
    aim(&target, keyspace, db, slot, hash, key, expire_ms, now_ms);
    int64_t integer;
    if (as_integer(value, &integer)) return write_integer(keyspace, &target, integer);
    if (value.size > ENTRY_EMBEDDED_MAX) return write_blob(keyspace, &target, blob_of(value));
    struct entry *entry = prepare_entry(keyspace, &target, ENCODING_EMBEDDED, value.size);
    if (entry) memcpy(entry__value_data(entry), value.data, value.size);
    return entry;
}

struct entry *keyspace_set_blob(struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t hash,
                                struct bytes key, struct blob *blob, int64_t expire_ms, int64_t now_ms) {
    struct target target;
    aim(&target, keyspace, db, slot, hash, key, expire_ms, now_ms);
    return write_blob(keyspace, &target, blob_share(blob));
}

struct entry *keyspace_set_integer(struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t hash,
                                   struct bytes key, int64_t value, int64_t now_ms) {
    struct target target;
    aim(&target, keyspace, db, slot, hash, key, NO_EXPIRY, now_ms);
    if (target.place) target.expire_ms = entry_expiry(target_entry(&target));
    return write_integer(keyspace, &target, value);
}

// A blob with the string's bytes, zero-filled to `size`, with room to grow.
static struct blob *widened_blob(struct bytes value, size_t size) {
    size_t capacity = size < 1024 * 1024 ? size * 2 : size + 1024 * 1024;
    struct blob *blob = blob_create(size, capacity);
    if (!blob) return NULL;
    memcpy(blob->data, value.data, value.size);
    memset(blob->data + value.size, 0, size - value.size);
    return blob;
}

// The blob of `entry`, unshared and at least `size` long; the entry itself does not move.
static struct blob *open_blob(struct entry *entry, size_t size) {
    struct blob *blob = entry_blob(entry);
    if (!blob_is_shared(blob) && size <= blob->capacity) {
        if (size > blob->size) {
            memset(blob->data + blob->size, 0, size - blob->size);
            blob->size = size;
        }
        return blob;
    }
    struct blob *wider = widened_blob(blob_bytes(blob), size > blob->size ? size : blob->size);
    if (!wider) return NULL;
    memcpy(entry__value_data(entry), &wider, sizeof wider);
    blob_release(blob);
    return wider;
}

struct entry *keyspace_open_string(struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t hash,
                                   struct bytes key, size_t size, int64_t now_ms, char **data) {
    struct target target;
    aim(&target, keyspace, db, slot, hash, key, NO_EXPIRY, now_ms);
    struct entry *old = target_entry(&target);
    if (old && old->encoding == ENCODING_BLOB) {
        struct blob *blob = open_blob(old, size);
        if (!blob) return NULL;
        access_use(&keyspace->access, old, now_ms);
        *data = blob->data;
        return old;
    }
    char copy[ENTRY_EMBEDDED_MAX]; // an integer's text fits as well
    struct bytes value = {copy, 0};
    if (old) {
        value = entry_string(old, copy);
        if (value.data != copy) memcpy(copy, value.data, value.size);
        value.data = copy;
        target.expire_ms = entry_expiry(old);
    }
    if (size < value.size) size = value.size;
    struct entry *entry;
    if (size <= ENTRY_EMBEDDED_MAX) {
        entry = prepare_entry(keyspace, &target, ENCODING_EMBEDDED, size);
        if (!entry) return NULL;
        *data = entry__value_data(entry);
        memcpy(*data, value.data, value.size);
        memset(*data + value.size, 0, size - value.size);
    } else {
        entry = write_blob(keyspace, &target, widened_blob(value, size));
        if (!entry) return NULL;
        *data = entry_blob(entry)->data;
    }
    entry->raw = true;
    return entry;
}

struct entry *keyspace_set_expiry(struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t hash,
                                  struct bytes key, int64_t expire_ms) {
    struct table *table = table_for_writing(keyspace, db, slot);
    uint64_t *place = table_find(table, hash, key);
    if (!place) return NULL;
    struct entry *old = table_place_entry(place);
    if (old->has_expiry && expire_ms != NO_EXPIRY) {
        memcpy(old->data, &expire_ms, sizeof expire_ms);
        return old;
    }
    if (!old->has_expiry && expire_ms == NO_EXPIRY) return old;
    struct entry *entry = make_entry(key, (enum entry_encoding)old->encoding, old->value_size, expire_ms);
    if (!entry) abort(); // a few bytes: the heap is at its end
    entry->access = old->access;
    entry->raw = old->raw;
    memcpy(entry__value_data(entry), entry__value_data(old), old->value_size);
    table_place_set(table, place, entry);
    mem_free(old); // its blob, if any, moved on
    return entry;
}

bool keyspace_remove(struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t hash, struct bytes key) {
    struct table *table = keyspace__table(keyspace, db, slot);
    uint64_t *place = table ? table_find(table, hash, key) : NULL;
    if (!place) return false;
    struct entry *entry = table_place_entry(place);
    table_remove(table, hash, place);
    free_entry(entry);
    return true;
}

void keyspace_prefetch_slot(const struct keyspace *keyspace, unsigned db, unsigned slot) {
    prefetch_to_write(&keyspace->slots[slot]); // where there are several workers, its lock is
    if (__builtin_expect(db != keyspace->swapped_zero, 0)) {
        const struct table *table = keyspace__table(keyspace, db, slot);
        if (table) prefetch(table);
    }
}

void keyspace_prefetch_bucket(const struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t hash) {
    const struct table *table = keyspace__table(keyspace, db, slot);
    if (table) table_prefetch_bucket(table, hash);
}

// While other threads may change the slot, its buckets are looked at under its lock, or not at all when that
// is taken. The lock costs a fraction of the wait for the entry, and is soon wanted anyway.
__attribute__((noinline)) static void prefetch_entry_locked(const struct keyspace *keyspace,
                                                            const struct table *table, unsigned slot,
                                                            uint64_t hash) {
    struct lock *lock = (struct lock *)&keyspace->slots[slot].lock;
    if (!lock_try(lock)) return;
    table_prefetch_entry(table, hash);
    lock_release(lock);
}

void keyspace_prefetch_entry(const struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t hash) {
    const struct table *table = keyspace__table(keyspace, db, slot);
    if (!table) return;
    if (slot_locks_needed((struct keyspace *)keyspace))
        prefetch_entry_locked(keyspace, table, slot, hash);
    else
        table_prefetch_entry(table, hash);
}

// --- Many keys.

static size_t sum_counts(const struct keyspace *keyspace, unsigned db, size_t field) {
    size_t sum = 0;
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++) {
        const struct table *table = keyspace__table(keyspace, db, slot);
        if (!table) return 0;
        sum += __atomic_load_n((const uint32_t *)((const char *)table + field), __ATOMIC_RELAXED);
    }
    return sum;
}

size_t keyspace_count(const struct keyspace *keyspace, unsigned db) {
    return sum_counts(keyspace, db, offsetof(struct table, count));
}

size_t keyspace_count_expiring(const struct keyspace *keyspace, unsigned db) {
    return sum_counts(keyspace, db, offsetof(struct table, expiring));
}

size_t keyspace_slot_count_in(const struct keyspace *keyspace, unsigned db, unsigned slot) {
    const struct table *table = keyspace__table(keyspace, db, slot);
    return table ? __atomic_load_n(&table->count, __ATOMIC_RELAXED) : 0;
}

size_t keyspace_slot_count_expiring_in(const struct keyspace *keyspace, unsigned db, unsigned slot) {
    const struct table *table = keyspace__table(keyspace, db, slot);
    return table ? __atomic_load_n(&table->expiring, __ATOMIC_RELAXED) : 0;
}

size_t keyspace_slot_count(const struct keyspace *keyspace, unsigned slot) {
    size_t sum = 0;
    for (unsigned db = 0; db < keyspace->database_count; db++)
        sum += keyspace_slot_count_in(keyspace, db, slot);
    return sum;
}

uint64_t keyspace_slot_scan(struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t cursor,
                            void (*visit)(void *context, struct entry *entry), void *context) {
    struct table *table = keyspace__table(keyspace, db, slot);
    return table ? table_scan(table, cursor, visit, context) : 0;
}

bool keyspace_slot_each(struct keyspace *keyspace, unsigned db, unsigned slot,
                        bool (*visit)(void *context, struct entry *entry), void *context) {
    struct table *table = keyspace__table(keyspace, db, slot);
    return !table || table_each(table, visit, context);
}

bool keyspace_slot_walk(struct keyspace *keyspace, unsigned db, unsigned slot, uint32_t *cursor,
                        unsigned limit, bool expiring_only, void (*visit)(void *context, struct entry *entry),
                        void *context) {
    struct table *table = keyspace__table(keyspace, db, slot);
    return !table || table_walk(table, cursor, limit, expiring_only, visit, context);
}

struct entry *keyspace_slot_random(struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t random,
                                   bool expiring_only) {
    struct table *table = keyspace__table(keyspace, db, slot);
    return table ? table_random(table, random, expiring_only) : NULL;
}

void keyspace_slot_clear(struct keyspace *keyspace, unsigned slot) {
    for (unsigned db = 0; db < keyspace->database_count; db++) {
        struct table *table = keyspace__table(keyspace, db, slot);
        if (table) table_clear(table, free_entry);
    }
}

struct detached {
    struct table tables[HASH_SLOTS];
};

struct detached *keyspace_detach(struct keyspace *keyspace, unsigned db) {
    struct detached *detached = mem_calloc(1, sizeof *detached);
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++) {
        struct table *table = keyspace__table(keyspace, db, slot);
        if (!table) break;
        detached->tables[slot] = *table;
        *table = (struct table){0};
    }
    return detached;
}

void keyspace_free_detached(struct detached *detached) {
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++)
        table_clear(&detached->tables[slot], free_entry);
    mem_free(detached);
}

void keyspace_clear(struct keyspace *keyspace, unsigned db) {
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++) {
        struct table *table = keyspace__table(keyspace, db, slot);
        if (table) table_clear(table, free_entry);
    }
}

void keyspace_swap(struct keyspace *keyspace, unsigned a, unsigned b) {
    if (a == b) return;
    keyspace->swaps++;
    // The slots' own tables stay where they are; what changes is the database that they stand for.
    struct table *tables = keyspace->databases[a].tables;
    keyspace->databases[a].tables = keyspace->databases[b].tables;
    keyspace->databases[b].tables = tables;
    if (keyspace->swapped_zero == a)
        keyspace->swapped_zero = b;
    else if (keyspace->swapped_zero == b)
        keyspace->swapped_zero = a;
}

uint64_t keyspace_swaps(const struct keyspace *keyspace) {
    return keyspace->swaps;
}

size_t keyspace_table_memory(const struct keyspace *keyspace, unsigned db) {
    size_t sum = 0;
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++) {
        // The loader's thread may be at work even in exclusive mode.
        slot_lock((struct keyspace *)keyspace, slot);
        const struct table *table = keyspace__table(keyspace, db, slot);
        if (table) sum += table_memory(table);
        slot_unlock((struct keyspace *)keyspace, slot);
    }
    return sum;
}

// --- Busy slots and routes.

bool keyspace_slot_busy(const struct keyspace *keyspace, unsigned slot) {
    return __atomic_load_n(&keyspace->slots[slot].busy, __ATOMIC_RELAXED);
}

void keyspace_slot_set_busy(struct keyspace *keyspace, unsigned slot, bool busy) {
    __atomic_store_n(&keyspace->slots[slot].busy, busy, __ATOMIC_RELAXED);
}

const struct routes *keyspace_publish_routes(struct keyspace *keyspace, const struct routes *routes) {
    return atomic_exchange_explicit(&keyspace->front.routes, routes, memory_order_acq_rel);
}
