// route: where each slot is served, as the workers see it: an immutable snapshot that the bus publishes.
// Readers load the pointer once for each command inside the gate; it stays valid until they leave the gate.
#ifndef SHOAL_KEYSPACE_ROUTE_H
#define SHOAL_KEYSPACE_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/crc16.h"

#define ROUTE_NONE 0xffff

enum {
    ROUTE_MIGRATING = 1, // we own the slot and are giving it away
    ROUTE_IMPORTING = 2, // another owns it and we are taking it
};

struct route_node {
    char endpoint[288]; // "ip:port" or "host:port", as MOVED and ASK say it (cluster-preferred-endpoint-type)
};

struct routes {
    bool cluster_ok;            // cluster_state:ok
    bool primary;               // this node is a primary
    bool reads_when_down;       // cluster-allow-reads-when-down
    uint16_t myself;            // index into nodes
    uint16_t my_primary;        // index of our primary, or `myself`, or ROUTE_NONE
    uint16_t owner[HASH_SLOTS]; // index of the serving primary, or ROUTE_NONE
    uint8_t state[HASH_SLOTS];  // ROUTE_MIGRATING, ROUTE_IMPORTING or 0
    uint16_t other[HASH_SLOTS]; // target of a migrating slot, source of an importing one
    unsigned node_count;
    struct route_node nodes[];
};

#endif
