#include "codec/encode.h"

#include <lzf.h>
#include <string.h>

#include "codec/rdb_format.h"

// The longest text of a 32-bit integer: "-2147483648".
enum { INTEGER_TEXT_MAX = 11 };

static void encode_big_endian(char *out, uint64_t number, size_t size) {
    for (size_t i = 0; i < size; i++)
        out[i] = (char)(number >> (8 * (size - 1 - i)));
}

void encode_fixed(char *out, uint64_t number, size_t size) {
    for (size_t i = 0; i < size; i++)
        out[i] = (char)(number >> (8 * i));
}

size_t encode_length(char *out, uint64_t length) {
    if (length < 1u << 6) {
        out[0] = (char)(RDB_LENGTH_6 | length);
        return 1;
    }
    if (length < 1u << 14) {
        out[0] = (char)(RDB_LENGTH_14 | length >> 8);
        out[1] = (char)length;
        return 2;
    }
    bool wide = length > UINT32_MAX;
    size_t size = wide ? 8 : 4;
    out[0] = (char)(wide ? RDB_LENGTH_64 : RDB_LENGTH_32);
    encode_big_endian(out + 1, length, size);
    return 1 + size;
}

// Encodes an integer into `out`, at least 5 bytes; 0 when it takes more than 32 bits.
static size_t encode_small_integer(char *out, int64_t integer) {
    enum rdb_special special;
    if (integer == (int8_t)integer)
        special = RDB_SPECIAL_INT8;
    else if (integer == (int16_t)integer)
        special = RDB_SPECIAL_INT16;
    else if (integer == (int32_t)integer)
        special = RDB_SPECIAL_INT32;
    else
        return 0;
    size_t size = (size_t)1 << special;
    out[0] = (char)(RDB_LENGTH_SPECIAL | special);
    encode_fixed(out + 1, (uint64_t)integer, size);
    return 1 + size;
}

size_t string_form_room(struct bytes string) {
    bool worth_trying = string.size >= STRING_COMPRESSIBLE_MIN && string.size <= UINT32_MAX;
    return worth_trying ? string.size - STRING_COMPRESSION_GAIN_MIN : 0;
}

static void make_plain(struct string_form *form, struct bytes string) {
    form->head_size = encode_length(form->head, string.size);
    form->body = string;
}

// False when compression gains too little.
static bool make_compressed(struct string_form *form, struct bytes string, char *room) {
    size_t most = string_form_room(string);
    if (!room || !most) return false;
    size_t size = lzf_compress(string.data, (unsigned)string.size, room, (unsigned)most);
    if (!size) return false;
    form->head[0] = (char)(RDB_LENGTH_SPECIAL | RDB_SPECIAL_LZF);
    form->head_size = 1;
    form->head_size += encode_length(form->head + form->head_size, size);
    form->head_size += encode_length(form->head + form->head_size, string.size);
    form->body = bytes_of(room, size);
    return true;
}

void string_form_make(struct string_form *form, struct bytes string, char *room) {
    int64_t integer;
    if (string.size <= INTEGER_TEXT_MAX && number_parse(string, &integer)) {
        string_form_make_integer(form, integer);
        return;
    }
    if (!make_compressed(form, string, room)) make_plain(form, string);
}

void string_form_make_integer(struct string_form *form, int64_t integer) {
    form->body = (struct bytes){NULL, 0};
    form->head_size = encode_small_integer(form->head, integer);
    if (!form->head_size) make_plain(form, bytes_of(form->text, number_format(form->text, integer)));
}

char encode_type(const struct codec_value *value) {
    switch (value->type) {
    case CODEC_STRING: break;
    }
    return RDB_TYPE_STRING;
}
