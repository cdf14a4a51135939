// config: the configuration: where its values live that no lower floor keeps, how it is read from file and command line,
// and how CONFIG REWRITE writes it back.
//
// What other folders read stands in their own structs (call/settings.h, replication_settings, connection_limits ...); the
// table in config_table.c points there. Written before the workers run, or in exclusive mode.
#ifndef SHOAL_SERVER_CONFIG_H
#define SHOAL_SERVER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

enum {
    BIND_ADDRESSES_MAX = 16,
    SAVE_POINTS_MAX = 64,
    PERCENTILES_MAX = 16,
    CONFIG_FILE_MAX = 16 * 1024 * 1024, // bytes of one configuration file
    INCLUDES_DEEP = 16,                 // files that include files
};

enum shutdown_flag {
    SHUTDOWN_DEFAULT = 0, // as the mode has it: FAILOVER in a cluster
    SHUTDOWN_SAVE = 1,
    SHUTDOWN_NOSAVE = 2,
    SHUTDOWN_NOW = 4,
    SHUTDOWN_FORCE = 8,
    SHUTDOWN_FAILOVER = 16,
};
enum supervision { SUPERVISED_NO, SUPERVISED_UPSTART, SUPERVISED_SYSTEMD, SUPERVISED_AUTO };
enum endpoint_type { ENDPOINT_IP, ENDPOINT_HOSTNAME, ENDPOINT_UNKNOWN };
enum protection { PROTECTION_NO, PROTECTION_YES, PROTECTION_LOCAL };

struct save_point {
    int64_t seconds;
    int64_t changes;
};

struct config {
    char *file;       // absolute path of the configuration file, "" for none
    char *executable; // absolute path of the program

    // network
    char *bind[BIND_ADDRESSES_MAX];
    unsigned bind_count;
    uint16_t port;
    int tcp_backlog;
    char *unixsocket;
    unsigned unixsocket_mode;
    unsigned threads; // io-threads
    bool threads_always_active; // io-threads-always-active

    // general
    bool daemonize, always_show_logo, set_proc_title, syslog_enabled, crash_log, disable_thp;
    char *pidfile, *logfile, *syslog_ident, *proc_title_template;
    int syslog_facility;
    int log_level;
    int supervised;
    int enable_debug, enable_protected;
    unsigned hz;
    bool dynamic_hz;

    // snapshots
    struct save_point save_points[SAVE_POINTS_MAX];
    unsigned save_point_count;

    // shutdown
    unsigned shutdown_timeout; // seconds
    int shutdown_on_sigint, shutdown_on_sigterm;

    // replication
    char *replicaof_host; // "" for none
    uint16_t replicaof_port;

    // latencies
    bool latency_tracking;
    double percentiles[PERCENTILES_MAX];
    unsigned percentile_count;

    // cluster
    char *cluster_config_file;
    uint64_t cluster_node_timeout; // ms
    uint64_t cluster_ping_interval;
    uint64_t cluster_stall_timeout;
    unsigned cluster_migration_barrier, cluster_replica_validity_factor;
    bool cluster_require_full_coverage, cluster_replica_no_failover, cluster_allow_replica_migration;
    bool cluster_crash_detection;
    bool cluster_allow_reads_when_down, cluster_allow_pubsubshard_when_down;
    uint16_t cluster_port, cluster_announce_port, cluster_announce_bus_port;
    char *cluster_announce_ip, *cluster_announce_hostname, *cluster_announce_human_nodename;
    int cluster_preferred_endpoint;
    uint64_t cluster_link_sendbuf_limit;
};
extern struct config config;

// Called when a directive of the cluster's or of the keyspace's changes while the server runs; set by main.
struct config_followers {
    bool (*sockets)(struct buffer *error);      // port, bind, tcp-backlog
    bool (*max_clients)(struct buffer *error);  // maxclients: the limit of open files
    void (*access)(void);                       // maxmemory-policy, lfu-*
    void (*backlog)(void);                      // repl-backlog-size
    void (*cluster)(void);                      // cluster-*
    void (*logging)(void);                      // loglevel, crash-log-enabled, latency-tracking
    void (*title)(void);                        // proc-title-template
    void (*replicas)(void);                     // min-replicas-*, repl-*
};
void config_set_followers(const struct config_followers *followers);

enum config_start { CONFIG_RUN, CONFIG_EXIT_OK, CONFIG_EXIT_FAILED };

// Defaults, then the file and the options that the command line names. Prints --help, --version and errors itself.
enum config_start config_start(int argc, char **argv);

// Writes the values back to the file. False: `error` says why.
bool config_rewrite(struct buffer *error);

// CONFIG SET of name/value pairs: all or none. False: `error` is the whole error reply. Exclusive mode.
bool config_set(const struct bytes *pairs, unsigned count, bool local_client, struct buffer *error);

#endif
