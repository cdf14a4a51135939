// cluster_nodes: the nodes of a cluster as they see themselves, each with a connection. Belongs to the main
// thread.
#ifndef SHOAL_CLI_CLUSTER_NODES_H
#define SHOAL_CLI_CLUSTER_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/crc16.h"
#include "cli/connection.h"
#include "cli/options.h"
#include "cluster/nodes_text.h"

// What a node answered about itself. `primary_id` is empty for a primary.
struct cluster_node {
    char id[NODES_TEXT_ID_SIZE];
    char primary_id[NODES_TEXT_ID_SIZE];
    char *host; // as we reach it
    uint16_t port;
    uint16_t bus_port;
    uint8_t slots[HASH_SLOTS / 8];
    unsigned slot_count;
    struct nodes_text_move *moves;
    size_t move_count;
    unsigned replica_count;
    bool no_failover;   // it was told to stand for no election
    unsigned databases; // 1 for a server that has no cluster-databases
    uint64_t config_epoch;
    size_t known_nodes;          // nodes that it knows, itself included
    size_t linked_nodes;         // of these, itself and those that it reaches
    struct buffer slots_as_seen; // who owns what, in its eyes, in a form that compares
    struct connection *connection;
};

struct cluster_nodes {
    const struct options *options;
    struct cluster_node *items;
    size_t count;
    size_t unreachable_primaries; // that should have been among the items
};

// Connects to the node at host:port, asks it for the others and connects to them; a node that can't be
// reached is said on standard error and left out. False, with the reason said, when the first one is of no
// use.
bool cluster_nodes_load(struct cluster_nodes *nodes, const struct options *options, const char *host,
                        uint16_t port);

// Connects to a node, checks that cluster mode is on and asks what it knows, without looking at others;
// appended to `nodes`. Other answers than NODE_ADDED come with the reason said.
enum node_answer { NODE_ADDED, NODE_UNREACHABLE, NODE_UNFIT };
enum node_answer cluster_nodes_add(struct cluster_nodes *nodes, const struct options *options,
                                   const char *host, uint16_t port);

// Asks every node again. False when one does not answer.
bool cluster_nodes_refresh(struct cluster_nodes *nodes);

void cluster_nodes_free(struct cluster_nodes *nodes);

bool cluster_node_is_primary(const struct cluster_node *node);
struct cluster_node *cluster_nodes_find(const struct cluster_nodes *nodes, const char *id);

// The first one whose id begins with `prefix`, in any case.
struct cluster_node *cluster_nodes_find_prefix(const struct cluster_nodes *nodes, const char *prefix);

// The primary with the fewest replicas; `except` is passed over. NULL: there is no other.
struct cluster_node *cluster_nodes_fewest_replicas(const struct cluster_nodes *nodes,
                                                   const struct cluster_node *except);

// What follows is about this database of the node. Nothing is sent to a node that has only one. False, with
// the reason said, when it refuses.
bool cluster_node_select(const struct cluster_node *node, unsigned db);

// How many keys of the slot the node holds, in all databases; -1, with the reason said, when it does not
// tell.
long long cluster_node_count_keys(const struct cluster_node *node, unsigned slot);

// The same for many slots: keys[i], of slots[i], is added to. False, with the reason said.
bool cluster_node_add_keys(const struct cluster_node *node, const uint16_t *slots, size_t count,
                           size_t *keys);

// All keys of the node, in all databases; -1 when it does not tell.
long long cluster_node_total_keys(const struct cluster_node *node);

// Appends the slots as "[0-5460],[7]", first and last divided by `between`.
void cluster_slots_describe(struct buffer *out, const uint8_t *slots, char between);

// Do all nodes see the same owners?
bool cluster_nodes_agree(const struct cluster_nodes *nodes);

// Is the node alone and without keys? Says so when it is not.
bool cluster_node_is_empty(const struct cluster_node *node);

// Writes "M: id host:port" and the lines below it, all indented by `indent` spaces.
void cluster_node_print(const struct cluster_node *node, int indent);

// Sends a command; true when the reply is no error. Otherwise says which node answered what on standard
// output.
bool cluster_node_order(const struct cluster_node *node, const char *const *arguments);
#define CLUSTER_NODE_ORDER(node, ...) cluster_node_order((node), (const char *const[]){__VA_ARGS__, NULL})

// Is this the error with which a node that is a replica refuses SETSLOT? A primary becomes one on its own
// when it hears that its last slot has a new owner, which may be sooner than we tell it.
bool cluster_node_has_retired(const struct reply *reply);

// Says that `node` answered with an error, or not at all (NULL).
void cluster_node_say_error(const struct cluster_node *node, const struct reply *reply);

#endif
