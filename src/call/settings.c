#include "call/settings.h"

struct settings settings = {
    .databases = 16,
    .cluster_databases = 1,
    .maxmemory_policy = POLICY_NOEVICTION,
    .maxmemory_samples = 5,
    .maxmemory_eviction_tenacity = 10,
    .replica_ignore_maxmemory = true,
    .lfu_log_factor = 10,
    .lfu_decay_time = 1,
    .proto_max_bulk_len = 512 * 1024 * 1024,
    .io_gather_us = 40,
    .slowlog_log_slower_than = 10000,
    .slowlog_max_len = 128,
    .replica_read_only = true,
    .replica_serve_stale_data = true,
    .min_replicas_max_lag = 10,
    .stop_writes_on_bgsave_error = true,
    .requirepass = "",
    .active_expire_effort = 1,
    .rdb_compression = true,
    .rdb_checksum = true,
};

struct role role = {.active_expire = true};
