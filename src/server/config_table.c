// Every directive of redis.conf that is known: name, alias, bounds, default. Those of features that are not here take their
// default only, so that everyday files start; those that only tune such a feature take any proper value and keep it.
#include "base/log.h"
#include "call/settings.h"
#include "replication/replication.h"
#include "server/config.h"
#include "server/config_special.h"
#include "server/listener.h"
#include "server/system_log.h"
#include "server/worker.h"

#define FIXED DIRECTIVE_IMMUTABLE

enum { IO_THREADS_MAX = 128 }; // Redis's bound, so that its files start; main brings it down to WORKERS_MAX

#define BOOL(word, other, bits, place, standard, told)                                                       \
    { .name = (word), .alias = (other), .kind = KIND_BOOL, .flags = (bits), .target = &(place),              \
      .initial = (standard), .apply = (told) }
#define NUMBER(word, other, bits, what, place, low, high, standard, told)                                    \
    { .name = (word), .alias = (other), .kind = (what), .flags = (bits), .target = &(place),                 \
      .size = sizeof(place), .is_signed = (__typeof__(place))-1 < (__typeof__(place))1, .min = (low),        \
      .max = (high), .initial = (standard), .apply = (told) }
#define INTEGER(word, other, bits, place, low, high, standard, told)                                         \
    NUMBER(word, other, bits, KIND_INTEGER, place, low, high, standard, told)
#define MEMORY(word, other, bits, place, low, high, standard, told)                                          \
    NUMBER(word, other, bits, KIND_MEMORY, place, low, high, standard, told)
#define ENUM(word, other, bits, place, choice, standard, told)                                               \
    { .name = (word), .alias = (other), .kind = KIND_ENUM, .flags = (bits), .target = &(place),              \
      .size = sizeof(place), .words = (choice), .initial = (standard), .apply = (told) }
#define BITS(word, place, choice, standard, examined)                                                        \
    { .name = (word), .kind = KIND_ENUM, .flags = DIRECTIVE_WORDS | DIRECTIVE_BITS, .target = &(place),      \
      .size = sizeof(place), .words = (choice), .initial = (standard), .check_bits = (examined) }
#define STRING(word, other, bits, place, standard, examined, told)                                           \
    { .name = (word), .alias = (other), .kind = KIND_STRING, .flags = (bits), .target = &(place),            \
      .initial = (standard), .check = (examined), .apply = (told) }
#define SPECIAL(word, other, bits, stem, standard, as_lines, told)                                           \
    { .name = (word), .alias = (other), .kind = KIND_SPECIAL, .flags = (bits) | DIRECTIVE_WORDS,             \
      .parse = parse_##stem, .print = print_##stem, .initial = (standard), .lines = (as_lines),              \
      .apply = (told) }

// Nothing here reads these: they are taken, shown and kept.
#define KEPT_BOOL(word, other, bits, standard)                                                               \
    { .name = (word), .alias = (other), .kind = KIND_BOOL, .flags = (bits), .initial = (standard) }
#define KEPT_INTEGER(word, other, bits, low, high, standard)                                                 \
    { .name = (word), .alias = (other), .kind = KIND_INTEGER, .flags = (bits), .min = (low), .max = (high),  \
      .initial = (standard) }
#define KEPT_MEMORY(word, other, bits, low, high, standard)                                                  \
    { .name = (word), .alias = (other), .kind = KIND_MEMORY, .flags = (bits), .min = (low), .max = (high),   \
      .initial = (standard) }
#define KEPT_ENUM(word, other, bits, choice, standard)                                                       \
    { .name = (word), .alias = (other), .kind = KIND_ENUM, .flags = (bits), .words = (choice),               \
      .initial = (standard) }
#define KEPT_STRING(word, bits, standard)                                                                    \
    { .name = (word), .kind = KIND_STRING, .flags = (bits) | DIRECTIVE_MAY_BE_NULL, .initial = (standard) }

// These switch on what is not here: only the default is taken.
#define ABSENT_BOOL(word, standard, what)                                                                    \
    { .name = (word), .kind = KIND_BOOL, .flags = DIRECTIVE_ABSENT, .initial = (standard), .feature = (what) }
