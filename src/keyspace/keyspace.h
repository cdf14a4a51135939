// keyspace: all keys: 16384 slots, each with a lock and, for each database, a table.
//
// Everything here that takes a slot's number needs that slot locked by the caller (slot_lock.h), or exclusive mode.
// Nothing here knows of replication, of clients or of the time: the caller brings the time, and tells the journal.
#ifndef SHOAL_KEYSPACE_KEYSPACE_H
#define SHOAL_KEYSPACE_KEYSPACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/crc16.h"
#include "base/list.h"
#include "keyspace/entry.h"
#include "keyspace/route.h"

enum { DATABASES_MAX = 10000 };

struct keyspace;

// How `access` of an entry is kept; changed in exclusive mode only.
struct keyspace_access {
    bool lfu;             // maxmemory-policy is an LFU one
    unsigned log_factor;  // lfu-log-factor
    unsigned decay_time;  // lfu-decay-time, minutes
};

// A keyspace with `databases` databases. Call hash_set_seed first.
struct keyspace *keyspace_create(unsigned databases);
void keyspace_destroy(struct keyspace *keyspace);
unsigned keyspace_databases(const struct keyspace *keyspace);
struct keyspace_access *keyspace_access(struct keyspace *keyspace);

// --- One key. `hash` is hash_bytes of the key.

// The entry, expired or not, or NULL. Does not count as a use.
struct entry *keyspace_find(struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t hash, struct bytes key);

// Notes a use of the entry at `now_ms` (wall clock).
void keyspace_use(struct keyspace *keyspace, struct entry *entry, int64_t now_ms);

// Sets the key to a string, creating or replacing; `expire_ms` is a wall-clock time or NO_EXPIRY. With `detect_integer`,
// a value that is a canonical integer is kept as one. NULL, with nothing changed, when memory is out.
struct entry *keyspace_set_string(struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t hash,
                                  struct bytes key, struct bytes value, int64_t expire_ms, int64_t now_ms);

// Sets the key to the string in another entry's blob, which both hold from now on: nothing is copied.
struct entry *keyspace_set_blob(struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t hash,
                                struct bytes key, struct blob *blob, int64_t expire_ms, int64_t now_ms);

// Sets the key's value to an integer, keeping its expiry if it exists (none if it does not).
struct entry *keyspace_set_integer(struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t hash,
                                   struct bytes key, int64_t value, int64_t now_ms);

// Grows (with zero bytes) or keeps the string and gives it for writing in place: the value has at least `size` bytes
// afterwards; *data points to its first. The key is created when missing; its expiry stays. Its encoding becomes raw.
// NULL when memory is out.
struct entry *keyspace_open_string(struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t hash,
                                   struct bytes key, size_t size, int64_t now_ms, char **data);

// Changes or removes (NO_EXPIRY) the expiry. The entry may move: use the result.
struct entry *keyspace_set_expiry(struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t hash,
                                  struct bytes key, int64_t expire_ms);

// Removes the key; false when it was not there.
bool keyspace_remove(struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t hash, struct bytes key);

// Cache hints for the commands that wait behind this one; no lock needed (they only hint).
void keyspace_prefetch_slot(const struct keyspace *keyspace, unsigned db, unsigned slot);
void keyspace_prefetch_bucket(const struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t hash);
void keyspace_prefetch_entry(const struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t hash);

// --- Many keys.

// Keys, and keys with an expiry, of a database; no lock needed, exact when nobody writes.
size_t keyspace_count(const struct keyspace *keyspace, unsigned db);
size_t keyspace_count_expiring(const struct keyspace *keyspace, unsigned db);
// Keys of one slot in all databases / in one; no lock needed.
size_t keyspace_slot_count(const struct keyspace *keyspace, unsigned slot);
size_t keyspace_slot_count_in(const struct keyspace *keyspace, unsigned db, unsigned slot);
size_t keyspace_slot_count_expiring_in(const struct keyspace *keyspace, unsigned db, unsigned slot);

// One step of SCAN in one slot; see table_scan. 0 ends the slot.
uint64_t keyspace_slot_scan(struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t cursor,
                            void (*visit)(void *context, struct entry *entry), void *context);

// Every entry of a slot until visit returns false; visit may not change the slot.
bool keyspace_slot_each(struct keyspace *keyspace, unsigned db, unsigned slot,
                        bool (*visit)(void *context, struct entry *entry), void *context);

// A step of the expiry cycle over a slot; see table_walk.
bool keyspace_slot_walk(struct keyspace *keyspace, unsigned db, unsigned slot, uint32_t *cursor, unsigned limit,
                        bool expiring_only, void (*visit)(void *context, struct entry *entry), void *context);

// An entry of the slot chosen with the caller's random number, or NULL.
struct entry *keyspace_slot_random(struct keyspace *keyspace, unsigned db, unsigned slot, uint64_t random,
                                   bool expiring_only);

// Removes all keys of one slot in all databases.
void keyspace_slot_clear(struct keyspace *keyspace, unsigned slot);

