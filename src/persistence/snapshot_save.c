#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "call/settings.h"
#include "codec/rdb_writer.h"
#include "keyspace/access.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/memory_use.h"
#include "os/process.h"
#include "persistence/snapshot.h"

enum { PATH_ROOM = 4096, BESIDE_ROOM = PATH_ROOM + 32, SYNC_EVERY = 4 << 20 };

struct snapshot_status snapshot_status = {.last_save = 0, .last_duration = -1, .current_start = -1, .last_ok = true};

// The child now at work. Written on worker 0 or in exclusive mode.
static atomic_int child;
static _Atomic enum snapshot_purpose child_purpose;
static char child_path[PATH_ROOM];
static int64_t child_started_ms;

struct saving {
    struct keyspace *keyspace;
    struct rdb_writer *writer;
    int fd;
    int error; // errno of the first write that failed
    uint64_t unsynced;
    int64_t now_ms;
    bool lfu, lru;
    uint64_t used_memory; // asked before a fork: the child can't wait for locks of threads that it does not have
};

static bool write_out(void *context, const void *data, size_t size) {
    struct saving *saving = context;
    saving->error = -file_write_all(saving->fd, data, size);
    // Synced in steps, so that the end does not bring a storm of writes.
    saving->unsynced += size;
    if (saving->error == 0 && saving->unsynced >= SYNC_EVERY) {
        saving->error = -file_sync(saving->fd);
        saving->unsynced = 0;
    }
    return saving->error == 0;
}

static bool write_entry(void *context, struct entry *entry) {
    struct saving *saving = context;
    char scratch[NUMBER_TEXT_MAX];
    struct codec_value value = entry->encoding == ENCODING_INTEGER ? codec_integer(entry_integer(entry))
                                                                   : codec_string(entry_string(entry, scratch));
    struct rdb_key_attributes attributes = RDB_KEY_PLAIN;
    attributes.expire_ms = entry_expiry(entry);
    if (saving->lfu)
        attributes.frequency = (int)access_frequency(keyspace_access(saving->keyspace), entry, saving->now_ms);
    else if (saving->lru)
        attributes.idle_seconds = access_idle_seconds(entry, saving->now_ms);
    return rdb_writer_key(saving->writer, entry_key(entry), &value, &attributes);
}

static bool write_database(struct saving *saving, unsigned db) {
    size_t keys = keyspace_count(saving->keyspace, db);
    if (keys == 0) return true;
    if (!rdb_writer_select_db(saving->writer, db)) return false;
    if (!rdb_writer_resize_db(saving->writer, keys, keyspace_count_expiring(saving->keyspace, db))) return false;
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++)
        if (!keyspace_slot_each(saving->keyspace, db, slot, write_entry, saving)) return false;
    return true;
}

static bool write_all(struct saving *saving, const struct snapshot_origin *origin) {
    struct rdb_origin header = {.server_version = "7.2.4",
                                .now_seconds = saving->now_ms / 1000,
                                .used_memory = saving->used_memory,
                                .replication_id = origin->replication_id,
                                .replication_offset = origin->offset,
                                .stream_db = (int)origin->stream_db};
    if (!rdb_writer_header(saving->writer, &header)) return false;
    for (unsigned db = 0; db < keyspace_databases(saving->keyspace); db++)
        if (!write_database(saving, db)) return false;
    return rdb_writer_end(saving->writer);
}

static bool fail(struct buffer *error, const char *what, const char *path, int code) {
    buffer_appendf(error, "%s %s: %s", what, path, strerror(code));
    buffer_string(error);
    return false;
}

static void name_beside(char *beside, const char *path, int pid) {
    snprintf(beside, BESIDE_ROOM, "%s.temp-%d", path, pid);
}

