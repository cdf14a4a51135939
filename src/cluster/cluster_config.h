// cluster_config: what an administrator may set about the cluster protocol. Plain data; the core keeps a
// copy.
#ifndef SHOAL_CLUSTER_CLUSTER_CONFIG_H
#define SHOAL_CLUSTER_CLUSTER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

enum {
    CLUSTER_ID_SIZE = 40,       // a node's or a shard's name: 40 hexadecimal digits
    CLUSTER_IP_SIZE = 46,       // an address as text with its terminator
    CLUSTER_HOSTNAME_SIZE = 256 // a host's or a node's human name with its terminator
};

// Times are in milliseconds. cluster_config_default fills in Redis's defaults.
struct cluster_config {
    uint64_t node_timeout;             // cluster-node-timeout, 15000
    uint64_t ping_interval;            // cluster-ping-interval; 0 = derived from node_timeout
    uint64_t replica_validity_factor;  // cluster-replica-validity-factor, 10; 0 = any age will do
    uint64_t repl_ping_replica_period; // repl-ping-replica-period, 10000
    uint64_t manual_failover_timeout;  // 5000
    uint64_t blacklist_ttl;            // how long a forgotten node stays forgotten, 60000
    uint32_t migration_barrier;        // cluster-migration-barrier, 1
    enum log_level note_level;         // notes of lower levels are not given; LOG_DEBUG, so all are
    bool require_full_coverage;        // cluster-require-full-coverage, yes
    bool replica_no_failover;          // cluster-replica-no-failover, no
    bool allow_replica_migration;      // cluster-allow-replica-migration, yes
    bool crash_detection;              // a broken link and a refused connection are a suspicion at once; yes
    uint16_t port;                     // the client port that is announced
    uint16_t bus_port;                 // the bus port that is announced
    uint16_t other_port;               // TLS or plain port besides `port`, 0 when there is none
    char announce_ip[CLUSTER_IP_SIZE]; // cluster-announce-ip; empty: learnt from the first MEET
    char announce_hostname[CLUSTER_HOSTNAME_SIZE];
    char announce_human_nodename[CLUSTER_HOSTNAME_SIZE];
};

void cluster_config_default(struct cluster_config *config);

#endif
