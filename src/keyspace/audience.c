// Who listens to the keys of a slot: watches, and the readers of tracked keys.
#include "base/hash.h"
#include "base/memory.h"
#include "keyspace/keyspace_private.h"

static struct audience *audience_of(struct slot *slot) {
    if (!slot->audience) {
        slot->audience = mem_calloc(1, sizeof *slot->audience);
        list_init(&slot->audience->watches);
    }
    return slot->audience;
}

static void drop_if_empty(struct slot *slot) {
    struct audience *audience = slot->audience;
    if (!audience || audience->tracked.count || !list_empty(&audience->watches)) return;
    mem_free(audience);
    slot->audience = NULL;
}

void keyspace__free_audiences(struct keyspace *keyspace) {
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++) {
        if (!keyspace->slots[slot].audience) continue;
        tracked_table_free(&keyspace->slots[slot].audience->tracked);
        mem_free(keyspace->slots[slot].audience);
    }
}

// --- Watches.

void keyspace_watch(struct keyspace *keyspace, struct watch *watch) {
    list_append(&audience_of(&keyspace->slots[watch->slot])->watches, &watch->in_slot);
}

void keyspace_unwatch(struct keyspace *keyspace, struct watch *watch) {
    list_remove(&watch->in_slot);
    drop_if_empty(&keyspace->slots[watch->slot]);
}

static void mark(struct audience *audience, unsigned db, struct bytes key) {
    LIST_EACH(node, &audience->watches) {
        struct watch *watch = LIST_ENTRY(node, struct watch, in_slot);
        if (watch->db == db && bytes_equal(watch->key, key))
            atomic_store_explicit(watch->changed, true, memory_order_release);
    }
}

void keyspace_touched_all(struct keyspace *keyspace, unsigned db) {
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++) {
        struct audience *audience = keyspace->slots[slot].audience;
        if (!audience) continue;
        LIST_EACH(node, &audience->watches) {
            struct watch *watch = LIST_ENTRY(node, struct watch, in_slot);
            uint64_t hash = hash_bytes(watch->key.data, watch->key.size);
            if (watch->db == db && keyspace_find(keyspace, db, slot, hash, watch->key))
                atomic_store_explicit(watch->changed, true, memory_order_release);
        }
    }
}

// --- Tracked keys.

void keyspace_set_ear(struct keyspace *keyspace, const struct keyspace_ear *ear) {
    keyspace->ear = *ear;
}

void keyspace_set_broadcasting(struct keyspace *keyspace, bool on) {
    atomic_store_explicit(&keyspace->broadcasting, on, memory_order_relaxed);
}

static void note_slot(struct keyspace *keyspace, unsigned slot, bool tracks) {
    uint64_t bit = 1ull << slot % 64;
    if (tracks)
        atomic_fetch_or_explicit(&keyspace->tracked_slots[slot / 64], bit, memory_order_relaxed);
    else
        atomic_fetch_and_explicit(&keyspace->tracked_slots[slot / 64], ~bit, memory_order_relaxed);
}

void keyspace_track(struct keyspace *keyspace, unsigned slot, uint64_t hash, struct bytes key,
                    uint64_t reader) {
    struct tracked_table *table = &audience_of(&keyspace->slots[slot])->tracked;
    struct tracked_added added = tracked_add(table, hash, key, reader);
    if (added.key) atomic_fetch_add_explicit(&keyspace->tracked_keys, 1, memory_order_relaxed);
    if (added.reader) atomic_fetch_add_explicit(&keyspace->tracked_readers, 1, memory_order_relaxed);
    if (table->count == 1 && added.key) note_slot(keyspace, slot, true);
}

// After a key was taken out of the slot's table.
static void has_left(struct keyspace *keyspace, unsigned slot, const struct tracked_key *key) {
    atomic_fetch_sub_explicit(&keyspace->tracked_keys, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&keyspace->tracked_readers, key->count, memory_order_relaxed);
    if (keyspace->slots[slot].audience->tracked.count) return;
    note_slot(keyspace, slot, false);
    drop_if_empty(&keyspace->slots[slot]);
}

struct tracked_key *keyspace_untrack_any(struct keyspace *keyspace, unsigned slot, uint64_t random) {
    struct audience *audience = keyspace->slots[slot].audience;
    struct tracked_key *taken = audience ? tracked_take_any(&audience->tracked, random) : NULL;
    if (taken) has_left(keyspace, slot, taken);
    return taken;
}

unsigned keyspace_tracked_slot(const struct keyspace *keyspace, unsigned slot) {
    enum { WORDS = HASH_SLOTS / 64 };
    for (unsigned i = 0; i <= WORDS; i++) {
        unsigned word = (slot / 64 + i) % WORDS;
        uint64_t bits = atomic_load_explicit(&keyspace->tracked_slots[word], memory_order_relaxed);
        if (i == 0) bits &= ~0ull << slot % 64;
        if (bits) return word * 64 + (unsigned)__builtin_ctzll(bits);
    }
    return HASH_SLOTS;
}

size_t keyspace_tracked_keys(const struct keyspace *keyspace) {
    return atomic_load_explicit(&keyspace->tracked_keys, memory_order_relaxed);
}

size_t keyspace_tracked_readers(const struct keyspace *keyspace) {
    return atomic_load_explicit(&keyspace->tracked_readers, memory_order_relaxed);
}

void keyspace_flushed(struct keyspace *keyspace) {
    unsigned slot;
    while ((slot = keyspace_tracked_slot(keyspace, 0)) != HASH_SLOTS) {
        tracked_table_free(&keyspace->slots[slot].audience->tracked);
        note_slot(keyspace, slot, false);
        drop_if_empty(&keyspace->slots[slot]);
    }
    atomic_store_explicit(&keyspace->tracked_keys, 0, memory_order_relaxed);
    atomic_store_explicit(&keyspace->tracked_readers, 0, memory_order_relaxed);
    if (keyspace->ear.flushed) keyspace->ear.flushed();
}

// --- A change.

static void tell(struct keyspace *keyspace, unsigned db, unsigned slot, struct bytes key, bool by_itself) {
    struct audience *audience = keyspace->slots[slot].audience;
    struct tracked_key *read = NULL;
    if (audience) {
        mark(audience, db, key);
        if (audience->tracked.count)
            read = tracked_take(&audience->tracked, hash_bytes(key.data, key.size), key);
        if (read) has_left(keyspace, slot, read);
    }
    bool broadcasting = atomic_load_explicit(&keyspace->broadcasting, memory_order_relaxed);
    if (!read && !broadcasting) return;
    if (keyspace->ear.changed)
        keyspace->ear.changed(key, read, broadcasting, by_itself);
    else if (read)
        tracked_key_free(read);
}

static inline bool anybody_listens(const struct keyspace *keyspace, unsigned slot) {
    return keyspace->slots[slot].audience ||
           atomic_load_explicit(&keyspace->broadcasting, memory_order_relaxed);
}

void keyspace_touched(struct keyspace *keyspace, unsigned db, unsigned slot, struct bytes key) {
    if (__builtin_expect(anybody_listens(keyspace, slot), 0)) tell(keyspace, db, slot, key, false);
}

void keyspace_vanished(struct keyspace *keyspace, unsigned db, unsigned slot, struct bytes key) {
    if (__builtin_expect(anybody_listens(keyspace, slot), 0)) tell(keyspace, db, slot, key, true);
}
