// peer: what a node's core knows of another node, or of itself. Part of the core: included by state.h.
//
// Times are as in state.h. Owning thread: the driver's.
#ifndef SHOAL_CLUSTER_PEER_H
#define SHOAL_CLUSTER_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "cluster/cluster_view.h"
#include "cluster/directory.h"
#include "cluster/packet.h"

enum { CACHE_LINE = 64 };

// A flag on the wire besides those of enum cluster_node_flag: the sender reads all extensions of pings.
// (Having sent a hostname does not say so: Redis 7.0 logs a warning for each other kind.)
enum { FLAG_READS_EXTENSIONS = 1024 };

enum link_state { LINK_NONE, LINK_CONNECTING, LINK_UP };

// Which peers of a word of indices a reporter says to fail, by the time at which it did so last; see
// reports.h.
enum { REPORT_AGES = 4 };
struct reported {
    uint64_t heard[REPORT_AGES];
};

// Laid out by lines of 64 bytes: gossip, read and written, is most of what the nodes of a large cluster do,
// and most of that is waiting for memory. What gossip is about is in the first line and in the directory.
struct __attribute__((aligned(CACHE_LINE))) peer {
    const char *id;                    // CLUSTER_ID_SIZE bytes, of the directory's entry
    struct directory_address *address; // `ip` and the ports, as gossip says them
    uint64_t ping_sent;                // the ping that waits for its pong
    uint64_t pong_received;            // directly, or as credible gossip says
    uint64_t data_received;            // any bytes over one of its links
    uint16_t index;
    uint16_t flags;
    uint32_t slots;
    uint32_t gossip_mark;  // the number of the ping that mentions it
    uint32_t report_count; // who says that it fails; see reports.h
    uint16_t primary;      // a replica's, NO_PEER otherwise
    uint16_t generation;
    uint8_t link;          // enum link_state
    uint8_t link_failures; // how often in a row it could not be made
    bool link_broke : 1;   // it was up and fell: a refusal is now the mark of a dead process
    bool extensions : 1;   // it reads extensions in pings
    bool accused : 1;      // somebody said that it fails, since it answered us last

    // What each of its packets changes, and the timers look at.
    uint64_t link_heard; // when anything last came over our link
    uint64_t link_time;  // since when the link is as it is
    uint64_t link_retry; // before this our link is not made anew
    uint64_t config_epoch;
    uint64_t current_epoch; // the greatest that it spoke of
    uint64_t replication_offset;
    uint16_t port, other_port, bus_port;
    uint16_t pings_out;     // over our link as it is now, not answered yet
    uint16_t pings_crossed; // of those, sent before we learnt the role that it has now

    uint64_t claims_epoch;   // the config epoch with which we last heard it claim slots, in this life of ours
    uint64_t claims_hash;    // of the last slot bitmap that it sent and we took in ...
    uint64_t claims_version; // ... when slots_version was this
    uint64_t slots_changed;  // slots_version when its slots or its role last changed
    char *hostname;          // NULL when empty
    char *human_nodename;    // NULL when empty
    uint64_t created; // 0: in a former life of this process
    uint64_t fail_time;
    uint64_t fail_news_at; // when we tell that it has failed, as one of cluster->fail_news
    uint64_t epoch_time;   // when config_epoch last grew

    uint64_t voted_time;    // when we last voted for one of its replicas,
    cluster_node voted_for; // and for which
    uint64_t acked_epoch;   // the newest election for which its vote was counted
    uint64_t orphaned_time; // since when it has slots, had replicas, and has no working one
    char shard_id[CLUSTER_ID_SIZE];

    struct directory_name *name;
    char ip[CLUSTER_IP_SIZE];
};

#endif
