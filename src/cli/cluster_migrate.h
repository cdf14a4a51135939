// cluster_migrate: the MIGRATE command as the cluster commands send it. Belongs to the main thread.
#ifndef SHOAL_CLI_CLUSTER_MIGRATE_H
#define SHOAL_CLI_CLUSTER_MIGRATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "cli/cluster_nodes.h"
#include "cli/options.h"

// Where to and how; user and password are those of the target, NULL when there are none.
struct migrate_wish {
    const char *host;
    uint16_t port;
    unsigned db;
    int timeout_ms;
    bool copy, replace;
    const char *user, *password;
};

// To that database of the node, as the options of the command line say, its keys not copied but moved.
struct migrate_wish migrate_wish_to(const struct cluster_node *target, unsigned db,
                                    const struct options *options);

// Keys, or what else is to outlive its reply: each has memory of its own.
struct texts {
    struct bytes *items;
    size_t count, room;
};

void texts_add(struct texts *keys, struct bytes key);
void texts_free(struct texts *keys);

// Appends MIGRATE for all the keys to a queue of requests.
void migrate_append(struct buffer *out, const struct migrate_wish *wish, const struct texts *keys);

#endif
