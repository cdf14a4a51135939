#include "server/saving.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "bus/bus.h"
#include "call/call.h"
#include "keyspace/slot_lock.h"
#include "os/clock.h"
#include "os/file.h"
#include "persistence/snapshot.h"
#include "replication/replication.h"
#include "server/admin.h"
#include "server/config.h"
#include "server/latency.h"
#include "server/shutdown.h"
#include "server/statistics.h"
#include "server/worker.h"

enum {
    PATH_ROOM = 4096,
    RETRY_AFTER_FAILURE_S = 5, // a save point tries again this long after a save that failed
};

static uint64_t changes_saved;    // statistics_changes() that the last snapshot holds
static int64_t last_try_seconds;  // wall clock
static bool scheduled;            // BGSAVE SCHEDULE waits for the child that runs
static uint64_t loaded_keys, loaded_expired;

uint64_t saving_changes(void) {
    uint64_t now = statistics_changes();
    return now > changes_saved ? now - changes_saved : 0;
}

bool saving_scheduled(void) {
    return scheduled;
}

uint64_t saving_loaded_keys(void) {
    return loaded_keys;
}

uint64_t saving_loaded_expired(void) {
    return loaded_expired;
}

static void path_of_snapshot(char path[PATH_ROOM]) {
    snprintf(path, PATH_ROOM, "%s/%s", replication_settings.directory, replication_settings.dbfilename);
}

// What the file says of the stream, so that a replica that starts from it may go on where it stood.
struct described {
    char id[REPLICATION_ID_SIZE + 1];
    struct snapshot_origin origin;
};

static void describe(struct described *described) {
    int64_t second;
    char former[REPLICATION_ID_SIZE + 1];
    replication_ids(described->id, former, &second);
    described->origin = (struct snapshot_origin){described->id, (int64_t)replication_offset(),
                                                replication_stream_db()};
}

static void remember_saved(uint64_t changes) {
    changes_saved = changes;
    snapshot_status.last_save = clock_wall_ms() / 1000;
    snapshot_status.last_ok = true;
    snapshot_status.saves++;
    role.save_failed = false;
}

bool saving_now(struct dispatcher *dispatcher) {
    char path[PATH_ROOM];
    struct described described;
    struct buffer error = BUFFER_EMPTY;
    path_of_snapshot(path);
    describe(&described);
    bool fine = snapshot_save(dispatcher->keyspace, path, &described.origin, &error);
    if (fine) {
        remember_saved(statistics_changes());
        log_write(LOG_NOTICE, "DB saved on disk");
    } else {
        log_write(LOG_WARNING, "Error saving DB: %s", buffer_string(&error));
    }
    buffer_free(&error);
    return fine;
}

// Exclusive mode.
static bool start(struct dispatcher *dispatcher, struct buffer *error) {
    char path[PATH_ROOM];
    struct described described;
    path_of_snapshot(path);
    describe(&described);
    snapshot_status.changes_at_start = statistics_changes();
    last_try_seconds = clock_wall_ms() / 1000;
    return snapshot_start(dispatcher->keyspace, path, &described.origin, SNAPSHOT_FOR_DISK, error);
}

static void start_by_itself(struct dispatcher *dispatcher) {
    struct buffer error = BUFFER_EMPTY;
    dispatch_begin_exclusive(dispatcher);
    if (!start(dispatcher, &error)) {
        log_write(LOG_WARNING, "Can't save in background: %s", buffer_string(&error));
        snapshot_status.last_ok = false;
        role.save_failed = true;
    }
    dispatch_end_exclusive(dispatcher);
    buffer_free(&error);
}

static void child_ended(struct dispatcher *dispatcher, bool ok) {
    dispatch_begin_exclusive(dispatcher);
    if (ok) {
        remember_saved(snapshot_status.changes_at_start);
    } else {
        snapshot_status.last_ok = false;
        role.save_failed = true;
    }
    dispatch_end_exclusive(dispatcher);
}

