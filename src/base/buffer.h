// buffer: bytes that grow at the end. Pure; belongs to one thread at a time.
#ifndef SHOAL_BASE_BUFFER_H
#define SHOAL_BASE_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/bytes.h"

// data[0..size) is filled; capacity is what is allocated. All zero is an empty buffer that owns nothing.
struct buffer {
    char *data;
    size_t size;
    size_t capacity;
};

#define BUFFER_EMPTY ((struct buffer){NULL, 0, 0})

// Makes room for `more` bytes beyond size (amortised doubling). Aborts when memory is out.
void buffer_reserve(struct buffer *buffer, size_t more);

// As buffer_reserve; false, with the buffer unchanged, when memory is out.
bool buffer_try_reserve(struct buffer *buffer, size_t more);

// The end of what is filled, with room for `more` bytes after it; the caller counts in what he fills.
static inline char *buffer_room(struct buffer *buffer, size_t more) {
    if (__builtin_expect(buffer->capacity - buffer->size < more, 0)) buffer_reserve(buffer, more);
    return buffer->data + buffer->size;
}

// Room for `more` bytes at the end and counts them in; the caller fills what is returned.
static inline char *buffer_extend(struct buffer *buffer, size_t more) {
    char *at = buffer_room(buffer, more);
    buffer->size += more;
    return at;
}

static inline void buffer_append(struct buffer *buffer, const void *data, size_t size) {
    if (size) memcpy(buffer_extend(buffer, size), data, size);
}

static inline void buffer_append_byte(struct buffer *buffer, char byte) {
    *buffer_extend(buffer, 1) = byte;
}

static inline void buffer_append_bytes(struct buffer *buffer, struct bytes bytes) {
    buffer_append(buffer, bytes.data, bytes.size);
}

static inline void buffer_append_string(struct buffer *buffer, const char *string) {
    buffer_append(buffer, string, strlen(string));
}

// printf at the end.
void buffer_appendf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_vappendf(struct buffer *buffer, const char *format, va_list arguments);

// Drops the first `count` bytes, moving the rest to the front.
void buffer_drop_front(struct buffer *buffer, size_t count);

static inline struct bytes buffer_bytes(const struct buffer *buffer) {
    return (struct bytes){buffer->data, buffer->size};
}

// Terminates the contents (the terminator is not counted in size) and returns them.
const char *buffer_string(struct buffer *buffer);

// Frees the memory and leaves an empty buffer.
void buffer_free(struct buffer *buffer);

#endif
