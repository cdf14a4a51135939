#include "base/buffer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

enum { BUFFER_SMALLEST = 64 };

static size_t grown_capacity(const struct buffer *buffer, size_t more) {
    size_t wanted = buffer->size + more;
    size_t doubled = buffer->capacity * 2;
    if (wanted < BUFFER_SMALLEST) wanted = BUFFER_SMALLEST;
    return wanted > doubled ? wanted : doubled;
}

void buffer_reserve(struct buffer *buffer, size_t more) {
    if (buffer->capacity - buffer->size >= more) return;
    // What can't be counted can't be had: mem_realloc says so and aborts.
    size_t capacity = more > SIZE_MAX - buffer->size ? SIZE_MAX : grown_capacity(buffer, more);
    buffer->data = mem_realloc(buffer->data, capacity);
    buffer->capacity = capacity;
}

bool buffer_try_reserve(struct buffer *buffer, size_t more) {
    if (buffer->capacity - buffer->size >= more) return true;
    if (more > SIZE_MAX - buffer->size) return false;
    size_t capacity = grown_capacity(buffer, more);
    char *data = mem_try_realloc(buffer->data, capacity);
    if (!data) return false;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void buffer_vappendf(struct buffer *buffer, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    buffer_reserve(buffer, 128);
    size_t room = buffer->capacity - buffer->size;
    int size = vsnprintf(buffer->data + buffer->size, room, format, arguments);
    if (size < 0) size = 0; // a text beyond INT_MAX bytes: nothing is appended
    if ((size_t)size >= room) {
        buffer_reserve(buffer, (size_t)size + 1);
        vsnprintf(buffer->data + buffer->size, (size_t)size + 1, format, again);
    }
    va_end(again);
    buffer->size += (size_t)size;
}

void buffer_appendf(struct buffer *buffer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    buffer_vappendf(buffer, format, arguments);
    va_end(arguments);
}

void buffer_drop_front(struct buffer *buffer, size_t count) {
    buffer->size -= count;
    if (buffer->size) memmove(buffer->data, buffer->data + count, buffer->size);
}

const char *buffer_string(struct buffer *buffer) {
    buffer_reserve(buffer, 1);
    buffer->data[buffer->size] = '\0';
    return buffer->data;
}

void buffer_free(struct buffer *buffer) {
    mem_free(buffer->data);
    *buffer = BUFFER_EMPTY;
}
