#include "codec/input.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/crc64.h"
#include "base/memory.h"

// A long string's memory is taken in steps: this much, then as much again as has arrived.
enum { COLLECT_STEP = 64 << 10 };

void input_open_memory(struct input *input, struct bytes memory, size_t string_max) {
    *input = (struct input){.at = memory.data, .string_max = string_max};
    input->end = memory.size ? memory.data + memory.size : memory.data;
    input->summed = input->at;
    input->end_offset = memory.size;
}

void input_open_source(struct input *input, input_source *source, void *context, size_t string_max) {
    *input = (struct input){.source = source, .context = context, .string_max = string_max};
    input->window = mem_alloc(INPUT_WINDOW);
    input->at = input->end = input->summed = input->window;
}

void input_close(struct input *input) {
    mem_free(input->window);
    buffer_free(&input->packed);
}

static size_t unread(const struct input *input) {
    return (size_t)(input->end - input->at);
}

uint64_t input_offset(const struct input *input) {
    return input->end_offset - unread(input);
}

uint64_t input_checksum(struct input *input) {
    input->checksum = crc64(input->checksum, input->summed, (size_t)(input->at - input->summed));
    input->summed = input->at;
    return input->checksum;
}

static void note(struct input *input, enum codec_status status, uint64_t offset, const char *after,
                 const char *format, va_list arguments) {
    struct codec_fault *fault = &input->fault;
    if (fault->status != CODEC_OK) return;
    char what[FAULT_TEXT_MAX / 2];
    vsnprintf(what, sizeof what, format, arguments);
    fault->status = status;
    fault->offset = offset;
    snprintf(fault->text, sizeof fault->text, "%s at offset %llu%s", what, (unsigned long long)offset, after);
}

bool input_fail(struct input *input, enum codec_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    note(input, status, input_offset(input), "", format, arguments);
    va_end(arguments);
    return false;
}

bool input_refuse(struct input *input, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    note(input, CODEC_UNSUPPORTED, input_offset(input) - 1, " is not supported by this version of Shoal",
         format, arguments);
    va_end(arguments);
    return false;
}

// Reads up to `size` bytes from the source; 0 after a fault.
static size_t pull(struct input *input, void *data, size_t size) {
    ssize_t count = input->source ? input->source(input->context, data, size) : 0;
    if (count < 0) input_fail(input, CODEC_READ_FAILED, "reading failed");
    if (count == 0) input_fail(input, CODEC_TRUNCATED, "the data ends too early");
    return count > 0 ? (size_t)count : 0;
}

// Moves what is unread to the window's front and reads more behind it.
static bool refill(struct input *input) {
    if (input->fault.status != CODEC_OK) return false;
    input_checksum(input);
    size_t kept = unread(input);
    if (input->window) {
        memmove(input->window, input->at, kept);
        input->at = input->summed = input->window;
        input->end = input->window + kept;
    }
    size_t more = pull(input, input->window + kept, input->window ? INPUT_WINDOW - kept : 0);
    input->end += more;
    input->end_offset += more;
    return more > 0;
}

const unsigned char *input_take(struct input *input, size_t size) {
    while (unread(input) < size)
        if (!refill(input)) return NULL;
    const unsigned char *taken = (const unsigned char *)input->at;
    input->at += size;
    return taken;
}

bool input_view(struct input *input, size_t size, struct bytes *view) {
    if (unread(input) < size) return false;
    *view = bytes_of(input->at, size);
    input->at += size;
    return true;
}

static void copy_from_window(struct input *input, struct buffer *into, size_t most) {
    size_t size = unread(input) < most ? unread(input) : most;
    buffer_append(into, input->at, size);
    input->at += size;
}

// Room in `into` for the next step of what is `missing`, and not a byte more.
static bool make_room(struct input *input, struct buffer *into, size_t missing) {
    if (into->capacity > into->size) return true;
    size_t step = into->size > COLLECT_STEP ? into->size : COLLECT_STEP;
    if (step > missing) step = missing;
    char *data = mem_try_realloc(into->data, into->size + step);
    if (!data)
        return input_fail(input, CODEC_NO_MEMORY, "no memory for a string of more than %zu bytes",
                          into->size);
    into->data = data;
    into->capacity = into->size + step;
    return true;
}

// One read of what is `missing`, past the window, which is empty.
static bool collect_directly(struct input *input, struct buffer *into, size_t missing) {
    size_t room = into->capacity - into->size;
    char *to = into->data + into->size;
    input_checksum(input);
    size_t count = pull(input, to, room < missing ? room : missing);
    input->checksum = crc64(input->checksum, to, count);
    input->end_offset += count;
    into->size += count;
    return count > 0;
}

bool input_collect(struct input *input, size_t size, struct buffer *into) {
    into->size = 0;
    while (into->size < size) {
        size_t missing = size - into->size;
        if (!make_room(input, into, missing)) return false;
        size_t room = into->capacity - into->size;
        if (unread(input))
            copy_from_window(input, into, room < missing ? room : missing);
        else if (missing < COLLECT_STEP ? !refill(input) : !collect_directly(input, into, missing))
            return false;
    }
    return true;
}
