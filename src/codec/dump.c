#include "codec/dump.h"

#include <string.h>

#include "base/crc64.h"
#include "codec/decode.h"
#include "codec/encode.h"
#include "codec/input.h"

enum { TYPE_SIZE = 1, VERSION_SIZE = 2 };

size_t dump_size_max(const struct codec_value *value) {
    size_t body = value->is_integer ? NUMBER_TEXT_MAX : value->string.size;
    return TYPE_SIZE + STRING_HEAD_MAX + body + DUMP_FOOTER_SIZE;
}

// Writes type and value into `out`, which has room; returns how many bytes. Compresses in the very place
// where the body ends up, then closes the gap that the longest head left.
static size_t write_value(char *out, const struct codec_value *value, bool compress) {
    struct string_form form;
    char *room = out + TYPE_SIZE + STRING_HEAD_MAX;
    out[0] = encode_type(value);
    if (value->is_integer)
        string_form_make_integer(&form, value->integer);
    else
        string_form_make(&form, value->string, compress ? room : NULL);
    char *body = out + TYPE_SIZE + form.head_size;
    memcpy(out + TYPE_SIZE, form.head, form.head_size);
    if (form.body.size) memmove(body, form.body.data, form.body.size);
    return TYPE_SIZE + form.head_size + form.body.size;
}

bool dump_append(struct buffer *out, const struct codec_value *value, const struct rdb_format *format) {
    if (!buffer_try_reserve(out, dump_size_max(value))) return false;
    char *start = out->data + out->size;
    size_t size = write_value(start, value, format->compress);
    encode_fixed(start + size, format->version, VERSION_SIZE);
    size += VERSION_SIZE;
    encode_fixed(start + size, crc64(0, start, size), RDB_CHECKSUM_SIZE);
    out->size += size + RDB_CHECKSUM_SIZE;
    return true;
}

enum dump_verdict dump_verify(struct bytes payload) {
    if (payload.size < DUMP_FOOTER_SIZE) return DUMP_BAD_CHECKSUM;
    const unsigned char *footer = (const unsigned char *)payload.data + payload.size - DUMP_FOOTER_SIZE;
    unsigned version = footer[0] | (unsigned)footer[1] << 8;
    if (version > RDB_VERSION_MAX) return DUMP_BAD_CHECKSUM;
    char checksum[RDB_CHECKSUM_SIZE];
    encode_fixed(checksum, crc64(0, payload.data, payload.size - RDB_CHECKSUM_SIZE), sizeof checksum);
    return memcmp(footer + VERSION_SIZE, checksum, sizeof checksum) == 0 ? DUMP_OK : DUMP_BAD_CHECKSUM;
}

static enum dump_verdict verdict_of_fault(enum codec_status status, unsigned type) {
    if (status == CODEC_NO_MEMORY) return DUMP_NO_MEMORY;
    return status == CODEC_UNSUPPORTED && type < RDB_TYPES ? DUMP_UNSUPPORTED : DUMP_BAD_FORMAT;
}

enum dump_verdict dump_parse(struct bytes payload, size_t string_max, struct buffer *scratch,
                             struct codec_value *value) {
    enum dump_verdict verdict = dump_verify(payload);
    if (verdict != DUMP_OK) return verdict;
    struct input input;
    unsigned type = RDB_TYPES;
    input_open_memory(&input, bytes_of(payload.data, payload.size - DUMP_FOOTER_SIZE), string_max);
    bool ok = decode_byte(&input, &type) && decode_check_type(&input, type) &&
              decode_value(&input, type, scratch, value);
    if (!ok) verdict = verdict_of_fault(input.fault.status, type);
    input_close(&input);
    return verdict;
}

const char *dump_error_text(enum dump_verdict verdict) {
    switch (verdict) {
    case DUMP_BAD_CHECKSUM: return "DUMP payload version or checksum are wrong";
    case DUMP_BAD_FORMAT: return "Bad data format";
    case DUMP_UNSUPPORTED: return "Bad data format: a value of a type that this version of Shoal does not have";
    default: return "no memory for the value of this DUMP payload";
    }
}