#define ABSENT_INTEGER(word, low, high, standard, what)                                                      \
    { .name = (word), .kind = KIND_INTEGER, .flags = DIRECTIVE_ABSENT, .min = (low), .max = (high),          \
      .initial = (standard), .feature = (what) }
#define ABSENT_STRING(word, standard, what)                                                                  \
    { .name = (word), .kind = KIND_STRING, .flags = DIRECTIVE_ABSENT | DIRECTIVE_MAY_BE_NULL,                \
      .initial = (standard), .feature = (what) }

#define WORD_LIST(name) static const struct directive_word name[]

WORD_LIST(policies) = {{"volatile-lru", POLICY_VOLATILE_LRU},
                       {"volatile-lfu", POLICY_VOLATILE_LFU},
                       {"volatile-random", POLICY_VOLATILE_RANDOM},
                       {"volatile-ttl", POLICY_VOLATILE_TTL},
                       {"allkeys-lru", POLICY_ALLKEYS_LRU},
                       {"allkeys-lfu", POLICY_ALLKEYS_LFU},
                       {"allkeys-random", POLICY_ALLKEYS_RANDOM},
                       {"noeviction", POLICY_NOEVICTION},
                       {NULL, 0}};
WORD_LIST(levels) = {{"debug", LOG_DEBUG},     {"verbose", LOG_VERBOSE},     {"notice", LOG_NOTICE},
                     {"warning", LOG_WARNING}, {"nothing", LOG_WARNING + 1}, {NULL, 0}};
WORD_LIST(supervisions) = {{"upstart", SUPERVISED_UPSTART},
                           {"systemd", SUPERVISED_SYSTEMD},
                           {"auto", SUPERVISED_AUTO},
                           {"no", SUPERVISED_NO},
                           {NULL, 0}};
WORD_LIST(protections) = {{"no", PROTECTION_NO}, {"yes", PROTECTION_YES}, {"local", PROTECTION_LOCAL}, {NULL, 0}};
WORD_LIST(shutdowns) = {{"default", SHUTDOWN_DEFAULT}, {"save", SHUTDOWN_SAVE},   {"nosave", SHUTDOWN_NOSAVE},
                        {"now", SHUTDOWN_NOW},         {"force", SHUTDOWN_FORCE},
                        {"failover", SHUTDOWN_FAILOVER}, {NULL, 0}};
WORD_LIST(endpoints) = {{"ip", ENDPOINT_IP},
                        {"hostname", ENDPOINT_HOSTNAME},
                        {"unknown-endpoint", ENDPOINT_UNKNOWN},
                        {NULL, 0}};
WORD_LIST(diskless_loads) = {{"disabled", 0}, {"on-empty-db", 1}, {"swapdb", 2}, {NULL, 0}};
WORD_LIST(fsyncs) = {{"everysec", 0}, {"always", 1}, {"no", 2}, {NULL, 0}};
WORD_LIST(oom_adjustments) = {{"no", 0}, {"yes", 1}, {"relative", 1}, {"absolute", 2}, {NULL, 0}};
WORD_LIST(sanitations) = {{"no", 0}, {"yes", 1}, {"clients", 2}, {NULL, 0}};
WORD_LIST(pubsub_defaults) = {{"allchannels", 0}, {"resetchannels", 1}, {NULL, 0}};
WORD_LIST(tls_clients) = {{"no", 0}, {"yes", 1}, {"optional", 2}, {NULL, 0}};
WORD_LIST(propagation_errors) = {{"ignore", 0}, {"panic", 1}, {"panic-on-replicas", 2}, {NULL, 0}};

