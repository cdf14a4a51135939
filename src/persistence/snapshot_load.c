#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "codec/rdb_reader.h"
#include "keyspace/access.h"
#include "keyspace/slot_lock.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"
#include "persistence/snapshot.h"

enum { PATH_ROOM = 4096 };

// The thread that loads. Belongs to the thread that starts loads.
static struct thread loader;
static bool loader_runs;
static atomic_bool stopping;

static _Atomic int64_t start_seconds;
static _Atomic uint64_t total_bytes, loaded_bytes, loaded_keys;

struct loading {
    struct keyspace *keyspace;
    int fd;
    bool keep_expired, replace;
    int64_t now_ms;
    struct snapshot_loaded *loaded;
};

static ssize_t read_in(void *context, void *data, size_t size) {
    struct loading *loading = context;
    ssize_t got = file_read(loading->fd, data, size);
    if (got > 0) atomic_fetch_add_explicit(&loaded_bytes, (uint64_t)got, memory_order_relaxed);
    return got;
}

static bool refuse(struct snapshot_loaded *loaded, const char *format, uint64_t offset) {
    snprintf(loaded->error, sizeof loaded->error, format, (unsigned long long)offset);
    return false;
}

static void take_aux(struct loading *loading, const struct rdb_item *item) {
    struct snapshot_loaded *loaded = loading->loaded;
    int64_t number;
    if (bytes_is(item->name, "repl-id") && item->value.string.size == 40) {
        memcpy(loaded->replication_id, item->value.string.data, 40);
        loaded->replication_id[40] = '\0';
    } else if (bytes_is(item->name, "repl-offset")) {
        if (number_parse(item->value.string, &number) && number >= 0) loaded->offset = number;
    } else if (bytes_is(item->name, "repl-stream-db")) {
        bool known = number_parse(item->value.string, &number) && number >= 0 &&
                     number < (int64_t)keyspace_databases(loading->keyspace);
        loaded->stream_db = known ? (unsigned)number : 0;
    }
}

static bool take_key(struct loading *loading, const struct rdb_item *item) {
    struct snapshot_loaded *loaded = loading->loaded;
    int64_t expire_ms = item->attributes.expire_ms >= 0 ? item->attributes.expire_ms : NO_EXPIRY;
    if (item->db >= keyspace_databases(loading->keyspace))
        return refuse(loaded, "a key at offset %llu is in a database that is not configured", item->offset);
    if (expire_ms != NO_EXPIRY && expire_ms < loading->now_ms && !loading->keep_expired) {
        loaded->expired++;
        return true;
    }
    unsigned slot = hash_slot(item->name), db = (unsigned)item->db;
    uint64_t hash = hash_bytes(item->name.data, item->name.size);
    slot_lock(loading->keyspace, slot);
    bool there = keyspace_find(loading->keyspace, db, slot, hash, item->name) != NULL;
    bool twice = there && !loading->replace;
    struct entry *entry = twice ? NULL
                                : keyspace_set_string(loading->keyspace, db, slot, hash, item->name,
                                                      item->value.string, expire_ms, loading->now_ms);
    if (entry && there) keyspace_touched(loading->keyspace, db, slot, item->name);
    if (entry && item->attributes.idle_seconds >= 0)
        access_set_idle(entry, item->attributes.idle_seconds, loading->now_ms);
    if (entry && item->attributes.frequency >= 0)
        access_set_frequency(entry, (unsigned)item->attributes.frequency, loading->now_ms);
    slot_unlock(loading->keyspace, slot);
    if (twice) return refuse(loaded, "the key at offset %llu is in the file twice", item->offset);
    if (!entry) return refuse(loaded, "no memory for the value at offset %llu", item->offset);
    loaded->keys++;
    atomic_fetch_add_explicit(&loaded_keys, 1, memory_order_relaxed);
    return true;
}

