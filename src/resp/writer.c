#include "resp/writer.h"

#include <stdio.h>

#include "base/numbers.h"

enum { HEADER_MAX = 1 + NUMBER_TEXT_MAX + 2 };

// Writes "<kind><value>\r\n" at `at`, which has HEADER_MAX bytes of room, and returns its end.
static inline char *write_header(char *at, char kind, uint64_t value) {
    *at = kind;
    at = number_put(at + 1, value);
    memcpy(at, "\r\n", 2);
    return at + 2;
}

static inline void append_header(struct buffer *out, char kind, uint64_t value) {
    char *at = buffer_room(out, HEADER_MAX);
    out->size = (size_t)(write_header(at, kind, value) - out->data);
}

static void append_line(struct buffer *out, char kind, const char *text, size_t size) {
    char *at = buffer_extend(out, size + 3);
    at[0] = kind;
    memcpy(at + 1, text, size);
    at[1 + size] = '\r';
    at[2 + size] = '\n';
}

void reply_ok(struct reply *reply) {
    buffer_append(reply->out, "+OK\r\n", 5);
}

void reply_simple(struct reply *reply, const char *text) {
    append_line(reply->out, '+', text, strlen(text));
}

// An error is one line: what would end it early becomes a space.
static void append_error(struct reply *reply, const char *text, size_t size) {
    size_t start = reply->out->size;
    append_line(reply->out, '-', text, size);
    for (size_t i = start + 1; i < start + 1 + size; i++)
        if (reply->out->data[i] == '\r' || reply->out->data[i] == '\n') reply->out->data[i] = ' ';
    reply->failed = true;
}

void reply_error(struct reply *reply, const char *text) {
    append_error(reply, text, strlen(text));
}

void reply_errorf(struct reply *reply, const char *format, ...) {
    struct buffer text = BUFFER_EMPTY;
    va_list arguments;
    va_start(arguments, format);
    buffer_vappendf(&text, format, arguments);
    va_end(arguments);
    append_error(reply, text.data, text.size);
    buffer_free(&text);
}

void reply_integer(struct reply *reply, int64_t value) {
    if (value >= 0) {
        append_header(reply->out, ':', (uint64_t)value);
        return;
    }
    char text[NUMBER_TEXT_MAX];
    append_line(reply->out, ':', text, number_format(text, value));
}

void reply_bulk(struct reply *reply, struct bytes bytes) {
    struct buffer *out = reply->out;
    char *at = write_header(buffer_room(out, HEADER_MAX + bytes.size + 2), '$', bytes.size);
    out->size = (size_t)(at - out->data) + bytes.size + 2;
    memcpy(at + bytes.size, "\r\n", 2);
    if (bytes.size) memcpy(at, bytes.data, bytes.size); // the last step: nothing has to be kept over the call
}

void reply_bulk_begin(struct reply *reply, size_t size) {
    append_header(reply->out, '$', size);
}

void reply_bulk_end(struct reply *reply) {
    buffer_append(reply->out, "\r\n", 2);
}

void reply_bulk_string(struct reply *reply, const char *string) {
    reply_bulk(reply, bytes_from_string(string));
}

void reply_bulk_integer(struct reply *reply, int64_t value) {
    char text[NUMBER_TEXT_MAX];
    reply_bulk(reply, bytes_of(text, number_format(text, value)));
}

void reply_bulkf(struct reply *reply, const char *format, ...) {
    struct buffer text = BUFFER_EMPTY;
    va_list arguments;
    va_start(arguments, format);
    buffer_vappendf(&text, format, arguments);
    va_end(arguments);
    reply_bulk(reply, buffer_bytes(&text));
    buffer_free(&text);
}

void reply_null(struct reply *reply) {
    buffer_append_string(reply->out, reply->protocol >= 3 ? "_\r\n" : "$-1\r\n");
}

void reply_null_array(struct reply *reply) {
    buffer_append_string(reply->out, reply->protocol >= 3 ? "_\r\n" : "*-1\r\n");
}

void reply_bool(struct reply *reply, bool value) {
    if (reply->protocol >= 3)
        buffer_append_string(reply->out, value ? "#t\r\n" : "#f\r\n");
    else
        reply_integer(reply, value);
}

void reply_double(struct reply *reply, double value) {
    char text[64];
    size_t size = double_format(text, value);
    if (reply->protocol >= 3)
        append_line(reply->out, ',', text, size);
    else
        reply_bulk(reply, bytes_of(text, size));
}

void reply_verbatim(struct reply *reply, const char *format, struct bytes bytes) {
    if (reply->protocol < 3) {
        reply_bulk(reply, bytes);
        return;
    }
    append_header(reply->out, '=', bytes.size + 4);
    buffer_append(reply->out, format, 3);
    buffer_append_byte(reply->out, ':');
    buffer_append_bytes(reply->out, bytes);
    buffer_append(reply->out, "\r\n", 2);
}

void reply_array(struct reply *reply, size_t count) {
    append_header(reply->out, '*', count);
}

void reply_map(struct reply *reply, size_t count) {
    if (reply->protocol >= 3)
        append_header(reply->out, '%', count);
    else
        append_header(reply->out, '*', count * 2);
}

void reply_set(struct reply *reply, size_t count) {
    append_header(reply->out, reply->protocol >= 3 ? '~' : '*', count);
}

void reply_push(struct reply *reply, size_t count) {
    append_header(reply->out, reply->protocol >= 3 ? '>' : '*', count);
}

size_t reply_array_begin(struct reply *reply) {
    return reply->out->size;
}

// Moves what was written since `place` to make room for the header, now that its length is known.
static void insert_header(struct reply *reply, size_t place, char kind, size_t count) {
    char header[HEADER_MAX];
    int size = snprintf(header, sizeof header, "%c%zu\r\n", kind, count);
    struct buffer *out = reply->out;
    buffer_extend(out, (size_t)size);
    memmove(out->data + place + size, out->data + place, out->size - place - (size_t)size);
    memcpy(out->data + place, header, (size_t)size);
}

void reply_array_end(struct reply *reply, size_t place, size_t count) {
    insert_header(reply, place, '*', count);
}

void reply_map_end(struct reply *reply, size_t place, size_t count) {
    bool map = reply->protocol >= 3;
    insert_header(reply, place, map ? '%' : '*', map ? count : count * 2);
}

void reply_set_end(struct reply *reply, size_t place, size_t count) {
    insert_header(reply, place, reply->protocol >= 3 ? '~' : '*', count);
}

void reply_raw(struct reply *reply, struct bytes resp) {
    buffer_append_bytes(reply->out, resp);
}
