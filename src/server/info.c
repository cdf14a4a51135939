#include "server/info.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bus/bus.h"
#include "call/call.h"
#include "call/dispatch.h"
#include "call/tracking.h"
#include "commands/version.h"
#include "os/clock.h"
#include "os/memory_use.h"
#include "os/random.h"
#include "persistence/snapshot.h"
#include "replication/replication.h"
#include "server/admin.h"
#include "server/config.h"
#include "server/crew.h"
#include "server/listener.h"
#include "server/process_setup.h"
#include "server/saving.h"
#include "server/shutdown.h"
#include "server/statistics.h"
#include "server/worker.h"

enum { RUN_ID_SIZE = 40, LRU_CLOCK_MASK = 0xffffff, SECONDS_A_DAY = 86400 };

static struct keyspace *keyspace;
static struct journal *journal;
static char run_id[RUN_ID_SIZE + 1];
static int64_t started_ms; // monotonic

void info_start(struct keyspace *its_keyspace, struct journal *its_journal) {
    keyspace = its_keyspace;
    journal = its_journal;
    random_hex(run_id, RUN_ID_SIZE);
    started_ms = clock_mono_ms();
}

const char *info_run_id(void) {
    return run_id;
}

static void write_listeners(struct buffer *out) {
    unsigned number = 0;
    if (config.port) {
        buffer_appendf(out, "listener%u:name=tcp", number++);
        if (config.bind_count == 0) buffer_append_string(out, ",bind=*,bind=-::*");
        for (unsigned i = 0; i < config.bind_count; i++)
            buffer_appendf(out, ",bind=%s", config.bind[i]);
        buffer_appendf(out, ",port=%u\r\n", config.port);
    }
    if (config.unixsocket[0])
        buffer_appendf(out, "listener%u:name=unix,bind=%s\r\n", number, config.unixsocket);
}

static void write_server(struct buffer *out) {
    struct utsname name;
    uname(&name);
    int64_t uptime = (clock_mono_ms() - started_ms) / 1000, now_us = clock_wall_us();
    const char *mode = settings.cluster_enabled ? "cluster" : "standalone";
    buffer_appendf(
        out,
        "redis_version:%s\r\nserver_name:shoal\r\nshoal_version:%s\r\nredis_git_sha1:00000000\r\n"
        "redis_git_dirty:0\r\nredis_build_id:%s\r\nredis_mode:%s\r\nos:%s %s %s\r\narch_bits:%zu\r\n",
        REDIS_VERSION, SHOAL_VERSION, SHOAL_VERSION, mode, name.sysname, name.release, name.machine,
        sizeof(void *) * 8);
    buffer_appendf(
        out,
        "monotonic_clock:POSIX clock_gettime\r\nmultiplexing_api:epoll\r\natomicvar_api:c11-builtin\r\n"
        "gcc_version:%d.%d.%d\r\nprocess_id:%d\r\nprocess_supervised:%s\r\nrun_id:%s\r\ntcp_port:%u\r\n",
        __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__, (int)getpid(), process_supervisor(), run_id,
        config.port);
    buffer_appendf(out,
                   "server_time_usec:%" PRId64 "\r\nuptime_in_seconds:%" PRId64 "\r\nuptime_in_days:%" PRId64
                   "\r\nhz:%u\r\nconfigured_hz:%u\r\nlru_clock:%" PRId64
                   "\r\nexecutable:%s\r\nconfig_file:%s\r\n"
                   "io_threads_active:%d\r\n",
                   now_us, uptime, uptime / SECONDS_A_DAY, config.hz, config.hz,
                   now_us / 1000000 & LRU_CLOCK_MASK, config.executable, config.file, crew_size() > 1);
    write_listeners(out);
    if (shutdown_pending()) buffer_append_string(out, "shutdown_in_milliseconds:0\r\n");
}

// --- Clients

struct counted {
    struct info_client_memory memory;
    unsigned in_timeout_table, watching;
    size_t watched;
};

static void count_session(void *context, struct session *session) {
    struct counted *counted = context;
    uint64_t size = sizeof *session + session->output.capacity + session->input_size + session->input_free +
                    session->transaction.memory + session->attachments.size;
    if (session->kind == SESSION_REPLICA)
        counted->memory.replicas += size;
    else
        counted->memory.normal += size;
    counted->in_timeout_table += session->waiting == WAIT_DEFERRED && session->wait_until_ms;
    counted->watching += !list_empty(&session->watches);
    LIST_EACH(node, &session->watches) {
        counted->watched++;
    }
}

