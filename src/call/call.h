// call: one command being executed, as its author sees it: arguments, clock, keys, reply. A single-threaded world: the
// slots of its keys are locked, or all workers stand still. There is no socket, no lock and no thread in sight.
#ifndef SHOAL_CALL_CALL_H
#define SHOAL_CALL_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "call/command.h"
#include "call/session.h"
#include "call/settings.h"
#include "keyspace/keyspace.h"
#include "resp/writer.h"

struct dispatcher;
struct prepared;

struct call {
    const struct command *command;
    const struct bytes *argv; // argv[0] is the command's name
    int argc;
    struct session *session;
    struct reply *reply;
    struct keyspace *keyspace;
    unsigned db;
    int64_t now_ms;  // wall clock; the same throughout a command, and throughout a transaction
    unsigned worker; // number of the executing thread: its counters, its journal place
    bool exclusive;  // all workers stand still
    bool in_exec;    // inside EXEC: it cannot wait

    struct dispatcher *dispatcher;

    // Dispatch's own:
    unsigned changes;      // keys changed so far
    bool effect_replaced;  // what is journaled is not the command itself
    const struct prepared *prepared; // its bytes as they came, and the key whose hash and slot are known already
};

// --- Keys. A key must be one of those that the command's key specification names (its slot is locked), or the command
// must run exclusively.

// The live entry for reading: counts a hit or a miss, notes the use. An expired key is as good as absent (on a primary
// it is removed, and that is journaled).
struct entry *call_read(struct call *call, struct bytes key);

// The live entry without any trace of use (TTL, TYPE, OBJECT, EXISTS ...). Counts nothing.
struct entry *call_peek(struct call *call, struct bytes key);

// The live entry for changing it. Notes the use; counts nothing.
struct entry *call_write(struct call *call, struct bytes key);

// As call_read/call_write for a key of database `db`.
struct entry *call_peek_in(struct call *call, unsigned db, struct bytes key);

// Creates or replaces the key; `expire_ms`: wall clock, or NO_EXPIRY. False: out of memory, the error is replied.
// Like all that change a key: marks watches and counts the change (call_changed is done).
bool call_set_string(struct call *call, struct bytes key, struct bytes value, int64_t expire_ms);
bool call_set_string_in(struct call *call, unsigned db, struct bytes key, struct bytes value, int64_t expire_ms);
void call_set_blob_in(struct call *call, unsigned db, struct bytes key, struct blob *blob,
                      int64_t expire_ms);                                  // shared
void call_set_integer(struct call *call, struct bytes key, int64_t value); // keeps the expiry

// The string opened for writing in place, at least `size` bytes long; NULL (error replied): out of memory.
char *call_open_string(struct call *call, struct bytes key, size_t size);

void call_set_expiry(struct call *call, struct bytes key, int64_t expire_ms); // the key exists
void call_set_expiry_in(struct call *call, unsigned db, struct bytes key, int64_t expire_ms);
bool call_delete(struct call *call, struct bytes key); // false: it was not there
bool call_delete_in(struct call *call, unsigned db, struct bytes key);

// --- Effects. When `changes` is not 0 after the command, the command itself is journaled, unless:
// - effects were given with call_effect: they are journaled instead, in order;
// - call_no_effect was called: nothing is.
void call_effect(struct call *call, int argc, const struct bytes *argv);
void call_effect_in(struct call *call, unsigned db, int argc, const struct bytes *argv);
void call_no_effect(struct call *call);
void call_changed(struct call *call, unsigned count); // counts changes made by other means

// --- Replies that everybody needs; `call->reply` with resp/writer.h for all others.
void call_wrong_arity(struct call *call);
void call_syntax_error(struct call *call);              // "ERR syntax error"
void call_unknown_subcommand(struct call *call);
// The help of a container: `lines` ends with NULL; title and HELP lines are added as Redis does.
void call_reply_help(struct call *call, const char *const *lines);

// An argument as an integer; false, with the error replied ("ERR value is not an integer or out of range").
bool call_integer(struct call *call, struct bytes argument, int64_t *value);
bool call_integer_in(struct call *call, struct bytes argument, int64_t min, int64_t max, int64_t *value);

// Replies the string value of `entry`; or `part` of it, which lies in it. A large one is not copied.
void call_reply_string(struct call *call, const struct entry *entry);
void call_reply_part(struct call *call, const struct entry *entry, struct bytes part);

// --- Long commands.

// Said from time to time by a command that may run for long, whenever it has no slot locked and relies on nothing that
// changes in exclusive mode. Once it has taken a millisecond, whoever waits to be exclusive is let through; and its worker's
// other clients are served by other workers, if there are any (where they are thousands, somewhat later). Cheap.
void call_lingers(struct call *call);

// --- Answers that come later.

// Names a deferred answer; plain data, may travel through other threads.
struct call_ticket {
    uint64_t session;
    uint64_t number;
    uint16_t worker;
    uint8_t protocol; // of the client, for whoever writes the reply
};

// The command will be answered by call_answer. Not in EXEC (flag CMD_DEFERS sees to that). After it the command writes no
// reply. `timeout_ms` 0: for ever; else `timed_out` writes the reply when it runs out.
struct call_ticket call_defer(struct call *call, int64_t timeout_ms, void (*timed_out)(struct session *session));

// Answers with RESP bytes (copied). Thread: any. A ticket whose client is gone, or that ran out, is ignored.
void call_answer(struct call_ticket ticket, struct bytes resp);

// Where call_answer goes: server/ sets it at start; it must be callable from any thread.
void call_set_answer_sink(void (*sink)(struct call_ticket ticket, struct bytes resp));

#endif