// False: reading ends, well (loaded->ok) or not.
static bool take_item(struct loading *loading, const struct rdb_item *item) {
    struct snapshot_loaded *loaded = loading->loaded;
    if (atomic_load_explicit(&stopping, memory_order_relaxed))
        return refuse(loaded, "the server ends (at offset %llu)", item->offset);
    switch (item->kind) {
    case RDB_ITEM_AUX: take_aux(loading, item); return true;
    case RDB_ITEM_SELECT_DB:
    case RDB_ITEM_RESIZE_DB: return true;
    case RDB_ITEM_FUNCTION:
        return refuse(loaded, "the file holds a function library (offset %llu), which this version of Shoal can't keep",
                      item->offset);
    case RDB_ITEM_KEY: return take_key(loading, item);
    case RDB_ITEM_END: loaded->ok = true; return false;
    case RDB_ITEM_ERROR:
        snprintf(loaded->error, sizeof loaded->error, "%s (offset %llu)", item->fault->text,
                 (unsigned long long)item->fault->offset);
        return false;
    }
    return false;
}

void snapshot_load(struct keyspace *keyspace, const char *path, bool keep_expired, bool replace,
                   struct snapshot_loaded *loaded) {
    *loaded = (struct snapshot_loaded){.ok = false};
    int fd = file_open_read(path);
    if (fd < 0) {
        snprintf(loaded->error, sizeof loaded->error, "can't open %.150s: %s", path, strerror(-fd));
        return;
    }
    int64_t size = file_size(path);
    atomic_store(&start_seconds, clock_wall_ms() / 1000);
    atomic_store(&total_bytes, size > 0 ? (uint64_t)size : 0);
    atomic_store(&loaded_bytes, 0);
    atomic_store(&loaded_keys, 0);
    struct loading loading = {.keyspace = keyspace,
                              .fd = fd,
                              .keep_expired = keep_expired,
                              .replace = replace,
                              .now_ms = clock_wall_ms(),
                              .loaded = loaded};
    struct rdb_reader_options options = RDB_READER_DEFAULT;
    options.ignore_checksum = !settings.rdb_checksum;
    struct rdb_reader *reader = rdb_reader_create(read_in, &loading, &options);
    struct rdb_item item;
    do
        rdb_reader_next(reader, &item);
    while (take_item(&loading, &item));
    rdb_reader_destroy(reader);
    file_close(fd);
}

struct job {
    struct keyspace *keyspace;
    char path[PATH_ROOM];
    bool keep_expired;
    void (*done)(void *context, const struct snapshot_loaded *loaded);
    void *context;
};

static void run_job(void *argument) {
    struct job *job = argument;
    struct snapshot_loaded loaded;
    snapshot_load(job->keyspace, job->path, job->keep_expired, false, &loaded);
    job->done(job->context, &loaded);
    mem_free(job);
}

// The former load, which has told its end, is still to be joined.
static void join_loader(void) {
    if (loader_runs) thread_join(&loader);
    loader_runs = false;
}

void snapshot_load_stop(void) {
    atomic_store(&stopping, true);
    join_loader();
}

void snapshot_load_start(struct keyspace *keyspace, const char *path, bool keep_expired,
                         void (*done)(void *context, const struct snapshot_loaded *loaded), void *context) {
    struct job *job = mem_alloc(sizeof *job);
    *job = (struct job){.keyspace = keyspace, .keep_expired = keep_expired, .done = done, .context = context};
    snprintf(job->path, sizeof job->path, "%s", path);
    join_loader();
    int error = thread_start(&loader, "loader", run_job, job);
    loader_runs = error == 0;
    if (loader_runs) return;
    log_write(LOG_WARNING, "can't start the loader's thread (%s): loading in place", strerror(error));
    run_job(job);
}

void snapshot_progress(struct snapshot_progress *progress) {
    progress->start_seconds = atomic_load(&start_seconds);
    progress->total_bytes = atomic_load(&total_bytes);
    progress->loaded_bytes = atomic_load(&loaded_bytes);
    progress->loaded_keys = atomic_load(&loaded_keys);
}
