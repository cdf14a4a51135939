// snapshot: the whole keyspace as an RDB file: written at once, or by a forked child while the server goes on; read back
// by a thread of its own while the workers answer LOADING.
//
// A file is written beside its place, synced and renamed: a crash or a full disk leaves the former one whole.
#ifndef SHOAL_PERSISTENCE_SNAPSHOT_H
#define SHOAL_PERSISTENCE_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "call/dispatch.h"
#include "keyspace/keyspace.h"

// What a snapshot says of the replication stream that it belongs to.
struct snapshot_origin {
    const char *replication_id; // 40 digits, or NULL: says nothing
    int64_t offset;
    unsigned stream_db; // the database that the stream has selected there
};

// Writes the file now. Exclusive mode (or a forked child). False: `error` says why (a terminated text).
bool snapshot_save(struct keyspace *keyspace, const char *path, const struct snapshot_origin *origin,
                   struct buffer *error);

enum snapshot_purpose { SNAPSHOT_FOR_DISK, SNAPSHOT_FOR_REPLICAS };

// Forks a child that writes the file. Exclusive mode. False: `error`; one child at a time.
bool snapshot_start(struct keyspace *keyspace, const char *path, const struct snapshot_origin *origin,
                    enum snapshot_purpose purpose, struct buffer *error);

// Looks whether the child has ended; called by the cron. The first call after its end returns true, with what it was for
// and whether the file is there. Thread: worker 0.
bool snapshot_poll(enum snapshot_purpose *purpose, bool *ok);
bool snapshot_running(enum snapshot_purpose *purpose); // any thread
void snapshot_abandon(void);                           // kills the child, waits, removes what it wrote. Worker 0
int snapshot_child(void);                              // its pid, 0: none

// For INFO. Times in seconds (wall clock); -1: never.
struct snapshot_status {
    int64_t last_save, last_duration, current_start;
    uint64_t last_fork_us, last_cow_bytes, saves, changes_at_start;
    bool last_ok;
};
extern struct snapshot_status snapshot_status; // written in exclusive mode or on worker 0

// --- Reading.

// What a file told.
struct snapshot_loaded {
    bool ok;
    char error[256];
    char replication_id[41]; // "" when the file says nothing
    int64_t offset;
    unsigned stream_db; // that the stream has selected at `offset`; 0 when the file says nothing
    uint64_t keys, expired;
};

// Reads `path` on a thread of its own, into a keyspace that the caller has emptied, and then calls `done` on that thread.
// Meanwhile role.loading must be set (by the caller, exclusive mode) and other threads be counted in
// (slot_lock_add_threads). Expired keys are passed over unless `keep_expired` (a replica's primary decides).
void snapshot_load_start(struct keyspace *keyspace, const char *path, bool keep_expired,
                         void (*done)(void *context, const struct snapshot_loaded *loaded), void *context);

// As above on the calling thread. The keyspace may have keys: with `replace`, those of the file take the place of their
// namesakes; else a namesake is an error.
void snapshot_load(struct keyspace *keyspace, const char *path, bool keep_expired, bool replace,
                   struct snapshot_loaded *loaded);

// Breaks off the load that runs, if one does, and waits for its thread. At shutdown, on the thread that started it.
void snapshot_load_stop(void);

// Progress of the load that runs. Thread: any.
struct snapshot_progress {
    int64_t start_seconds;
    uint64_t total_bytes, loaded_bytes, loaded_keys;
};
void snapshot_progress(struct snapshot_progress *progress);

#endif
