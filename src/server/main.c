// main: puts the house together, floor by floor, and runs it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "bus/bus.h"
#include "commands/services.h"
#include "commands/tables.h"
#include "commands/version.h"
#include "keyspace/slot_lock.h"
#include "migration/migration.h"
#include "os/clock.h"
#include "os/memory_use.h"
#include "os/random.h"
#include "os/ticks.h"
#include "persistence/snapshot.h"
#include "replication/replication.h"
#include "server/admin.h"
#include "server/background.h"
#include "server/cluster_setup.h"
#include "server/config.h"
#include "server/crash.h"
#include "server/crew.h"
#include "server/cron.h"
#include "server/eviction.h"
#include "server/info.h"
#include "server/latency.h"
#include "server/invalidation_wires.h"
#include "server/listener.h"
#include "server/logging.h"
#include "server/monitor.h"
#include "server/process_setup.h"
#include "server/saving.h"
#include "server/shutdown.h"
#include "server/slowlog.h"
#include "server/sockets.h"
#include "server/statistics.h"
#include "server/worker.h"

static struct keyspace *keyspace;
static struct journal *journal;
static struct gate *gate;

static void install_commands(void) {
    static const struct command *const tables[] = {
        string_commands,    key_commands,     transaction_commands, connection_commands, server_commands,
        replication_commands, migration_commands, bus_commands,       config_commands,     info_commands,
        saving_commands,    shutdown_commands, slowlog_commands,    latency_commands,    memory_commands,
        monitor_commands,   debug_commands,   NULL};
    static const struct command_docs *const docs[] = {
        command_docs_string, command_docs_generic, command_docs_transactions, command_docs_connection,
        command_docs_server, command_docs_cluster, NULL};
    command_table_install(tables, docs);
}

// --- What the lower floors are given.

static void command_was_slow(const struct session *session, const struct command *command, const struct bytes *argv,
                             int argc, int64_t us) {
    slowlog_add(session, command, argv, argc, us);
    latency_add(command->flags & CMD_FAST ? LATENCY_FAST_COMMAND : LATENCY_COMMAND, us / 1000);
}

static void exclusive_ended(struct dispatcher *dispatcher) {
    workers_wake();
}

static void session_closes(struct session *session) {
    monitor_closing(session);
    replication_closing(session);
}

static struct loop *loop_of(unsigned worker) {
    return worker_loop(worker_at(worker));
}

static struct dispatcher *dispatcher_of(unsigned worker) {
    return worker_dispatcher(worker_at(worker));
}

static void became_replica(struct session *session) {
    worker_count_replica(worker_at(session->worker));
}

static void connect_floors(void) {
    static const struct worker_hooks hooks = {session_closes, replication_peek, replication_sent, replication_backlog,
                                              listener_leave};
    static const struct dispatch_sinks sinks = {.monitor = monitor_command,
                                                .exclusive_ended = exclusive_ended,
                                                .make_room = eviction_make_room,
                                                .slow = command_was_slow,
                                                .lingers = worker_lingers,
                                                .error = statistics_error};
    static const struct command_services services = {.wall_us = clock_wall_us, .free_later = background_free};
    static const struct migration_workers migration = {loop_of, dispatcher_of, workers_wake};
    worker_set_hooks(&hooks);
    dispatch_set_sinks(&sinks);
    commands_set_services(&services);
    replication_start(dispatcher_of(0), loop_of(0), workers_wake);
    replication_set_adopter(became_replica);
    migration_start(&migration);
    invalidation_connect(keyspace);
}

// --- Changes of the configuration while it runs.

static void set_access(void) {
    struct keyspace_access *access = keyspace_access(keyspace);
    enum maxmemory_policy policy = settings.maxmemory_policy;
    access->lfu = policy == POLICY_VOLATILE_LFU || policy == POLICY_ALLKEYS_LFU;
    access->log_factor = settings.lfu_log_factor;
    access->decay_time = settings.lfu_decay_time;
    eviction_forget();
}

static void set_backlog(void) {
    journal_set_backlog(journal, replication_settings.backlog_size);
}

static bool set_max_clients(struct buffer *error) {
    if (process_can_have_clients(listener_rules.max_clients)) return true;
    buffer_append_string(error, "The operating system is not able to handle the specified number of clients");
    return false;
}

static void set_reports(void) {
    log_set_level((enum log_level)config.log_level);
    dispatch_track_times = config.latency_tracking;
    crash_watch(config.crash_log);
}

static void set_title(void) {
    process_set_title(settings.cluster_enabled ? "[cluster]" : "");
}

static void follow_configuration(void) {
    static const struct config_followers followers = {.sockets = sockets_open,
                                                      .max_clients = set_max_clients,
                                                      .access = set_access,
                                                      .backlog = set_backlog,
                                                      .cluster = cluster_configure,
                                                      .logging = set_reports,
                                                      .title = set_title};
    config_set_followers(&followers);
    set_access();
    set_reports();
    settings.enable_debug = config.enable_debug != PROTECTION_NO;
    replication_settings.port = config.port;
}

// --- Start.

