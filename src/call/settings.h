// settings: the configuration as the floors below server/ read it. Written in exclusive mode only (CONFIG SET), so a
// worker inside the gate reads plain fields. Other threads are told by message.
#ifndef SHOAL_CALL_SETTINGS_H
#define SHOAL_CALL_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

enum maxmemory_policy {
    POLICY_VOLATILE_LRU,
    POLICY_VOLATILE_LFU,
    POLICY_VOLATILE_RANDOM,
    POLICY_VOLATILE_TTL,
    POLICY_ALLKEYS_LRU,
    POLICY_ALLKEYS_LFU,
    POLICY_ALLKEYS_RANDOM,
    POLICY_NOEVICTION,
};

struct settings {
    unsigned databases;
    bool cluster_enabled;
    unsigned cluster_databases; // their number in cluster mode
    bool slot_stats;            // cluster-slot-stats-enabled
    uint64_t maxmemory;
    enum maxmemory_policy maxmemory_policy;
    unsigned maxmemory_samples;
    unsigned maxmemory_eviction_tenacity;
    bool replica_ignore_maxmemory;
    unsigned lfu_log_factor, lfu_decay_time;
    uint64_t proto_max_bulk_len;
    int64_t io_gather_us; // how long busy workers let requests gather; 0: they do not
    int64_t slowlog_log_slower_than; // us; negative: off
    uint64_t slowlog_max_len;
    int64_t latency_monitor_threshold; // ms; 0: off
    uint64_t tracking_table_max_keys; // 0: no limit
    bool replica_read_only;
    bool replica_serve_stale_data;
    unsigned min_replicas_to_write, min_replicas_max_lag;
    bool stop_writes_on_bgsave_error;
    bool saves_by_itself; // there are save points
    bool lazyfree_lazy_eviction, lazyfree_lazy_expire, lazyfree_lazy_server_del, lazyfree_lazy_user_del,
        lazyfree_lazy_user_flush;
    const char *requirepass; // "" for none
    unsigned active_expire_effort; // 1..10
    bool rdb_compression, rdb_checksum;
    bool enable_debug; // enable-debug-command allows it
};

// What the node is at this moment. Written in exclusive mode only.
struct role {
    bool replica;         // we follow a primary
    bool primary_link_up;
    bool loading;         // a snapshot is being read: most commands answer LOADING
    bool save_failed;     // the last BGSAVE failed
    bool active_expire;   // DEBUG SET-ACTIVE-EXPIRE
    unsigned good_replicas; // replicas whose lag is within min-replicas-max-lag
};

extern struct settings settings;
extern struct role role;

// As Redis is in cluster mode: there is no database but 0, and whoever names another is told so.
static inline bool settings_only_database_zero(void) {
    return settings.cluster_enabled && settings.cluster_databases == 1;
}

#endif
