// reply: the client's half of RESP2 and RESP3: bytes from a server become a tree of replies. Pure; a reader
// belongs to one thread at a time.
//
// The caller puts bytes into the reader in any portions (reply_reader_room, reply_reader_filled) and asks for
// replies. A reply is looked through once, however many portions it comes in, and built when it is whole; in
// the steady state nothing is allocated. Streamed strings and aggregates ("$?", "*?") are refused.
#ifndef SHOAL_RESP_REPLY_H
#define SHOAL_RESP_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    REPLY_DEPTH_MAX = 64,        // aggregates in aggregates
    REPLY_LINE_MAX = 1024 * 1024 // bytes of a status, an error, a number or a count
};

#define REPLY_SIZE_MAX ((size_t)1 << 32) // bytes of one whole reply, unless the reader is given less

// The values are the type bytes of RESP3; RESP2's nulls are REPLY_NIL too, and "!" is an error.
enum reply_type {
    REPLY_STRING = '$',
    REPLY_STATUS = '+',
    REPLY_ERROR = '-',
    REPLY_INTEGER = ':',
    REPLY_NIL = '_',
    REPLY_DOUBLE = ',',
    REPLY_BOOL = '#',
    REPLY_BIG_NUMBER = '(',
    REPLY_VERBATIM = '=',
    REPLY_ARRAY = '*',
    REPLY_MAP = '%',
    REPLY_SET = '~',
    REPLY_PUSH = '>',
};

struct reply {
    enum reply_type type;
    struct bytes
        text; // strings, statuses, errors, numbers as they came; of a verbatim string what follows "txt:"
    int64_t integer;     // REPLY_INTEGER, and 0 or 1 of REPLY_BOOL
    double number;       // REPLY_DOUBLE
    char format[4];      // REPLY_VERBATIM: "txt" or "mkd", terminated
    struct reply *items; // of the aggregates; of a map key, value, key, value...
    size_t count;        // of items (twice its pairs for a map)
    struct reply *attributes;
    size_t attribute_count; // of attributes: key, value, key, value...
};

struct reply_reader;

struct reply_reader *reply_reader_create(void);
void reply_reader_destroy(struct reply_reader *reader);

// Forgets all bytes and errors: for a new connection.
void reply_reader_reset(struct reply_reader *reader);

// Refuses replies of more than `size` bytes.
void reply_reader_set_limit(struct reply_reader *reader, size_t size);

// Where at least `size` further bytes may be written; NULL when there is no memory. Ends the life of the last
// reply.
char *reply_reader_room(struct reply_reader *reader, size_t size);

// `size` bytes have been written there.
void reply_reader_filled(struct reply_reader *reader, size_t size);

enum reply_result { REPLY_WHOLE, REPLY_MORE, REPLY_BROKEN };

// The next reply. REPLY_WHOLE: *reply is it, alive until the next call on this reader. REPLY_MORE: bytes are
// missing. REPLY_BROKEN: this is not the protocol, or beyond a limit; the connection is of no more use, and
// reply_reader_error says why.
enum reply_result reply_reader_next(struct reply_reader *reader, const struct reply **reply);

// What was wrong, without a full stop; "" when nothing was.
const char *reply_reader_error(const struct reply_reader *reader);

// Bytes that have come and are not yet part of a returned reply.
size_t reply_reader_pending(const struct reply_reader *reader);

#endif
