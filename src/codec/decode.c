#include "codec/decode.h"

#include <lzf.h>

#include "base/numbers.h"
#include "codec/rdb_format.h"

enum {
    LENGTH_FORM_MASK = 0xc0,
    LENGTH_SMALL_MASK = 0x3f,
    // Three bytes of LZF make at most 264: a length beyond this many times the compressed size is a lie.
    LZF_GROWTH_MAX = 88,
};

bool decode_byte(struct input *input, unsigned *byte) {
    const unsigned char *at = input_take(input, 1);
    if (at) *byte = *at;
    return at;
}

bool decode_fixed(struct input *input, size_t size, uint64_t *number) {
    const unsigned char *at = input_take(input, size);
    if (!at) return false;
    *number = 0;
    for (size_t i = 0; i < size; i++)
        *number |= (uint64_t)at[i] << (8 * i);
    return true;
}

static bool decode_big_endian(struct input *input, size_t size, uint64_t *number) {
    const unsigned char *at = input_take(input, size);
    if (!at) return false;
    *number = 0;
    for (size_t i = 0; i < size; i++)
        *number = *number << 8 | at[i];
    return true;
}

// A length, or with *special set the number of a special form.
static bool decode_head(struct input *input, uint64_t *length, bool *special) {
    unsigned first, second;
    *special = false;
    if (!decode_byte(input, &first)) return false;
    *length = first & LENGTH_SMALL_MASK;
    switch (first & LENGTH_FORM_MASK) {
    case RDB_LENGTH_6: return true;
    case RDB_LENGTH_14:
        if (!decode_byte(input, &second)) return false;
        *length = *length << 8 | second;
        return true;
    case RDB_LENGTH_SPECIAL: *special = true; return true;
    default: break;
    }
    if (first == RDB_LENGTH_32) return decode_big_endian(input, 4, length);
    if (first == RDB_LENGTH_64) return decode_big_endian(input, 8, length);
    return input_fail(input, CODEC_CORRUPT, "unknown length form 0x%02x", first);
}

bool decode_length(struct input *input, uint64_t *length) {
    bool special;
    if (!decode_head(input, length, &special)) return false;
    return !special || input_fail(input, CODEC_CORRUPT, "an encoded string where a length belongs");
}

static bool check_size(struct input *input, uint64_t size) {
    return size <= input->string_max ||
           input_fail(input, CODEC_CORRUPT, "a string of %llu bytes, more than the %zu allowed",
                      (unsigned long long)size, input->string_max);
}

static bool make_room(struct input *input, struct buffer *scratch, size_t size) {
    scratch->size = 0;
    return buffer_try_reserve(scratch, size) ||
           input_fail(input, CODEC_NO_MEMORY, "no memory for a string of %zu bytes", size);
}

static bool decode_plain(struct input *input, uint64_t size, struct buffer *scratch,
                         struct codec_value *value) {
    if (!check_size(input, size)) return false;
    *value = codec_string((struct bytes){NULL, 0});
    if (input_view(input, size, &value->string)) return true;
    if (!input_collect(input, size, scratch)) return false;
    value->string = buffer_bytes(scratch);
    return true;
}

static bool decode_integer(struct input *input, unsigned special, struct buffer *scratch,
                           struct codec_value *value) {
    uint64_t number;
    if (!decode_fixed(input, (size_t)1 << special, &number)) return false;
    switch (special) {
    case RDB_SPECIAL_INT8: *value = codec_integer((int8_t)number); break;
    case RDB_SPECIAL_INT16: *value = codec_integer((int16_t)number); break;
    default: *value = codec_integer((int32_t)number); break;
    }
    if (!make_room(input, scratch, NUMBER_TEXT_MAX)) return false;
    scratch->size = number_format(scratch->data, value->integer);
    value->string = buffer_bytes(scratch);
    return true;
}

static bool unpack(struct input *input, struct bytes packed, size_t size, struct buffer *scratch) {
    if (!make_room(input, scratch, size)) return false;
    if (lzf_decompress(packed.data, (unsigned)packed.size, scratch->data, (unsigned)size) != size)
        return input_fail(input, CODEC_CORRUPT, "a compressed string that does not unpack to %zu bytes",
                          size);
    scratch->size = size;
    return true;
}

static bool decode_compressed(struct input *input, struct buffer *scratch, struct codec_value *value) {
    uint64_t packed_size, size;
    struct bytes packed;
    if (!decode_length(input, &packed_size) || !decode_length(input, &size)) return false;
    if (!check_size(input, packed_size) || !check_size(input, size)) return false;
    if (packed_size > UINT32_MAX || size > UINT32_MAX || size / LZF_GROWTH_MAX > packed_size ||
        (packed_size == 0) != (size == 0))
        return input_fail(input, CODEC_CORRUPT, "%llu compressed bytes that claim to hold %llu",
                          (unsigned long long)packed_size, (unsigned long long)size);
    if (!input_view(input, packed_size, &packed)) {
        if (!input_collect(input, packed_size, &input->packed)) return false;
        packed = buffer_bytes(&input->packed);
    }
    scratch->size = 0;
    if (size && !unpack(input, packed, size, scratch)) return false;
    *value = codec_string(buffer_bytes(scratch));
    return true;
}

bool decode_string(struct input *input, struct buffer *scratch, struct codec_value *value) {
    uint64_t length;
    bool special;
    if (!decode_head(input, &length, &special)) return false;
    if (!special) return decode_plain(input, length, scratch, value);
    switch (length) {
    case RDB_SPECIAL_INT8:
    case RDB_SPECIAL_INT16:
    case RDB_SPECIAL_INT32: return decode_integer(input, (unsigned)length, scratch, value);
    case RDB_SPECIAL_LZF: return decode_compressed(input, scratch, value);
    default: return input_fail(input, CODEC_CORRUPT, "unknown string encoding %u", (unsigned)length);
    }
}

bool decode_check_type(struct input *input, unsigned type) {
    return type == RDB_TYPE_STRING || input_refuse(input, "value type %u", type);
}

bool decode_value(struct input *input, unsigned type, struct buffer *scratch, struct codec_value *value) {
    switch (type) {
    case RDB_TYPE_STRING: return decode_string(input, scratch, value);
    default: return input_fail(input, CODEC_UNSUPPORTED, "value type %u", type);
    }
}
