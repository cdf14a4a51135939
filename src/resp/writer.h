// writer: replies to bytes, in RESP2 or RESP3. Pure; belongs to one thread at a time.
// Source: the Redis serialization protocol specification.
#ifndef SHOAL_RESP_WRITER_H
#define SHOAL_RESP_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

struct reply {
    struct buffer *out;
    int protocol; // 2 or 3
    bool failed;  // an error was written since it was last cleared
};

void reply_ok(struct reply *reply);
void reply_simple(struct reply *reply, const char *text);          // +text
void reply_error(struct reply *reply, const char *text);           // -text; begins with its code ("ERR ...")
void reply_errorf(struct reply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_integer(struct reply *reply, int64_t value);
void reply_bulk(struct reply *reply, struct bytes bytes);
// What stands before and after a bulk's bytes, which reach the client by another way.
void reply_bulk_begin(struct reply *reply, size_t size);
void reply_bulk_end(struct reply *reply);
void reply_bulk_string(struct reply *reply, const char *string);
void reply_bulk_integer(struct reply *reply, int64_t value);       // an integer as a bulk string
void reply_bulkf(struct reply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_null(struct reply *reply);                              // "$-1" or "_"
void reply_null_array(struct reply *reply);                        // "*-1" or "_"
void reply_bool(struct reply *reply, bool value);                  // :1 / :0 or #t / #f
void reply_double(struct reply *reply, double value);              // bulk or ","
void reply_verbatim(struct reply *reply, const char *format, struct bytes bytes); // bulk or "="; format: "txt", "mkd"

// Headers; `count` elements (pairs, for a map) follow.
void reply_array(struct reply *reply, size_t count);
void reply_map(struct reply *reply, size_t count); // an array of 2 * count in RESP2
void reply_set(struct reply *reply, size_t count);
void reply_push(struct reply *reply, size_t count);

// An array whose length is told at its end: begin returns a place for end, which is given the number of elements.
size_t reply_array_begin(struct reply *reply);
void reply_array_end(struct reply *reply, size_t place, size_t count);
void reply_map_end(struct reply *reply, size_t place, size_t count);
void reply_set_end(struct reply *reply, size_t place, size_t count);

// Bytes that are RESP already.
void reply_raw(struct reply *reply, struct bytes resp);

#endif