static void say_hello(void) {
    log_write(LOG_NOTICE, "oO0OoO0OoO0Oo Shoal is starting oO0OoO0OoO0Oo");
    log_write(LOG_NOTICE, "Shoal version=%s, Redis version=%s, bits=%zu, pid=%d, just started", SHOAL_VERSION,
              REDIS_VERSION, sizeof(void *) * 8, (int)getpid());
    if (config.file[0])
        log_write(LOG_NOTICE, "Configuration loaded");
    else
        log_write(LOG_WARNING, "Warning: no config file specified, using the default config. In order to specify a "
                               "config file use %s /path/to/redis.conf", config.executable);
}

static void say_mode(void) {
    const char *mode = settings.cluster_enabled ? "cluster" : "standalone";
    if (config.always_show_logo)
        printf("\n   ><>      Shoal %s (Redis %s) %zu bit\n ><>  ><>   Running in %s mode\n   ><>      Port: %u\n"
               "            PID: %d\n\n", SHOAL_VERSION, REDIS_VERSION, sizeof(void *) * 8, mode, config.port,
               (int)getpid());
    fflush(stdout);
    log_write(LOG_NOTICE, "Running mode=%s, port=%u.", mode, config.port);
}

static void limit_threads(void) {
    if (config.threads <= WORKERS_MAX) return;
    log_write(LOG_WARNING, "You requested io-threads of %u; there are never more than %d workers.",
              config.threads, WORKERS_MAX);
    config.threads = WORKERS_MAX;
}

static void create_floors(void) {
    limit_threads();
    keyspace = keyspace_create(settings.cluster_enabled ? settings.cluster_databases : settings.databases);
    gate = gate_create(config.threads);
    journal = journal_create(DISPATCHERS_MAX, replication_settings.backlog_size);
    crew_start(config.threads, config.threads_always_active);
    workers_create(config.threads, keyspace, journal, gate);
    listener_start();
    // Only now: from here on more than one thread may be at the keys.
    slot_lock_add_threads(keyspace, (int)config.threads - 1);
}

#ifdef __SANITIZE_ADDRESS__
static const bool frees_keys = true; // the leak checker can't read the tables' tagged pointers
#else
static const bool frees_keys = false; // the system takes the memory back much faster than we could
#endif

// The workers have ended, or never ran: clients get what is left for them, then thread after thread ends, so that nobody
// is at what is freed. Only the workers' own memory stays, which messages to their loops may still name.
static void end_floors(void) {
    listener_close_all();
    workers_flush_and_close();
    migration_stop();
    if (settings.cluster_enabled) cluster_stop();
    snapshot_load_stop();
    replication_stop();
    background_stop(frees_keys);
    if (frees_keys) keyspace_destroy(keyspace);
    journal_destroy(journal);
    gate_destroy(gate);
}

static int give_up(struct buffer *error) {
    log_write(LOG_WARNING, "%s", error->size ? error->data : "Can't start");
    buffer_free(error);
    end_floors();
    return 1;
}

// Threads start here, so the process has forked for the last time but for its snapshots.
static bool start_floors(struct buffer *error) {
    background_start();
    connect_floors();
    info_start(keyspace, journal);
    statistics_start();
    eviction_start();
    follow_configuration();
    if (!sockets_open(error)) return false;
    if (!listener_exists()) {
        buffer_append_string(error, "Configured to not listen anywhere, exiting.");
        buffer_string(error);
        return false;
    }
    if (settings.cluster_enabled && !cluster_start(keyspace, gate, error)) return false;
    cron_start(loop_of(0), dispatcher_of(0));
    shutdown_watch_signals(loop_of(0), dispatcher_of(0));
    return true;
}

static void begin_serving(void) {
    log_write(LOG_NOTICE, "Server initialized");
    saving_load_at_start(keyspace);
    if (config.replicaof_host[0]) replication_follow(config.replicaof_host, config.replicaof_port);
    process_tell_supervisor(role.loading ? "STATUS=Loading the DB\nREADY=1\n" : "STATUS=Ready to accept connections\n"
                                                                                "READY=1\n");
}

int main(int argc, char **argv) {
    memory_use_thread_enter();
    process_keep_title(argc, argv);
    install_commands(); // the configuration may rename some
    enum config_start start = config_start(argc, argv);
    if (start != CONFIG_RUN) return start == CONFIG_EXIT_OK ? 0 : 1;
    if (settings.cluster_enabled && config.replicaof_host[0]) {
        fprintf(stderr, "\n*** FATAL CONFIG FILE ERROR ***\nreplicaof directive not allowed in cluster mode\n");
        return 1;
    }
    if (!logging_start()) return 1; // while there is somebody who can be told
    if (config.daemonize) process_daemonize();
    ticks_init();
    hash_set_seed(random_u64());
    say_hello();
    process_disable_huge_pages();
    process_raise_file_limit();
    shutdown_block_signals();
    logging_serving();
    create_floors();
    say_mode();
    struct buffer error = BUFFER_EMPTY;
    if (!start_floors(&error)) return give_up(&error);
    buffer_free(&error);
    process_write_pid_file(); // only now: a start that another server's port stops leaves that one's file alone
    set_title();
    begin_serving();
    workers_run();
    end_floors();
    if (shutdown_exit_code() == 0) log_write(LOG_WARNING, "Shoal is now ready to exit, bye bye...");
    return shutdown_exit_code();
}
