// broadcasts: the prefixes of keys that clients want to be told of (CLIENT TRACKING ... BCAST), and those
// clients. One table for the process, in the order of the prefixes; its own lock guards it. Thread of every
// function: any, with no slot locked.
#ifndef SHOAL_CALL_BROADCASTS_H
#define SHOAL_CALL_BROADCASTS_H

#include <stdint.h>

#include "base/bytes.h"
#include "keyspace/keyspace.h"

// Adds a listener (invalidation.h) to a prefix, once for each, and takes it out again. The keyspace tells
// every change while there is a listener.
void broadcasts_add(struct keyspace *keyspace, struct bytes prefix, uint64_t listener);
void broadcasts_remove(struct keyspace *keyspace, struct bytes prefix, uint64_t listener);

// How many prefixes there are.
unsigned broadcasts_count(void);

// For each prefix, in order, that some of `keys` begin with: tells those keys and its listeners. `keys` are
// in order, each once. `tell` runs under the table's lock: it waits for nothing and turns no tracking on or
// off.
struct broadcast {
    unsigned first, count; // of keys
    const uint64_t *listeners;
    unsigned listener_count;
};
void broadcasts_match(const struct bytes *keys, unsigned count,
                      void (*tell)(void *context, const struct broadcast *broadcast), void *context);

#endif
