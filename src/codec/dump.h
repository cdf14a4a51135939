// dump: one value as a payload that DUMP, RESTORE and MIGRATE exchange: type, value, RDB version, checksum.
//
// For strings the bytes are those that Redis makes. Pure; no thread or lock needed.
#ifndef SHOAL_CODEC_DUMP_H
#define SHOAL_CODEC_DUMP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "codec/rdb_format.h"
#include "codec/value.h"

enum { DUMP_FOOTER_SIZE = 2 + RDB_CHECKSUM_SIZE };

enum dump_verdict {
    DUMP_OK,
    DUMP_BAD_CHECKSUM, // the checksum is wrong, the version too new, or the payload too short to have either
    DUMP_BAD_FORMAT,   // the checksum is right but the value is none
    DUMP_UNSUPPORTED,  // it is of a type that Redis has and this version does not read
    DUMP_NO_MEMORY,
};

// Appends the payload of `value`. Allocates only where `out` has too little capacity: dump_size_max bytes are
// always enough. False, with `out` as it was, when memory is out.
bool dump_append(struct buffer *out, const struct codec_value *value, const struct rdb_format *format);

// The most bytes that dump_append appends for `value`.
size_t dump_size_max(const struct codec_value *value);

// Checks length, version and checksum: DUMP_OK or DUMP_BAD_CHECKSUM.
enum dump_verdict dump_verify(struct bytes payload);

// Verifies and decodes. On DUMP_OK the value points into `payload` or `scratch` (emptied first; its memory
// may be kept from call to call). Bytes after the value are passed over, as Redis does. No string longer than
// `string_max` is accepted.
enum dump_verdict dump_parse(struct bytes payload, size_t string_max, struct buffer *scratch,
                             struct codec_value *value);

// The text of the error reply for a verdict other than DUMP_OK, without its code.
const char *dump_error_text(enum dump_verdict verdict);

#endif
