// links: a node's connections by the names under which its core knows them: outgoing ones by the peer's
// handle, inbound ones by the number that the driver gave.
//
// Invariant: a link's pointer is valid until the next links_add or links_remove of the same table.
// Thread: belongs to its run's thread.
#ifndef SHOAL_SIM_LINKS_H
#define SHOAL_SIM_LINKS_H

#include <stdint.h>

#include "sim/network.h"

struct link {
    uint32_t name;   // 0: an empty place
    uint32_t serial; // told apart from an earlier link of the same name
    struct connection *connection;
};

// An open-addressed table, at most three quarters full.
struct links {
    struct link *places;
    uint32_t size; // a power of two, or 0
    uint32_t count;
};

// The link, or NULL.
struct link *links_find(const struct links *links, uint32_t name);

// Adds a link; its name must be new.
struct link *links_add(struct links *links, uint32_t name, uint32_t serial, struct connection *connection);

void links_remove(struct links *links, uint32_t name);
void links_free(struct links *links);

#endif
