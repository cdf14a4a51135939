// A job: keys to be sent to a target.
#ifndef SHOAL_MIGRATION_PRIVATE_H
#define SHOAL_MIGRATION_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/list.h"
#include "call/call.h"
#include "migration/migration.h"

enum { TARGET_HOST_MAX = 256 };

struct moving_key {
    struct bytes name; // in the job's `names`
    unsigned slot;
    bool arrived;
};

struct job {
    struct list_node node;
    struct call_ticket ticket; // not for EXEC
    unsigned worker, db;
    uint64_t swaps; // of databases, as many as there had been when it began
    char host[TARGET_HOST_MAX];
    uint16_t port;
    int timeout_ms;
    int64_t target_db;
    bool copy;
    struct buffer authentication; // an AUTH command, or empty
    struct buffer requests;       // the RESTORE commands
    struct buffer names;
    struct moving_key *keys;
    int key_count;
    uint16_t *slots; // busy for this job's sake
    unsigned slot_count;
    struct buffer error; // the error reply without '-', or empty: all went well
};

void job_free(struct job *job);

// courier.c: sends on one of its threads, then calls `ended(job)` there.
void courier_start(void (*ended)(struct job *job));
void courier_send(struct job *job);

// Sends at once, on the calling thread, which waits for the target. Exclusive mode.
void courier_carry(struct job *job);
void courier_stop(void);

#endif
