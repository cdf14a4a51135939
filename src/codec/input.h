// input: bytes to decode, out of memory or through a window over a source, with their checksum and the first
// fault.
//
// Never believes a length: memory is taken as bytes really arrive. Pure; belongs to one thread at a time; the
// codec's own, not for other folders.
#ifndef SHOAL_CODEC_INPUT_H
#define SHOAL_CODEC_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "codec/fault.h"

enum {
    INPUT_WINDOW = 64 << 10,
    INPUT_TAKE_MAX = 64, // the most that input_take gives at once
};

// Fills up to `size` (at least 1) bytes; returns how many, 0 at the end, less than 0 when reading failed.
typedef ssize_t input_source(void *context, void *data, size_t size);

struct input {
    const char *at; // what was not read yet: at..end
    const char *end;
    const char *summed; // summed..at is not in the checksum yet
    uint64_t checksum;
    uint64_t end_offset; // how far `end` is from the start of everything
    char *window;        // NULL when the input is memory
    input_source *source;
    void *context;
    size_t string_max;    // the longest string to accept
    struct buffer packed; // compressed bytes that did not fit the window
    struct codec_fault fault;
};

void input_open_memory(struct input *input, struct bytes memory, size_t string_max);
void input_open_source(struct input *input, input_source *source, void *context, size_t string_max);
void input_close(struct input *input);

// Bytes read so far.
uint64_t input_offset(const struct input *input);

// The next `size` bytes (at most INPUT_TAKE_MAX), valid until the next call; NULL when there are not as many.
const unsigned char *input_take(struct input *input, size_t size);

// As input_take for any size, but only if the bytes are in the window already; false, with nothing taken, if
// not.
bool input_view(struct input *input, size_t size, struct bytes *view);

// Replaces the contents of `into` by the next `size` bytes.
bool input_collect(struct input *input, size_t size, struct buffer *into);

// The CRC-64 of all that was read so far.
uint64_t input_checksum(struct input *input);

// Notes a fault at the present offset, " at offset N" added to the text, unless there is one already. Returns
// false.
bool input_fail(struct input *input, enum codec_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// As input_fail for a thing of the format that this version does not read, named by the byte that was just
// taken.
bool input_refuse(struct input *input, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
