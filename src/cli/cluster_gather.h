// cluster_gather: moves the keys of one slot from one node to another, and changes who owns a slot, for
// clusters in which something is wrong: nothing is taken for granted, and a key that exists at both nodes is
// compared before either value is dropped. Belongs to the main thread.
#ifndef SHOAL_CLI_CLUSTER_GATHER_H
#define SHOAL_CLI_CLUSTER_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/cluster_nodes.h"

// Sends CLUSTER SETSLOT slot how [id] (NULL: none). False with the error said.
bool cluster_slot_set(const struct cluster_node *node, unsigned slot, const char *how, const char *id);

// Makes the node own the slot with an epoch above all others', whatever it believed before.
bool cluster_slot_claim(struct cluster_node *node, unsigned slot);

// The same for slots that nobody owns, some at a time.
bool cluster_slots_claim(struct cluster_node *node, const uint16_t *slots, size_t count);

// Makes the node, which says that it owns the slot, import it from the owner instead. Its keys stay.
bool cluster_slot_yield(struct cluster_node *node, unsigned slot, const struct cluster_node *owner);

// Tells all primaries, the new owner first, that the node owns the slot. False when the owner or the one
// before (NULL: none) refuses; what the others answer does not matter, the bus tells them too. One that
// imports the slot goes on importing.
bool cluster_slot_assign(const struct cluster_nodes *nodes, unsigned slot, struct cluster_node *owner,
                         struct cluster_node *before);

// Moves all keys of the slot, in all databases, printing a line with a dot for each, or a bar in a terminal.
// The source must have the slot open, the target own or import it. A key that the target has is overwritten
// when --cluster-replace was given or both values are equal; else nothing more is moved and the answer is
// false.
bool cluster_gather_keys(const struct options *options, const struct cluster_node *source,
                         const struct cluster_node *target, unsigned slot);

#endif
