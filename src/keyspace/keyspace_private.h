// The inside of struct keyspace, for the files of this folder.
#ifndef SHOAL_KEYSPACE_PRIVATE_H
#define SHOAL_KEYSPACE_PRIVATE_H

#include "base/list.h"
#include "keyspace/keyspace.h"
#include "keyspace/table.h"
#include "keyspace/tracked.h"
#include "os/lock.h"

// Whoever must be told of changes in a slot. It is there only while it holds somebody.
struct audience {
    struct list_node watches;     // struct watch
    struct tracked_table tracked; // what tracking clients have read
};

// One cache line: the lock and the table of database 0 travel together, since nearly every command wants both.
struct slot {
    struct table table;        // database 0
    struct lock lock;
    bool busy;                 // its keys are being moved; guarded by the lock, read without it as a hint
    struct audience *audience; // who listens to its keys, or NULL
} __attribute__((aligned(64)));

struct database {
    struct table *tables; // HASH_SLOTS of them; NULL for database 0 (they live in the slots) and until first used
};

struct keyspace {
    struct keyspace_front front;
    atomic_bool broadcasting;  // every change is told to `ear`, whether its key was read or not
    struct keyspace_access access;
    unsigned database_count;
    struct lock databases_lock; // guards the creation of a database's tables
    struct database *databases;
    uint64_t swaps;             // how often databases were exchanged
    unsigned swapped_zero;      // which database's contents the slots' own tables hold (SWAPDB exchanges names, not bytes)
    struct keyspace_ear ear;
    _Atomic size_t tracked_keys, tracked_readers;
    _Atomic uint64_t tracked_slots[HASH_SLOTS / 64]; // a bit for each slot in which keys are tracked; a hint without its lock
    struct slot slots[HASH_SLOTS];
};

// The table of a slot in a database, or NULL when that database has never been written to.
struct table *keyspace__table(const struct keyspace *keyspace, unsigned db, unsigned slot);

// Frees the audiences of all slots, when the keyspace ends.
void keyspace__free_audiences(struct keyspace *keyspace);

#endif