void info_client_memory(struct info_client_memory *memory) {
    struct counted counted = {0};
    session_each(count_session, &counted);
    *memory = counted.memory;
}

static void write_clients(struct buffer *out) {
    struct counted counted = {0};
    size_t input, output;
    session_each(count_session, &counted);
    workers_largest_buffers(&input, &output);
    buffer_appendf(
        out,
        "connected_clients:%u\r\ncluster_connections:%u\r\nmaxclients:%u\r\n"
        "client_recent_max_input_buffer:%zu\r\nclient_recent_max_output_buffer:%zu\r\nblocked_clients:%u\r\n"
        "tracking_clients:%u\r\npubsub_clients:0\r\nwatching_clients:%u\r\nclients_in_timeout_table:%u\r\n"
        "total_watched_keys:%zu\r\ntotal_blocking_keys:0\r\ntotal_blocking_keys_on_nokey:0\r\n",
        session_count(), bus_connections(), listener_rules.max_clients, input, output, workers_blocked(),
        tracking_clients(), counted.watching, counted.in_timeout_table, counted.watched);
}

// --- Persistence

static void write_load(struct buffer *out) {
    struct snapshot_progress progress;
    snapshot_progress(&progress);
    uint64_t total = progress.total_bytes ? progress.total_bytes : 1, loaded = progress.loaded_bytes;
    int64_t elapsed = clock_wall_ms() / 1000 - progress.start_seconds;
    uint64_t left = total > loaded ? total - loaded : 0;
    int64_t eta = loaded ? (int64_t)((double)(elapsed > 0 ? elapsed : 1) * (double)left / (double)loaded) : 0;
    buffer_appendf(
        out,
        "loading_start_time:%" PRId64 "\r\nloading_total_bytes:%" PRIu64 "\r\nloading_rdb_used_mem:0\r\n"
        "loading_loaded_bytes:%" PRIu64 "\r\nloading_loaded_perc:%.2f\r\nloading_eta_seconds:%" PRId64 "\r\n",
        progress.start_seconds, total, loaded, (double)loaded * 100 / (double)total, eta);
}

static void write_persistence(struct buffer *out) {
    const struct snapshot_status *status = &snapshot_status;
    enum snapshot_purpose purpose;
    bool running = snapshot_running(&purpose);
    int64_t now = clock_wall_ms() / 1000;
    buffer_appendf(out,
                   "loading:%d\r\nasync_loading:0\r\ncurrent_cow_peak:%" PRIu64
                   "\r\ncurrent_cow_size:%" PRIu64
                   "\r\ncurrent_cow_size_age:0\r\ncurrent_fork_perc:0.00\r\ncurrent_save_keys_processed:0\r\n"
                   "current_save_keys_total:0\r\nrdb_changes_since_last_save:%" PRIu64
                   "\r\nrdb_bgsave_in_progress:%d\r\n",
                   role.loading, running ? status->last_cow_bytes : 0, running ? status->last_cow_bytes : 0,
                   saving_changes(), running && purpose == SNAPSHOT_FOR_DISK);
    buffer_appendf(
        out,
        "rdb_last_save_time:%" PRId64 "\r\nrdb_last_bgsave_status:%s\r\nrdb_last_bgsave_time_sec:%" PRId64
        "\r\nrdb_current_bgsave_time_sec:%" PRId64 "\r\nrdb_saves:%" PRIu64 "\r\nrdb_last_cow_size:%" PRIu64
        "\r\nrdb_last_load_keys_expired:%" PRIu64 "\r\nrdb_last_load_keys_loaded:%" PRIu64 "\r\n",
        status->last_save, status->last_ok ? "ok" : "err", status->last_duration,
        running ? now - status->current_start : -1, status->saves, status->last_cow_bytes,
        saving_loaded_expired(), saving_loaded_keys());
    buffer_append_string(
        out, "aof_enabled:0\r\naof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0\r\n"
             "aof_last_rewrite_time_sec:-1\r\naof_current_rewrite_time_sec:-1\r\n"
             "aof_last_bgrewrite_status:ok\r\naof_rewrites:0\r\naof_rewrites_consecutive_failures:0\r\n"
             "aof_last_write_status:ok\r\naof_last_cow_size:0\r\nmodule_fork_in_progress:0\r\n"
             "module_fork_last_cow_size:0\r\n");
    if (role.loading) write_load(out);
}

// --- CPU

