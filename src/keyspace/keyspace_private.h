// The inside of struct keyspace, for the files of this folder.
#ifndef SHOAL_KEYSPACE_PRIVATE_H
#define SHOAL_KEYSPACE_PRIVATE_H

#include "base/list.h"
#include "keyspace/keyspace.h"
#include "keyspace/table.h"
#include "os/lock.h"

// One cache line: the lock and the table of database 0 travel together, since nearly every command wants both.
struct slot {
    struct table table;        // database 0
    struct lock lock;
    bool busy;                 // its keys are being moved; guarded by the lock, read without it as a hint
    struct list_node *watches; // head of its watches, or NULL
} __attribute__((aligned(64)));

struct database {
    struct table *tables; // HASH_SLOTS of them; NULL for database 0 (they live in the slots) and until first used
};

struct keyspace {
    struct keyspace_front front;
    _Atomic int threads; // that may touch keys beside the first worker; 0: locks are not taken
    struct keyspace_access access;
    unsigned database_count;
    struct lock databases_lock; // guards the creation of a database's tables
    struct database *databases;
    unsigned swapped_zero;      // which database's contents the slots' own tables hold (SWAPDB exchanges names, not bytes)
    struct slot slots[HASH_SLOTS];
};

// The table of a slot in a database, or NULL when that database has never been written to.
struct table *keyspace__table(const struct keyspace *keyspace, unsigned db, unsigned slot);

#endif
