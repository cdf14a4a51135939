// routes: which primary serves which slots, as CLUSTER NODES tells it. A table never changes once made; who
// wants news fetches another. Tables are counted: whoever holds one lets it go with routes_release. Thread:
// any; the holder of the current table has a lock of its own.
#ifndef SHOAL_BENCH_ROUTES_H
#define SHOAL_BENCH_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/ask.h"
#include "bench/options.h"

enum { ROUTES_NODES_MAX = 1000, ROUTES_ADDRESS_MAX = 64, ROUTES_ID_SIZE = 40, ROUTES_REFRESH_MS = 50 };

struct route_node {
    char id[ROUTES_ID_SIZE + 1];
    char address[ROUTES_ADDRESS_MAX];
    uint16_t port;
    uint16_t *slots;
    unsigned slot_count;
};

struct routes {
    unsigned holders; // under the lock of the current table
    unsigned node_count;
    struct route_node *nodes; // primaries that serve at least one slot
};

// Starts with a table fetched from the server that the options name. False with the reason in `error`.
bool routes_start(const struct options *options, char error[ASK_ERROR_MAX]);

// The current table, held for the caller.
const struct routes *routes_hold(void);
void routes_release(const struct routes *routes);

// Fetches a newer table, unless one came less than ROUTES_REFRESH_MS ago; asks the nodes of the current table
// in turn until one answers. May leave the table as it was.
void routes_refresh(const struct options *options);

// Lets the current table go.
void routes_end(void);

#endif
