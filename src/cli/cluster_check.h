// cluster_check: what is wrong with a cluster, said as it is found. Belongs to the main thread.
//
// The steps are functions of their own because --cluster fix repairs after each of them.
#ifndef SHOAL_CLI_CLUSTER_CHECK_H
#define SHOAL_CLI_CLUSTER_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/crc16.h"
#include "cli/cluster_nodes.h"

// What the steps have found; sets of slots as bits.
struct cluster_health {
    bool agree;
    uint8_t open[HASH_SLOTS / 8];
    uint8_t uncovered[HASH_SLOTS / 8];
    uint8_t contested[HASH_SLOTS / 8]; // that have several owners
    unsigned errors;                   // as redis-cli counts them for its backups
};

// One line a primary and the sums. False when a primary does not tell how many keys it has.
bool cluster_check_summary(const struct cluster_nodes *nodes);

// All steps, and the event of --json; `list`: the nodes are listed first. Multiple owners are looked for when
// the options ask for it. True when all is well.
bool cluster_check_nodes(const struct cluster_nodes *nodes, bool list, struct cluster_health *health);

// The steps, in their order; each fills in its part of *health and returns whether all is well.
void cluster_check_head(const struct cluster_nodes *nodes, bool list);
bool cluster_check_agreement(const struct cluster_nodes *nodes, struct cluster_health *health);
bool cluster_check_open(const struct cluster_nodes *nodes, struct cluster_health *health);
bool cluster_check_coverage(const struct cluster_nodes *nodes, struct cluster_health *health);

// The last step in parts, since fix ends it otherwise: says that it begins and finds the slots; names the
// owners of one.
void cluster_check_find_contested(const struct cluster_nodes *nodes, struct cluster_health *health);
void cluster_check_say_owners(const struct cluster_nodes *nodes, unsigned slot);

// Sends what was found as an event of --json.
void cluster_check_send(const struct cluster_nodes *nodes, const struct cluster_health *health, bool good);

bool cluster_slots_any(const uint8_t *slots);

#endif
