// encode: the smallest pieces of the RDB format, as bytes in memory. Pure; the codec's own, not for other
// folders.
#ifndef SHOAL_CODEC_ENCODE_H
#define SHOAL_CODEC_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/numbers.h"
#include "codec/value.h"

enum {
    ENCODED_LENGTH_MAX = 9,                       // bytes of the longest length
    STRING_HEAD_MAX = 1 + 2 * ENCODED_LENGTH_MAX, // bytes before the body of a string
    STRING_COMPRESSIBLE_MIN = 21,                 // shorter strings are never compressed
    STRING_COMPRESSION_GAIN_MIN = 4,              // bytes that compression must save to be used
};

// A string as it goes out: a head, then a body that is a view of the string itself, of the compressed bytes
// or of text.
struct string_form {
    size_t head_size;
    struct bytes body;
    char head[STRING_HEAD_MAX];
    char text[NUMBER_TEXT_MAX];
};

// Writes a length into `out` (at least ENCODED_LENGTH_MAX bytes); returns how many bytes it takes.
size_t encode_length(char *out, uint64_t length);

// Bytes that string_form_make wants as room to compress `string` into; 0 when it is not worth trying.
size_t string_form_room(struct bytes string);

// Chooses the shortest form: an integer of 8, 16 or 32 bits, compressed, or as it is. `room` holds
// string_form_room bytes, or is NULL not to compress. The form is valid as long as `string` and `room` are,
// and must not be moved.
void string_form_make(struct string_form *form, struct bytes string, char *room);

// As string_form_make for a value kept as an integer.
void string_form_make_integer(struct string_form *form, int64_t integer);

// The byte that names the value's type and encoding.
char encode_type(const struct codec_value *value);

// `size` low bytes of `number`, little-endian.
void encode_fixed(char *out, uint64_t number, size_t size);

#endif