static bool save(struct keyspace *keyspace, const char *path, const struct snapshot_origin *origin,
                 uint64_t used_memory, struct buffer *error) {
    char beside[BESIDE_ROOM];
    name_beside(beside, path, process_id());
    int fd = file_create(beside);
    if (fd < 0) return fail(error, "can't open", beside, -fd);
    struct rdb_format format = RDB_FORMAT_DEFAULT;
    format.compress = settings.rdb_compression;
    format.checksum = settings.rdb_checksum;
    enum maxmemory_policy policy = settings.maxmemory_policy;
    struct saving saving = {.keyspace = keyspace, .fd = fd, .now_ms = clock_wall_ms(), .used_memory = used_memory};
    saving.lfu = policy == POLICY_ALLKEYS_LFU || policy == POLICY_VOLATILE_LFU;
    saving.lru = policy == POLICY_ALLKEYS_LRU || policy == POLICY_VOLATILE_LRU;
    saving.writer = rdb_writer_create(write_out, &saving, &format);
    bool ok = write_all(&saving, origin);
    rdb_writer_destroy(saving.writer);
    int code = saving.error;
    if (ok) code = -file_sync(fd);
    file_close(fd);
    if (code == 0 && ok) code = -file_rename(beside, path);
    if (code == 0 && ok) return true;
    file_remove(beside);
    return fail(error, "can't write", path, code ? code : EIO);
}

bool snapshot_save(struct keyspace *keyspace, const char *path, const struct snapshot_origin *origin,
                   struct buffer *error) {
    return save(keyspace, path, origin, memory_use_heap(), error);
}

static void run_child(struct keyspace *keyspace, const char *path, const struct snapshot_origin *origin,
                      uint64_t used_memory) {
    struct buffer error = BUFFER_EMPTY;
    if (save(keyspace, path, origin, used_memory, &error)) process_exit(0);
    log_write(LOG_WARNING, "Error saving the snapshot: %s", buffer_string(&error));
    process_exit(1);
}

// A child that was killed has left its work behind.
static void remove_unfinished(int pid) {
    char beside[BESIDE_ROOM];
    name_beside(beside, child_path, pid);
    file_remove(beside);
}

bool snapshot_start(struct keyspace *keyspace, const char *path, const struct snapshot_origin *origin,
                    enum snapshot_purpose purpose, struct buffer *error) {
    if (atomic_load(&child)) {
        buffer_append_string(error, "Background save already in progress");
        buffer_string(error);
        return false;
    }
    uint64_t used_memory = memory_use_heap();
    int64_t before = clock_mono_us();
    int pid = process_fork();
    if (pid == 0) run_child(keyspace, path, origin, used_memory);
    if (pid < 0) return fail(error, "can't fork to save", path, -pid);
    snapshot_status.last_fork_us = (uint64_t)(clock_mono_us() - before);
    snapshot_status.current_start = clock_wall_ms() / 1000;
    atomic_store(&child_purpose, purpose);
    snprintf(child_path, sizeof child_path, "%s", path);
    child_started_ms = clock_mono_ms();
    atomic_store(&child, pid);
    log_write(LOG_NOTICE, "Background saving started by pid %d", pid);
    return true;
}

bool snapshot_running(enum snapshot_purpose *purpose) {
    bool running = atomic_load(&child) != 0;
    if (purpose) *purpose = atomic_load(&child_purpose);
    return running;
}

int snapshot_child(void) {
    return atomic_load(&child);
}

void snapshot_abandon(void) {
    int pid = atomic_load(&child);
    if (!pid) return;
    process_kill(pid);
    process_wait(pid);
    remove_unfinished(pid);
    snapshot_status.current_start = -1;
    atomic_store(&child, 0);
}

bool snapshot_poll(enum snapshot_purpose *purpose, bool *ok) {
    int code, pid = atomic_load(&child);
    if (!pid) return false;
    uint64_t dirty = process_private_dirty(pid);
    if (dirty) snapshot_status.last_cow_bytes = dirty;
    if (!process_ended(pid, &code)) return false;
    *purpose = atomic_load(&child_purpose);
    *ok = code == 0;
    if (!*ok) remove_unfinished(pid);
    snapshot_status.last_duration = (clock_mono_ms() - child_started_ms) / 1000;
    snapshot_status.current_start = -1;
    atomic_store(&child, 0);
    if (*ok)
        log_write(LOG_NOTICE, "Background saving terminated with success");
    else
        log_write(LOG_WARNING, "Background saving %s", code > 128 ? "terminated by signal" : "error");
    return true;
}
