// request: the client's half of RESP: a command and its arguments become bytes. Pure.
#ifndef SHOAL_RESP_REQUEST_H
#define SHOAL_RESP_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

// Appends a whole command.
void request_append(struct buffer *out, const struct bytes *arguments, size_t count);

// The same piece by piece: first how many arguments follow, then each.
void request_begin(struct buffer *out, size_t count);
void request_argument(struct buffer *out, struct bytes argument);
void request_string(struct buffer *out, const char *argument);
void request_integer(struct buffer *out, int64_t argument);

// Appends a command whose arguments are terminated strings; NULL ends them.
void request_strings(struct buffer *out, ...) __attribute__((sentinel));

#endif
