// cluster_view: what may be read of a node's view of the cluster. Changes nothing; valid until the next step.
// Thread: the one that steps the core.
#ifndef SHOAL_CLUSTER_CLUSTER_VIEW_H
#define SHOAL_CLUSTER_CLUSTER_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "cluster/cluster.h"

enum {
    CLUSTER_SLOTS = 16384,
    CLUSTER_NO_INDEX = 0xffff, // in the owner arrays: nobody
    CLUSTER_MESSAGE_KINDS =
        11 // PING PONG MEET FAIL PUBLISH AUTH_REQUEST AUTH_ACK UPDATE MFSTART MODULE PUBLISHSHARD
};

// Bits of a node's flags, as on the wire.
enum cluster_node_flag {
    CLUSTER_NODE_PRIMARY = 1,
    CLUSTER_NODE_REPLICA = 2,
    CLUSTER_NODE_PFAIL = 4,
    CLUSTER_NODE_FAIL = 8,
    CLUSTER_NODE_MYSELF = 16,
    CLUSTER_NODE_HANDSHAKE = 32,
    CLUSTER_NODE_NOADDR = 64,
    CLUSTER_NODE_MEET = 128,
    CLUSTER_NODE_MIGRATE_TO = 256,
    CLUSTER_NODE_NOFAILOVER = 512,
};

struct cluster_view_node {
    cluster_node handle;
    uint16_t index;         // its number in the owner arrays
    uint16_t primary_index; // a replica's primary, else CLUSTER_NO_INDEX
    uint16_t flags;         // enum cluster_node_flag
    uint16_t port;          // client port
    uint16_t other_port;    // TLS or plain port besides it, 0 = none
    uint16_t bus_port;
    uint32_t slots; // owned
    char id[CLUSTER_ID_SIZE + 1];
    char shard_id[CLUSTER_ID_SIZE + 1];
    const char *ip;
    const char *hostname;       // never NULL
    const char *human_nodename; // never NULL
    uint64_t config_epoch;      // a replica's is its primary's
    uint64_t ping_sent;         // unix ms of the ping that still waits for its pong, 0 = none
    uint64_t pong_received;     // unix ms, 0 = never
    uint64_t replication_offset;
    uint64_t created; // unix ms
    uint32_t inbound; // the accepted link over which it last spoke, 0 = none
    bool link_up;     // our outgoing link (true for myself)
};

// Walks all nodes, myself included, in the order of their index. *cursor starts at 0. False at the end.
bool cluster_view_next(const struct cluster *cluster, uint32_t *cursor, struct cluster_view_node *node);

// The node at an index of the owner arrays; false when there is none.
bool cluster_view_node_at(const struct cluster *cluster, uint16_t index, struct cluster_view_node *node);

// The node of a 40-digit name; false when it is unknown.
bool cluster_view_find(const struct cluster *cluster, struct bytes id, struct cluster_view_node *node);

void cluster_view_myself(const struct cluster *cluster, struct cluster_view_node *node);

// CLUSTER_SLOTS indices of nodes: who owns the slot; whom we hand it to; whom we take it from.
// CLUSTER_NO_INDEX: nobody.
const uint16_t *cluster_view_owners(const struct cluster *cluster);
const uint16_t *cluster_view_migrating(const struct cluster *cluster);
const uint16_t *cluster_view_importing(const struct cluster *cluster);

struct cluster_view_status {
    bool ok;              // cluster_state
    bool manual_failover; // one is under way, as primary or as replica
    bool coverage_only;   // not ok for no other reason than slots without a live owner
    uint32_t slots_assigned, slots_ok, slots_pfail, slots_fail;
    uint32_t known_nodes;
    uint32_t size; // primaries that own slots
    uint64_t current_epoch;
    uint64_t my_epoch; // of my primary, when I am a replica
    uint64_t last_vote_epoch;
    uint64_t owners_version; // grows with every change of the owner arrays, roles or addresses
    uint64_t sent[CLUSTER_MESSAGE_KINDS];
    uint64_t received[CLUSTER_MESSAGE_KINDS];
};

void cluster_view_status(const struct cluster *cluster, struct cluster_view_status *status);

// How many primaries report the node as failing now (CLUSTER COUNT-FAILURE-REPORTS); -1 for an unknown node.
int cluster_view_failure_reports(const struct cluster *cluster, struct bytes id);

// Appends the text of CLUSTER NODES; only the node `only` where its index is given, or all
// (CLUSTER_NO_INDEX). `other_port`: show the other port (a TLS client asks a plain server, or the reverse).
void cluster_view_nodes_text(const struct cluster *cluster, uint16_t only, bool other_port,
                             struct buffer *out);

// Appends the text of CLUSTER INFO, except the lines about links' buffers, which the driver knows.
void cluster_view_info_text(const struct cluster *cluster, struct buffer *out);

#endif