// Exclusive mode only: empties one database; exchanges the contents of two.
void keyspace_clear(struct keyspace *keyspace, unsigned db);
void keyspace_swap(struct keyspace *keyspace, unsigned a, unsigned b);

// How often databases were exchanged: whoever let go of the gate meanwhile knows whether a number still means the same one.
uint64_t keyspace_swaps(const struct keyspace *keyspace);

// Takes everything out of a database (exclusive mode), to be freed on another thread with keyspace_free_detached.
struct detached;
struct detached *keyspace_detach(struct keyspace *keyspace, unsigned db);
void keyspace_free_detached(struct detached *detached);

// Bytes of heap in the tables of a database. Exclusive mode, or no slot locked by the caller: it locks one after another.
size_t keyspace_table_memory(const struct keyspace *keyspace, unsigned db);

// --- Watches (WATCH). A watch hangs on its key's slot; a change of the key marks it.

struct watch {
    struct list_node in_slot; // the keyspace's
    unsigned db;
    unsigned slot;
    struct bytes key;         // the owner's memory
    atomic_bool *changed;     // the owner's, maybe of many watches: set when the key is touched, read without the lock
};

// Needs the slot's lock.
void keyspace_watch(struct keyspace *keyspace, struct watch *watch);
void keyspace_unwatch(struct keyspace *keyspace, struct watch *watch);

// Tells whoever listens to a key that it changed: its watches are marked, its readers are told (see below). Called for
// every change; costs two loads when nobody listens to the slot. Needs the slot's lock.
void keyspace_touched(struct keyspace *keyspace, unsigned db, unsigned slot, struct bytes key);

// Likewise for a key that no client changed: it expired, made room, or moved to another node.
void keyspace_vanished(struct keyspace *keyspace, unsigned db, unsigned slot, struct bytes key);

// Exclusive mode: marks the watches of every key of the database that exists. Readers are not told.
void keyspace_touched_all(struct keyspace *keyspace, unsigned db);

// --- Tracking (CLIENT TRACKING). Who has read a key hangs on the key's slot, whatever the database, until it changes.

struct tracked_key;

// The sink for changes. Both are called on the thread that changes, under the slot's lock or in exclusive mode: they
// note what they hear, and deliver it later.
struct keyspace_ear {
    // `read`: the key with those who have read it, NULL when nobody has; the ear's own now, to be freed with
    // tracked_key_free. `broadcasting`: it is (nobody has read it and nothing is broadcast: nothing is told).
    // `by_itself`: no client changed it.
    void (*changed)(struct bytes key, struct tracked_key *read, bool broadcasting, bool by_itself);
    // Whole databases were emptied: what was read is forgotten.
    void (*flushed)(void);
};
void keyspace_set_ear(struct keyspace *keyspace, const struct keyspace_ear *ear); // exclusive mode, or before threads start

// From now on every change is told to the ear, or only those of keys that were read. Thread: any.
void keyspace_set_broadcasting(struct keyspace *keyspace, bool on);

// Notes that `reader`, any number but 0, has read the key. Needs the slot's lock.
void keyspace_track(struct keyspace *keyspace, unsigned slot, uint64_t hash, struct bytes key, uint64_t reader);

// Forgets a key of the slot that a random number chooses and gives it to the caller; NULL when none is tracked there.
// Needs the slot's lock.
struct tracked_key *keyspace_untrack_any(struct keyspace *keyspace, unsigned slot, uint64_t random);

// The first slot from `slot` on, going round, in which keys are tracked; HASH_SLOTS: there is none. No lock needed: a hint.
unsigned keyspace_tracked_slot(const struct keyspace *keyspace, unsigned slot);

// Keys that are tracked, and their readers. Thread: any.
size_t keyspace_tracked_keys(const struct keyspace *keyspace);
size_t keyspace_tracked_readers(const struct keyspace *keyspace);

// Exclusive mode: forgets all that was read, and tells the ear. For whoever empties databases.
void keyspace_flushed(struct keyspace *keyspace);

// --- A slot that is busy: its keys are on their way to another node. Writers wait (the call layer parks them).

bool keyspace_slot_busy(const struct keyspace *keyspace, unsigned slot);
void keyspace_slot_set_busy(struct keyspace *keyspace, unsigned slot, bool busy);

// --- Routes. NULL when the server is not in cluster mode.

static inline const struct routes *keyspace_routes(struct keyspace *keyspace);

// Publishes; returns the former snapshot, to be freed when every worker has passed a safe point.
const struct routes *keyspace_publish_routes(struct keyspace *keyspace, const struct routes *routes);

// The public front of struct keyspace.
struct keyspace_front {
    _Atomic(const struct routes *) routes;
    _Atomic int threads; // that may touch keys beside the first worker; 0: locks are not taken (slot_lock.h)
};

static inline const struct routes *keyspace_routes(struct keyspace *keyspace) {
    return atomic_load_explicit(&((struct keyspace_front *)keyspace)->routes, memory_order_acquire);
}

#endif