const struct directive directives[] = {
    // Network
    SPECIAL("bind", NULL, 0, bind, "* -::*", NULL, apply_sockets),
    INTEGER("port", NULL, 0, config.port, 0, 65535, "6379", apply_sockets),
    INTEGER("tcp-backlog", NULL, FIXED, config.tcp_backlog, 0, INT32_MAX, "511", NULL),
    STRING("unixsocket", NULL, FIXED | DIRECTIVE_MAY_BE_NULL, config.unixsocket, "", NULL, NULL),
    NUMBER("unixsocketperm", NULL, FIXED, KIND_OCTAL, config.unixsocket_mode, 0, 0777, "0", NULL),
    INTEGER("timeout", NULL, 0, connection_limits.idle_seconds, 0, INT32_MAX, "0", NULL),
    INTEGER("tcp-keepalive", NULL, 0, connection_limits.keepalive_seconds, 0, INT32_MAX, "300", NULL),
    BOOL("protected-mode", NULL, 0, listener_rules.protect, "yes", NULL),
    STRING("bind-source-addr", NULL, DIRECTIVE_MAY_BE_NULL, replication_settings.bind_source, "", NULL, NULL),
    INTEGER("io-threads", NULL, FIXED | DIRECTIVE_NOT_REWRITTEN, config.threads, 1, IO_THREADS_MAX, "1", NULL),
    INTEGER("io-gather-usec", NULL, 0, settings.io_gather_us, 0, 1000, "40", NULL),
    BOOL("io-threads-always-active", NULL, FIXED, config.threads_always_active, "no", NULL),
    KEPT_BOOL("io-threads-do-reads", NULL, FIXED, "no"),
    INTEGER("maxclients", NULL, 0, listener_rules.max_clients, 1, UINT32_MAX, "10000", apply_max_clients),
    MEMORY("client-query-buffer-limit", NULL, 0, connection_limits.query_buffer, 1024 * 1024, INT64_MAX,
           "1073741824", NULL),
    MEMORY("proto-max-bulk-len", NULL, 0, settings.proto_max_bulk_len, 1024 * 1024, INT64_MAX, "536870912", NULL),
    SPECIAL("client-output-buffer-limit", NULL, DIRECTIVE_ADDS, output_limits,
            "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", lines_output_limits, NULL),
    KEPT_INTEGER("socket-mark-id", NULL, FIXED, 0, UINT32_MAX, "0"),

    // General
    BOOL("daemonize", NULL, FIXED, config.daemonize, "no", NULL),
    STRING("pidfile", NULL, FIXED | DIRECTIVE_MAY_BE_NULL, config.pidfile, "", NULL, NULL),
    ENUM("supervised", NULL, FIXED, config.supervised, supervisions, "no", NULL),
    ENUM("loglevel", NULL, 0, config.log_level, levels, "notice", apply_logging),
    STRING("logfile", NULL, FIXED, config.logfile, "", NULL, NULL),
    BOOL("syslog-enabled", NULL, FIXED, config.syslog_enabled, "no", NULL),
    STRING("syslog-ident", NULL, FIXED, config.syslog_ident, "redis", NULL, NULL),
    ENUM("syslog-facility", NULL, FIXED, config.syslog_facility, system_log_facilities, "local0", NULL),
    INTEGER("databases", NULL, FIXED, settings.databases, 1, DATABASES_MAX, "16", NULL),
    BOOL("always-show-logo", NULL, FIXED, config.always_show_logo, "no", NULL),
    BOOL("set-proc-title", NULL, FIXED, config.set_proc_title, "yes", NULL),
    STRING("proc-title-template", NULL, 0, config.proc_title_template, "{title} {listen-addr} {server-mode}",
           check_title_template, apply_title),
    KEPT_STRING("locale-collate", 0, ""),
    BOOL("crash-log-enabled", NULL, 0, config.crash_log, "yes", apply_logging),
    KEPT_BOOL("crash-memcheck-enabled", NULL, 0, "yes"),
    BOOL("disable-thp", NULL, FIXED, config.disable_thp, "yes", NULL),
    KEPT_STRING("ignore-warnings", 0, ""),
    INTEGER("hz", NULL, DIRECTIVE_LENIENT, config.hz, 1, 500, "10", NULL),
    BOOL("dynamic-hz", NULL, 0, config.dynamic_hz, "yes", NULL),
    ENUM("enable-debug-command", NULL, FIXED, config.enable_debug, protections, "no", NULL),
    ENUM("enable-protected-configs", NULL, FIXED, config.enable_protected, protections, "no", NULL),
    KEPT_ENUM("enable-module-command", NULL, FIXED, protections, "no"),
    KEPT_ENUM("oom-score-adj", NULL, 0, oom_adjustments, "no"),
    SPECIAL("oom-score-adj-values", NULL, 0, oom_scores, "0 200 800", NULL, NULL),
    KEPT_STRING("server_cpulist", FIXED, ""),
    KEPT_STRING("bio_cpulist", FIXED, ""),
    KEPT_STRING("aof_rewrite_cpulist", FIXED, ""),
    KEPT_STRING("bgsave_cpulist", FIXED, ""),
    KEPT_BOOL("jemalloc-bg-thread", NULL, 0, "yes"),
    KEPT_BOOL("activerehashing", NULL, 0, "yes"),
    BITS("shutdown-on-sigint", config.shutdown_on_sigint, shutdowns, "default", check_shutdown),
    BITS("shutdown-on-sigterm", config.shutdown_on_sigterm, shutdowns, "default", check_shutdown),
    INTEGER("shutdown-timeout", NULL, 0, config.shutdown_timeout, 0, INT32_MAX, "10", NULL),

    // Snapshots
    SPECIAL("save", NULL, DIRECTIVE_ADDS, save, "3600 1 300 100 60 10000", lines_save, NULL),
    BOOL("stop-writes-on-bgsave-error", NULL, 0, settings.stop_writes_on_bgsave_error, "yes", NULL),
    BOOL("rdbcompression", NULL, 0, settings.rdb_compression, "yes", NULL),
    BOOL("rdbchecksum", NULL, FIXED, settings.rdb_checksum, "yes", NULL),
    STRING("dbfilename", NULL, DIRECTIVE_PROTECTED, replication_settings.dbfilename, "dump.rdb", check_file_name, NULL),
    SPECIAL("dir", NULL, DIRECTIVE_PROTECTED, dir, "./", lines_dir, NULL),
    KEPT_BOOL("rdb-save-incremental-fsync", NULL, 0, "yes"),
    KEPT_BOOL("rdb-del-sync-files", NULL, 0, "no"),
    KEPT_ENUM("sanitize-dump-payload", NULL, 0, sanitations, "no"),

    // Replication
    SPECIAL("replicaof", "slaveof", FIXED, replicaof, "", lines_replicaof, NULL),
    STRING("masterauth", NULL, DIRECTIVE_MAY_BE_NULL, replication_settings.masterauth, "", NULL, NULL),
    STRING("masteruser", NULL, DIRECTIVE_MAY_BE_NULL, replication_settings.masteruser, "", NULL, NULL),
    BOOL("replica-serve-stale-data", "slave-serve-stale-data", 0, settings.replica_serve_stale_data, "yes", NULL),
    BOOL("replica-read-only", "slave-read-only", 0, settings.replica_read_only, "yes", NULL),
    BOOL("replica-ignore-maxmemory", "slave-ignore-maxmemory", 0, settings.replica_ignore_maxmemory, "yes", NULL),
    KEPT_BOOL("replica-lazy-flush", "slave-lazy-flush", 0, "no"),
    KEPT_BOOL("replica-ignore-disk-write-errors", NULL, 0, "no"),
    INTEGER("replica-priority", "slave-priority", 0, replication_settings.priority, 0, INT32_MAX, "100", NULL),
    BOOL("replica-announced", NULL, 0, replication_settings.announced, "yes", NULL),
    STRING("replica-announce-ip", "slave-announce-ip", DIRECTIVE_MAY_BE_NULL, replication_settings.announce_ip, "", NULL,
           NULL),
    INTEGER("replica-announce-port", "slave-announce-port", 0, replication_settings.announce_port, 0, 65535, "0", NULL),
    INTEGER("repl-ping-replica-period", "repl-ping-slave-period", 0, replication_settings.ping_period_seconds, 1,
            INT32_MAX, "10", apply_cluster),
    INTEGER("repl-timeout", NULL, 0, replication_settings.timeout_seconds, 1, INT32_MAX, "60", NULL),
    BOOL("repl-disable-tcp-nodelay", NULL, 0, replication_settings.disable_nodelay, "no", NULL),
    MEMORY("repl-backlog-size", NULL, 0, replication_settings.backlog_size, 1, INT64_MAX, "1048576", apply_backlog),
    INTEGER("repl-backlog-ttl", NULL, 0, replication_settings.backlog_ttl_seconds, 0, INT64_MAX, "3600", NULL),
    KEPT_BOOL("repl-diskless-sync", NULL, 0, "yes"),
    KEPT_INTEGER("repl-diskless-sync-delay", NULL, 0, 0, INT32_MAX, "5"),
    KEPT_INTEGER("repl-diskless-sync-max-replicas", NULL, 0, 0, INT32_MAX, "0"),
    KEPT_ENUM("repl-diskless-load", NULL, 0, diskless_loads, "disabled"),
    INTEGER("min-replicas-to-write", "min-slaves-to-write", 0, settings.min_replicas_to_write, 0, INT32_MAX, "0",
            apply_replicas),
    INTEGER("min-replicas-max-lag", "min-slaves-max-lag", 0, settings.min_replicas_max_lag, 0, INT32_MAX, "10",
            apply_replicas),
    KEPT_ENUM("propagation-error-behavior", NULL, 0, propagation_errors, "ignore"),

    // Security
    STRING("requirepass", NULL, DIRECTIVE_MAY_BE_NULL, settings.requirepass, "", NULL, NULL),
    ABSENT_STRING("aclfile", "", "ACL files"),
    KEPT_INTEGER("acllog-max-len", NULL, 0, 0, INT64_MAX, "128"),
    KEPT_ENUM("acl-pubsub-default", NULL, 0, pubsub_defaults, "resetchannels"),

    // Memory
    MEMORY("maxmemory", NULL, 0, settings.maxmemory, 0, INT64_MAX, "0", NULL),
    ENUM("maxmemory-policy", NULL, 0, settings.maxmemory_policy, policies, "noeviction", apply_access),
    INTEGER("maxmemory-samples", NULL, 0, settings.maxmemory_samples, 1, 64, "5", NULL),
    INTEGER("maxmemory-eviction-tenacity", NULL, 0, settings.maxmemory_eviction_tenacity, 0, 100, "10", NULL),
    SPECIAL("maxmemory-clients", NULL, 0, maxmemory_clients, "0", NULL, NULL),
    INTEGER("lfu-log-factor", NULL, 0, settings.lfu_log_factor, 0, INT32_MAX, "10", apply_access),
    INTEGER("lfu-decay-time", NULL, 0, settings.lfu_decay_time, 0, INT32_MAX, "1", apply_access),
    INTEGER("active-expire-effort", NULL, 0, settings.active_expire_effort, 1, 10, "1", NULL),
    BOOL("lazyfree-lazy-eviction", NULL, 0, settings.lazyfree_lazy_eviction, "no", NULL),
    BOOL("lazyfree-lazy-expire", NULL, 0, settings.lazyfree_lazy_expire, "no", NULL),
    BOOL("lazyfree-lazy-server-del", NULL, 0, settings.lazyfree_lazy_server_del, "no", NULL),
    BOOL("lazyfree-lazy-user-del", NULL, 0, settings.lazyfree_lazy_user_del, "no", NULL),
    BOOL("lazyfree-lazy-user-flush", NULL, 0, settings.lazyfree_lazy_user_flush, "no", NULL),

    // Slow log and latencies
    INTEGER("slowlog-log-slower-than", NULL, 0, settings.slowlog_log_slower_than, -1, INT64_MAX, "10000", NULL),
    INTEGER("slowlog-max-len", NULL, 0, settings.slowlog_max_len, 0, INT64_MAX, "128", NULL),
    INTEGER("latency-monitor-threshold", NULL, 0, settings.latency_monitor_threshold, 0, INT64_MAX, "0", NULL),
    BOOL("latency-tracking", NULL, 0, config.latency_tracking, "yes", apply_logging),
    SPECIAL("latency-tracking-info-percentiles", NULL, 0, percentiles, "50 99 99.9", NULL, NULL),

    // Cluster
    BOOL("cluster-enabled", NULL, FIXED, settings.cluster_enabled, "no", NULL),
    BOOL("cluster-slot-stats-enabled", NULL, 0, settings.slot_stats, "no", NULL),
    INTEGER("cluster-databases", NULL, FIXED, settings.cluster_databases, 1, DATABASES_MAX, "1", NULL),
    STRING("cluster-config-file", NULL, FIXED, config.cluster_config_file, "nodes.conf", NULL, NULL),
    INTEGER("cluster-node-timeout", NULL, 0, config.cluster_node_timeout, 0, INT64_MAX, "15000", apply_cluster),
    INTEGER("cluster-ping-interval", NULL, DIRECTIVE_HIDDEN, config.cluster_ping_interval, 0, INT32_MAX, "0", apply_cluster),
    BOOL("cluster-crash-detection", NULL, 0, config.cluster_crash_detection, "yes", apply_cluster),
    INTEGER("cluster-stall-timeout", NULL, 0, config.cluster_stall_timeout, 0, INT64_MAX, "0", apply_cluster),
    INTEGER("cluster-port", NULL, FIXED, config.cluster_port, 0, 65535, "0", NULL),
    INTEGER("cluster-migration-barrier", NULL, 0, config.cluster_migration_barrier, 0, INT32_MAX, "1", apply_cluster),
    INTEGER("cluster-replica-validity-factor", "cluster-slave-validity-factor", 0,
            config.cluster_replica_validity_factor, 0, INT32_MAX, "10", apply_cluster),
    BOOL("cluster-require-full-coverage", NULL, 0, config.cluster_require_full_coverage, "yes", apply_cluster),
    BOOL("cluster-replica-no-failover", "cluster-slave-no-failover", 0, config.cluster_replica_no_failover, "no",
         apply_cluster),
    BOOL("cluster-allow-replica-migration", NULL, 0, config.cluster_allow_replica_migration, "yes", apply_cluster),
    BOOL("cluster-allow-reads-when-down", NULL, 0, config.cluster_allow_reads_when_down, "no", apply_cluster),
    BOOL("cluster-allow-pubsubshard-when-down", NULL, 0, config.cluster_allow_pubsubshard_when_down, "yes", NULL),
    STRING("cluster-announce-ip", NULL, DIRECTIVE_MAY_BE_NULL, config.cluster_announce_ip, "", NULL, apply_cluster),
    INTEGER("cluster-announce-port", NULL, 0, config.cluster_announce_port, 0, 65535, "0", apply_cluster),
    INTEGER("cluster-announce-bus-port", NULL, 0, config.cluster_announce_bus_port, 0, 65535, "0", apply_cluster),
    KEPT_INTEGER("cluster-announce-tls-port", NULL, 0, 0, 65535, "0"),
    STRING("cluster-announce-hostname", NULL, DIRECTIVE_MAY_BE_NULL, config.cluster_announce_hostname, "",
           check_hostname, apply_cluster),
    STRING("cluster-announce-human-nodename", NULL, DIRECTIVE_MAY_BE_NULL, config.cluster_announce_human_nodename, "",
           check_human_nodename, apply_cluster),
    ENUM("cluster-preferred-endpoint-type", NULL, 0, config.cluster_preferred_endpoint, endpoints, "ip", apply_cluster),
    MEMORY("cluster-link-sendbuf-limit", NULL, 0, config.cluster_link_sendbuf_limit, 0, INT64_MAX, "0", apply_cluster),

    // Append-only file
    ABSENT_BOOL("appendonly", "no", "append-only file"),
    KEPT_STRING("appendfilename", FIXED, "appendonly.aof"),
    KEPT_STRING("appenddirname", FIXED, "appendonlydir"),
    KEPT_ENUM("appendfsync", NULL, 0, fsyncs, "everysec"),
    KEPT_BOOL("no-appendfsync-on-rewrite", NULL, 0, "no"),
    KEPT_INTEGER("auto-aof-rewrite-percentage", NULL, 0, 0, INT32_MAX, "100"),
    KEPT_MEMORY("auto-aof-rewrite-min-size", NULL, 0, 0, INT64_MAX, "67108864"),
    KEPT_BOOL("aof-load-truncated", NULL, 0, "yes"),
    KEPT_BOOL("aof-use-rdb-preamble", NULL, 0, "yes"),
    KEPT_BOOL("aof-timestamp-enabled", NULL, 0, "no"),
    KEPT_BOOL("aof-rewrite-incremental-fsync", NULL, 0, "yes"),
    KEPT_BOOL("aof-disable-auto-gc", NULL, 0, "no"),

    // TLS
    ABSENT_INTEGER("tls-port", 0, 65535, "0", "TLS"),
    ABSENT_BOOL("tls-cluster", "no", "TLS"),
    ABSENT_BOOL("tls-replication", "no", "TLS"),
    KEPT_ENUM("tls-auth-clients", NULL, 0, tls_clients, "yes"),
    KEPT_STRING("tls-cert-file", 0, ""),
    KEPT_STRING("tls-key-file", 0, ""),
    KEPT_STRING("tls-key-file-pass", 0, ""),
    KEPT_STRING("tls-client-cert-file", 0, ""),
    KEPT_STRING("tls-client-key-file", 0, ""),
    KEPT_STRING("tls-client-key-file-pass", 0, ""),
    KEPT_STRING("tls-dh-params-file", 0, ""),
    KEPT_STRING("tls-ca-cert-file", 0, ""),
    KEPT_STRING("tls-ca-cert-dir", 0, ""),
    KEPT_STRING("tls-protocols", 0, ""),
    KEPT_STRING("tls-ciphers", 0, ""),
    KEPT_STRING("tls-ciphersuites", 0, ""),
    KEPT_BOOL("tls-prefer-server-ciphers", NULL, 0, "no"),
    KEPT_BOOL("tls-session-caching", NULL, 0, "yes"),
    KEPT_INTEGER("tls-session-cache-size", NULL, 0, 0, INT32_MAX, "20480"),
    KEPT_INTEGER("tls-session-cache-timeout", NULL, 0, 0, INT32_MAX, "300"),

    // Types, scripts, notifications, tracking, defragmentation
    SPECIAL("notify-keyspace-events", NULL, 0, events, "", NULL, NULL),
    KEPT_INTEGER("busy-reply-threshold", "lua-time-limit", 0, 0, INT64_MAX, "5000"),
    INTEGER("tracking-table-max-keys", NULL, 0, settings.tracking_table_max_keys, 0, INT64_MAX, "1000000", NULL),
    KEPT_INTEGER("hash-max-listpack-entries", "hash-max-ziplist-entries", 0, 0, INT64_MAX, "512"),
    KEPT_MEMORY("hash-max-listpack-value", "hash-max-ziplist-value", 0, 0, INT64_MAX, "64"),
    KEPT_INTEGER("list-max-listpack-size", "list-max-ziplist-size", 0, INT32_MIN, INT32_MAX, "-2"),
    KEPT_INTEGER("list-compress-depth", NULL, 0, 0, INT32_MAX, "0"),
    KEPT_INTEGER("set-max-intset-entries", NULL, 0, 0, INT64_MAX, "512"),
    KEPT_INTEGER("set-max-listpack-entries", NULL, 0, 0, INT64_MAX, "128"),
    KEPT_MEMORY("set-max-listpack-value", NULL, 0, 0, INT64_MAX, "64"),
    KEPT_INTEGER("zset-max-listpack-entries", "zset-max-ziplist-entries", 0, 0, INT64_MAX, "128"),
    KEPT_MEMORY("zset-max-listpack-value", "zset-max-ziplist-value", 0, 0, INT64_MAX, "64"),
    KEPT_MEMORY("hll-sparse-max-bytes", NULL, 0, 0, INT64_MAX, "3000"),
    KEPT_MEMORY("stream-node-max-bytes", NULL, 0, 0, INT64_MAX, "4096"),
    KEPT_INTEGER("stream-node-max-entries", NULL, 0, 0, INT64_MAX, "100"),
    ABSENT_BOOL("activedefrag", "no", "active defragmentation"),
    KEPT_MEMORY("active-defrag-ignore-bytes", NULL, 0, 1, INT64_MAX, "104857600"),
    KEPT_INTEGER("active-defrag-threshold-lower", NULL, 0, 0, 1000, "10"),
    KEPT_INTEGER("active-defrag-threshold-upper", NULL, 0, 0, 1000, "100"),
    KEPT_INTEGER("active-defrag-cycle-min", NULL, 0, 1, 99, "1"),
    KEPT_INTEGER("active-defrag-cycle-max", NULL, 0, 1, 99, "25"),
    KEPT_INTEGER("active-defrag-max-scan-fields", NULL, 0, 1, INT64_MAX, "1000"),
    {.name = NULL},
};
