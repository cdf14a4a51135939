// session: a client as the commands see it. It belongs to one worker at a time; others read or change it in exclusive mode
// only. No socket here: the worker has that.
#ifndef SHOAL_CALL_SESSION_H
#define SHOAL_CALL_SESSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/list.h"
#include "call/attachments.h"

struct command;
struct session;
struct session_tracking;

enum session_kind {
    SESSION_NORMAL,
    SESSION_REPLICA, // it follows our journal
    SESSION_PRIMARY, // we follow it: what it sends is applied, not answered
    SESSION_LOADER,  // no client at all: snapshots being read, slots being moved, the expiry cycle
};

enum session_reply_mode { REPLY_ON, REPLY_OFF, REPLY_SKIP_NEXT, REPLY_SKIP };

// Why the session does not take its next command now.
enum session_wait {
    WAIT_NOTHING,
    WAIT_DEFERRED, // its command answers later (call_defer)
    WAIT_PAUSED,   // CLIENT PAUSE
    WAIT_SLOT,     // a slot it wants to write is busy
};

// One queued command of MULTI.
struct queued_command {
    const struct command *command;
    struct bytes *argv; // one block with the bytes
    int argc;
};

struct transaction {
    bool open;
    bool failed; // a command could not be queued: EXEC says EXECABORT
    bool more_to_defer; // while EXEC runs its queue: a later command in it has CMD_DEFERS
    struct queued_command *queue;
    int count, capacity;
    size_t memory; // bytes of the queued arguments
};

// What nearly every command looks at comes first and together.
struct session {
    uint64_t id;
    uint16_t worker;
    enum session_kind kind;
    int protocol; // 2 or 3
    unsigned db;
    enum session_reply_mode reply_mode;
    enum session_wait waiting;
    bool authenticated;
    bool asking;           // ASKING: the next command may touch an importing slot
    bool cluster_readonly; // READONLY: a replica may answer for its primary's slots
    bool monitor;
    bool no_evict, no_touch;
    bool closing; // close now
    bool tied;    // others know it by its worker, for ever: it can't go to another one
    bool close_after_reply;
    const struct command *last_command;
    int64_t created_ms, active_ms;     // monotonic; active: its last command
    struct session_tracking *tracking; // CLIENT TRACKING is on: see call/tracking.h; or NULL
    struct transaction transaction;
    void *connection;               // the worker's
    struct buffer output;           // replies to be sent
    struct attachments attachments; // large values among them

    uint64_t wait_number;  // of the last deferred answer that is awaited
    unsigned wait_pending; // how many are: more than one only for commands that pipeline (CMD_PIPELINES)
    int64_t wait_since_ms, wait_until_ms; // monotonic; wait_until 0: for ever
    void (*wait_timed_out)(struct session *session); // writes the reply of a wait that ran out
    bool wait_can_be_unblocked; // CLIENT UNBLOCK may end it
    unsigned wait_slot;
    uint64_t wait_offset, wait_count; // WAIT

    struct list_node watches; // struct session_watch, see call/watches.h
    atomic_bool watched_changed; // one of the keys that it watches was touched since; set by whoever touches it

    uint64_t last_write_offset;    // journal offset after its last write
    size_t input_size, input_free; // of its input buffer, for CLIENT LIST
    int fd;                        // its number, for CLIENT LIST only
    bool unix_socket;
    bool has_selected;        // it has said SELECT: it knows that there are databases
    struct list_node everyone; // the registry's
    void *replica;             // replication's, for SESSION_REPLICA
    char *name, *lib_name, *lib_version;   // or NULL
    char address[128], local_address[128]; // "ip:port", or "path:0"
};

// Puts a new session into the registry and gives it an id; takes it out and frees what it holds. Thread: its worker.
void session_open(struct session *session, uint16_t worker, enum session_kind kind);
void session_close(struct session *session);

// A client becomes a replica, and the like. Thread: its worker.
void session_change_kind(struct session *session, enum session_kind kind);

// Every session of every worker. Exclusive mode only; visit may set `closing`.
void session_each(void (*visit)(void *context, struct session *session), void *context);
struct session *session_by_id(uint64_t id); // exclusive mode only
unsigned session_count(void);               // clients of kind NORMAL; any thread

// The line of CLIENT LIST and CLIENT INFO, without its newline.
void session_describe(const struct session *session, int64_t mono_ms, struct buffer *out);

// Empties the queue and closes the transaction. (Watches: call/watches.h.)
void session_empty_queue(struct session *session);

// Bytes that wait to be sent.
static inline size_t session_output_size(const struct session *session) {
    return session->output.size + session->attachments.size;
}

#endif
