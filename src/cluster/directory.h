// directory: names and addresses of nodes, each kept once however many cores know the node. Part of the core.
//
// Every core of a large simulated cluster knows every node: what they all know alike lies here, small enough
// to stay near the processor, and each core keeps only what it thinks of the node. A server has one core and
// a directory of its own. Thread: the one that steps the cores that share it.
#ifndef SHOAL_CLUSTER_DIRECTORY_H
#define SHOAL_CLUSTER_DIRECTORY_H

#include <stddef.h>
#include <stdint.h>

#include "cluster/cluster_config.h"

struct directory;

// Equal entries are the same one. `number` is small, and given again when the entry is gone.
struct directory_name {
    uint32_t number, hash, references;
    char id[CLUSTER_ID_SIZE];
};

// The text of an address (all zero behind its end), and the ports.
struct directory_place {
    char ip[CLUSTER_IP_SIZE];
    uint16_t port, bus_port, other_port;
};

struct directory_address {
    uint32_t number, hash, references;
    struct directory_place place;
};

struct directory *directory_create(void);

// One more holder, one holder less; the last one frees it. All entries must have been dropped by then.
struct directory *directory_retain(struct directory *directory);
void directory_release(struct directory *directory);

// The entry for these CLUSTER_ID_SIZE bytes or for this place, made where there is none, with one more
// reference.
struct directory_name *directory_take_name(struct directory *directory, const char *id);
struct directory_address *directory_take_address(struct directory *directory,
                                                 const struct directory_place *place);

// One reference less. Accept NULL.
void directory_drop_name(struct directory *directory, struct directory_name *name);
void directory_drop_address(struct directory *directory, struct directory_address *address);

// The number of a name that somebody knows, or -1.
int64_t directory_find_name(const struct directory *directory, const char *id);

#endif
