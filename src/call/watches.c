#include "call/watches.h"

#include <stdatomic.h>
#include <string.h>

#include "base/crc16.h"
#include "base/hash.h"
#include "base/memory.h"
#include "keyspace/slot_lock.h"

static bool is_watched(const struct session *session, unsigned db, struct bytes key) {
    LIST_EACH(node, &session->watches) {
        const struct watch *watch = &LIST_ENTRY(node, struct session_watch, in_session)->watch;
        if (watch->db == db && bytes_equal(watch->key, key)) return true;
    }
    return false;
}

// Is the watched key there, and past its time?
static bool is_expired(struct keyspace *keyspace, const struct watch *watch, int64_t now_ms) {
    uint64_t hash = hash_bytes(watch->key.data, watch->key.size);
    const struct entry *entry = keyspace_find(keyspace, watch->db, watch->slot, hash, watch->key);
    return entry && entry->has_expiry && entry_expiry(entry) <= now_ms;
}

void watches_add(struct session *session, struct keyspace *keyspace, unsigned db, struct bytes key,
                 int64_t now_ms) {
    if (is_watched(session, db, key)) return;
    struct session_watch *added = mem_alloc(sizeof *added + key.size);
    char *copy = (char *)(added + 1);
    if (key.size) memcpy(copy, key.data, key.size);
    added->watch.db = db;
    added->watch.slot = hash_slot(key);
    added->watch.key = bytes_of(copy, key.size);
    added->watch.changed = &session->watched_changed;
    added->was_expired = is_expired(keyspace, &added->watch, now_ms);
    keyspace_watch(keyspace, &added->watch);
    list_append(&session->watches, &added->in_session);
}

void watches_clear(struct session *session, struct keyspace *keyspace, bool locked) {
    LIST_EACH(node, &session->watches) {
        struct session_watch *watch = LIST_ENTRY(node, struct session_watch, in_session);
        unsigned slot = watch->watch.slot;
        if (!locked) slot_lock(keyspace, slot);
        keyspace_unwatch(keyspace, &watch->watch);
        if (!locked) slot_unlock(keyspace, slot);
        list_remove(node);
        mem_free(watch);
    }
    atomic_store_explicit(&session->watched_changed, false, memory_order_relaxed);
}

bool watches_changed(const struct session *session) {
    return atomic_load_explicit(&session->watched_changed, memory_order_acquire);
}

bool watches_broken(const struct session *session, struct keyspace *keyspace, int64_t now_ms) {
    if (watches_changed(session)) return true;
    LIST_EACH(node, &session->watches) {
        const struct session_watch *watch = LIST_ENTRY(node, struct session_watch, in_session);
        if (!watch->was_expired && is_expired(keyspace, &watch->watch, now_ms)) return true;
    }
    return false;
}