static void write_usage(struct buffer *out, const char *suffix, int who) {
    struct rusage usage;
    if (getrusage(who, &usage) != 0) return;
    buffer_appendf(out, "used_cpu_sys%s:%ld.%06ld\r\nused_cpu_user%s:%ld.%06ld\r\n", suffix,
                   (long)usage.ru_stime.tv_sec, (long)usage.ru_stime.tv_usec, suffix,
                   (long)usage.ru_utime.tv_sec, (long)usage.ru_utime.tv_usec);
}

static void write_cpu(struct buffer *out) {
    write_usage(out, "", RUSAGE_SELF);
    write_usage(out, "_children", RUSAGE_CHILDREN);
    write_usage(out, "_main_thread", RUSAGE_THREAD);
}

// --- Keyspace

struct expiries {
    int64_t sum, count;
};

static void write_keyspace(struct buffer *out) {
    for (unsigned db = 0; db < keyspace_databases(keyspace); db++) {
        size_t keys = keyspace_count(keyspace, db), expiring = keyspace_count_expiring(keyspace, db);
        if (keys) buffer_appendf(out, "db%u:keys=%zu,expires=%zu,avg_ttl=0\r\n", db, keys, expiring);
    }
}

// --- All of them.

static const struct {
    const char *name, *title;
    bool by_default;
} sections[INFO_SECTIONS] = {
    [INFO_SERVER] = {"server", "Server", true},
    [INFO_CLIENTS] = {"clients", "Clients", true},
    [INFO_MEMORY] = {"memory", "Memory", true},
    [INFO_PERSISTENCE] = {"persistence", "Persistence", true},
    [INFO_STATS] = {"stats", "Stats", true},
    [INFO_REPLICATION] = {"replication", "Replication", true},
    [INFO_CPU] = {"cpu", "CPU", true},
    [INFO_MODULES] = {"modules", "Modules", true},
    [INFO_COMMANDSTATS] = {"commandstats", "Commandstats", false},
    [INFO_ERRORSTATS] = {"errorstats", "Errorstats", true},
    [INFO_LATENCYSTATS] = {"latencystats", "Latencystats", false},
    [INFO_CLUSTER] = {"cluster", "Cluster", true},
    [INFO_KEYSPACE] = {"keyspace", "Keyspace", true},
};

static void write_section(enum info_section section, struct buffer *out) {
    if (out->size) buffer_append_string(out, "\r\n");
    buffer_appendf(out, "# %s\r\n", sections[section].title);
    switch (section) {
    case INFO_SERVER: write_server(out); break;
    case INFO_CLIENTS: write_clients(out); break;
    case INFO_MEMORY: info_memory(keyspace, journal, out); break;
    case INFO_PERSISTENCE: write_persistence(out); break;
    case INFO_STATS: info_stats(out); break;
    case INFO_REPLICATION: replication_info(out); break;
    case INFO_CPU: write_cpu(out); break;
    case INFO_COMMANDSTATS: info_commandstats(out); break;
    case INFO_ERRORSTATS: info_errorstats(out); break;
    case INFO_LATENCYSTATS: info_latencystats(out); break;
    case INFO_CLUSTER: buffer_appendf(out, "cluster_enabled:%d\r\n", settings.cluster_enabled); break;
    case INFO_KEYSPACE: write_keyspace(out); break;
    case INFO_MODULES:
    case INFO_SECTIONS: break;
    }
}

static void choose(struct bytes word, bool wanted[INFO_SECTIONS]) {
    bool all = bytes_is(word, "all") || bytes_is(word, "everything"), standard = bytes_is(word, "default");
    for (int i = 0; i < INFO_SECTIONS; i++) {
        if (bytes_is(word, sections[i].name) || (standard && sections[i].by_default)) wanted[i] = true;
        if (all && (i != INFO_MODULES || bytes_is(word, "everything"))) wanted[i] = true;
    }
}

static void info(struct call *call) {
    bool wanted[INFO_SECTIONS] = {false};
    struct buffer out = BUFFER_EMPTY;
    if (call->argc == 1) choose(BYTES("default"), wanted);
    for (int i = 1; i < call->argc; i++)
        choose(call->argv[i], wanted);
    for (int i = 0; i < INFO_SECTIONS; i++)
        if (wanted[i]) write_section((enum info_section)i, &out);
    reply_verbatim(call->reply, "txt", buffer_bytes(&out));
    buffer_free(&out);
}

const struct command info_commands[] = {
    {.name = "info",
     .run = info,
     .arity = -1,
     .flags = CMD_LOADING | CMD_STALE,
     .categories = CAT_DANGEROUS,
     .admission = ADMIT_EXCLUSIVE},
    {.name = NULL},
};
