// common: what the commands of several files need: looking keys up, words of errors, building effects.
// Thread: whichever executes the call.
#ifndef SHOAL_COMMANDS_COMMON_H
#define SHOAL_COMMANDS_COMMON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/numbers.h"
#include "call/call.h"

// The live entry, counted as a hit or a miss, but not as a use of the key (TTL, EXISTS, OBJECT ...).
struct entry *lookup_untouched(struct call *call, struct bytes key);

// Is the entry (or NULL) a string? Else false, with WRONGTYPE replied.
bool require_string(struct call *call, const struct entry *entry);

// Commands of our primary and of snapshots being loaded are taken as they are: limits and clocks were its
// business.
bool must_obey(const struct call *call);

// Would a key with this expiry (wall clock, ms) be gone at once? Never so for what must be obeyed: our
// primary tells us when it deletes.
bool expires_at_once(const struct call *call, int64_t expire_ms);

// Sets the key to a text which, though it may look like an integer, is kept as text: Redis keeps the result
// of INCRBYFLOAT so, and OBJECT ENCODING shows it. False: out of memory, the error is replied. `text` is not
// the key's own.
bool set_string_as_text(struct call *call, struct bytes key, struct bytes text, int64_t expire_ms);

// Deletes the key, journaling it as DEL (or UNLINK, if `lazy`); what else the command journals is replaced.
void delete_with_effect(struct call *call, struct bytes key, bool lazy);

// How a time to live is said.
enum time_unit { TIME_SECONDS, TIME_MILLISECONDS };

// Reads a time to live or a moment, positive, as a moment in wall-clock milliseconds; `relative`: counted
// from now. False, with the error replied.
bool parse_expiry(struct call *call, struct bytes text, enum time_unit unit, bool relative,
                  int64_t *expire_ms);

// "ERR invalid expire time in '<command>' command".
void reply_invalid_expire(struct call *call);

// An integer as an argument of an effect; the text lives in the struct.
struct number_argument {
    char text[NUMBER_TEXT_MAX];
    struct bytes bytes;
};

static inline struct bytes number_argument(struct number_argument *argument, int64_t value) {
    argument->bytes = bytes_of(argument->text, number_format(argument->text, value));
    return argument->bytes;
}

// A database as it is named in arguments: false, with "ERR DB index is out of range" or the not-an-integer
// error replied. Where there is only database 0 (settings_only_database_zero) others of the configured number
// pass, as at Redis: it is the caller who refuses them.
bool parse_database(struct call *call, struct bytes text, unsigned *db);

// Does `text` hold no byte that a name of a client must not have (spaces, control characters)?
bool is_plain_name(struct bytes text);

#endif
