// value: what the codec turns into bytes and back. Keyspace-agnostic: a view of somebody else's memory.
//
// A value that goes in (writer, DUMP) is borrowed for the call. A value that comes out (reader, RESTORE)
// points into the decoder's memory; that decoder's header says how long it lives. Pure; no thread or lock
// needed.
#ifndef SHOAL_CODEC_VALUE_H
#define SHOAL_CODEC_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

// The types that this version encodes and decodes. A new type adds its constant here, its view to struct
// codec_value, and its case where values are written (rdb_writer.c, dump.c), named (encode.c) and read
// (decode.c).
enum codec_type { CODEC_STRING };

struct codec_value {
    enum codec_type type;
    // The value is `integer`. Going in, `string` is then ignored, so that a stored integer need not be
    // formatted. Coming out, `string` holds its text all the same.
    bool is_integer;
    int64_t integer;
    struct bytes string;
};

static inline struct codec_value codec_string(struct bytes string) {
    return (struct codec_value){.type = CODEC_STRING, .string = string};
}

static inline struct codec_value codec_integer(int64_t integer) {
    return (struct codec_value){.type = CODEC_STRING, .is_integer = true, .integer = integer};
}

#endif