static void start_what_is_due(struct dispatcher *dispatcher) {
    if (scheduled) {
        scheduled = false;
        start_by_itself(dispatcher);
        return;
    }
    int64_t now = clock_wall_ms() / 1000;
    uint64_t changes = saving_changes();
    for (unsigned i = 0; i < config.save_point_count; i++) {
        const struct save_point *point = &config.save_points[i];
        if (changes < (uint64_t)point->changes || now - snapshot_status.last_save <= point->seconds) continue;
        if (!snapshot_status.last_ok && now - last_try_seconds <= RETRY_AFTER_FAILURE_S) continue;
        log_write(LOG_NOTICE, "%" PRId64 " changes in %" PRId64 " seconds. Saving...", point->changes, point->seconds);
        start_by_itself(dispatcher);
        return;
    }
}

// Whoever forked, for the disk or for replicas: a child is there until the cron asks for its end, so none is missed.
static void note_fork(void) {
    static int noted;
    int child = snapshot_child();
    if (child == noted) return;
    noted = child;
    if (child) latency_add(LATENCY_FORK, (int64_t)(snapshot_status.last_fork_us / 1000));
}

void saving_cron(struct dispatcher *dispatcher) {
    note_fork();
    enum snapshot_purpose purpose;
    bool ok;
    if (snapshot_poll(&purpose, &ok)) {
        if (purpose == SNAPSHOT_FOR_REPLICAS)
            replication_snapshot_ended(ok);
        else
            child_ended(dispatcher, ok);
    }
    if (!role.loading && !snapshot_running(NULL)) start_what_is_due(dispatcher);
}

void saving_abandon(void) {
    if (!snapshot_running(NULL)) return;
    log_write(LOG_WARNING, "There is a child saving an .rdb. Killing it!");
    snapshot_abandon();
}

// --- Reading.

struct start_load {
    struct keyspace *keyspace;
    int64_t began_ms;
};

// Worker 0: the file has been read.
struct loaded_message {
    struct start_load *load;
    struct snapshot_loaded loaded;
};

static void say_loaded(const struct snapshot_loaded *loaded, int64_t ms) {
    loaded_keys = loaded->keys;
    loaded_expired = loaded->expired;
    log_write(LOG_NOTICE, "Done loading RDB, keys loaded: %" PRIu64 ", keys expired: %" PRIu64 ".", loaded->keys,
              loaded->expired);
    log_write(LOG_NOTICE, "DB loaded from disk: %.3f seconds", (double)ms / 1000);
}

static void start_load_ended(void *argument) {
    struct loaded_message *message = argument;
    struct start_load *load = message->load;
    if (!message->loaded.ok) {
        log_write(LOG_WARNING, "Fatal error loading the DB from the RDB file %s/%s: %s. Exiting.",
                  replication_settings.directory, replication_settings.dbfilename, message->loaded.error);
        mem_free(load);
        mem_free(message);
        shutdown_give_up();
        return;
    }
    say_loaded(&message->loaded, clock_mono_ms() - load->began_ms);
    struct dispatcher *dispatcher = worker_dispatcher(worker_at(0));
    dispatch_begin_exclusive(dispatcher);
    slot_lock_add_threads(load->keyspace, -1);
    // A replica goes on where its snapshot stood. A primary may have lost what came after: its history is another now.
    if (message->loaded.replication_id[0]) {
        replication_restore(message->loaded.replication_id, message->loaded.offset, message->loaded.stream_db);
        if (!role.replica) replication_new_id();
    }
    changes_saved = statistics_changes();
    role.loading = false;
    dispatch_end_exclusive(dispatcher);
    if (settings.cluster_enabled) bus_keys_loaded();
    log_write(LOG_NOTICE, "Ready to accept connections tcp");
    mem_free(load);
    mem_free(message);
}

