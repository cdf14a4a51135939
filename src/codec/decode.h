// decode: strings and values out of an input. Pure; the codec's own, not for other folders.
#ifndef SHOAL_CODEC_DECODE_H
#define SHOAL_CODEC_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "codec/input.h"
#include "codec/value.h"

// All of these: false after noting the fault in the input.

bool decode_byte(struct input *input, unsigned *byte);

// `size` bytes (at most 8), little-endian.
bool decode_fixed(struct input *input, size_t size, uint64_t *number);

// A plain length; the special forms are a fault here.
bool decode_length(struct input *input, uint64_t *length);

// A string in any form. It points into the input's window or into `scratch`: valid until either is used
// again.
bool decode_string(struct input *input, struct buffer *scratch, struct codec_value *value);

// Refuses a type byte, which was just taken, unless this version reads values of that type.
bool decode_check_type(struct input *input, unsigned type);

// The value of a type that decode_check_type let pass; see decode_string for how long it lives.
bool decode_value(struct input *input, unsigned type, struct buffer *scratch, struct codec_value *value);

#endif