// The loader's thread.
static void hand_over(void *context, const struct snapshot_loaded *loaded) {
    struct loaded_message *message = mem_alloc(sizeof *message);
    *message = (struct loaded_message){context, *loaded};
    worker_post(worker_at(0), start_load_ended, message);
}

void saving_load_at_start(struct keyspace *keyspace) {
    char path[PATH_ROOM];
    path_of_snapshot(path);
    snapshot_status.last_save = clock_wall_ms() / 1000; // nothing to be saved is as good as saved
    if (!file_exists(path)) {
        log_write(LOG_NOTICE, "Ready to accept connections tcp");
        return;
    }
    struct start_load *load = mem_alloc(sizeof *load);
    *load = (struct start_load){keyspace, clock_mono_ms()};
    role.loading = true;
    slot_lock_add_threads(keyspace, 1);
    // A replica leaves it to its primary which keys have expired.
    snapshot_load_start(keyspace, path, config.replicaof_host[0] != '\0', hand_over, load);
}

bool saving_reload(struct dispatcher *dispatcher, bool flush, bool replace, struct buffer *error) {
    char path[PATH_ROOM];
    path_of_snapshot(path);
    if (flush) {
        for (unsigned db = 0; db < keyspace_databases(dispatcher->keyspace); db++)
            keyspace_clear(dispatcher->keyspace, db);
        keyspace_flushed(dispatcher->keyspace);
    }
    struct snapshot_loaded loaded;
    int64_t began_ms = clock_mono_ms();
    snapshot_load(dispatcher->keyspace, path, role.replica, replace, &loaded);
    if (loaded.ok)
        say_loaded(&loaded, clock_mono_ms() - began_ms);
    else
        buffer_append_string(error, loaded.error);
    return loaded.ok;
}

// --- Commands.

static void save(struct call *call) {
    enum snapshot_purpose purpose;
    if (snapshot_running(&purpose) && purpose == SNAPSHOT_FOR_DISK) {
        reply_error(call->reply, "ERR Background save already in progress");
        return;
    }
    if (saving_now(call_dispatcher(call)))
        reply_ok(call->reply);
    else
        reply_error(call->reply, "ERR");
}

static void bgsave(struct call *call) {
    bool schedule = call->argc == 2 && bytes_is(call->argv[1], "schedule");
    if (call->argc > 1 && !schedule) {
        call_syntax_error(call);
        return;
    }
    enum snapshot_purpose purpose;
    if (snapshot_running(&purpose)) {
        if (purpose == SNAPSHOT_FOR_DISK) {
            reply_error(call->reply, "ERR Background save already in progress");
        } else if (schedule || call->in_exec) {
            scheduled = true;
            reply_simple(call->reply, "Background saving scheduled");
        } else {
            reply_error(call->reply, "ERR Another child process is active (RDB?): can't BGSAVE right now. Use BGSAVE "
                                     "SCHEDULE in order to schedule a BGSAVE whenever possible.");
        }
        return;
    }
    struct buffer error = BUFFER_EMPTY;
    if (start(call_dispatcher(call), &error)) {
        reply_simple(call->reply, "Background saving started");
    } else {
        log_write(LOG_WARNING, "Can't save in background: %s", buffer_string(&error));
        snapshot_status.last_ok = false;
        role.save_failed = true;
        reply_error(call->reply, "ERR");
    }
    buffer_free(&error);
}

static void lastsave(struct call *call) {
    reply_integer(call->reply, snapshot_status.last_save);
}

const struct command saving_commands[] = {
    {.name = "save",
     .run = save,
     .arity = 1,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING | CMD_NO_MULTI,
     .admission = ADMIT_EXCLUSIVE},
    {.name = "bgsave",
     .run = bgsave,
     .arity = -1,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING,
     .admission = ADMIT_EXCLUSIVE},
    {.name = "lastsave",
     .run = lastsave,
     .arity = 1,
     .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
     .categories = CAT_ADMIN | CAT_DANGEROUS},
    {.name = NULL},
};
