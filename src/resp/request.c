#include "resp/request.h"

#include <stdarg.h>
#include <string.h>

#include "base/numbers.h"

// A type byte, a number, CR LF.
static void append_header(struct buffer *out, char type, size_t number) {
    buffer_reserve(out, NUMBER_TEXT_MAX + 3);
    char *at = out->data + out->size;
    *at = type;
    size_t digits = number_format_unsigned(at + 1, number);
    memcpy(at + 1 + digits, "\r\n", 2);
    out->size += digits + 3;
}

void request_begin(struct buffer *out, size_t count) {
    append_header(out, '*', count);
}

void request_argument(struct buffer *out, struct bytes argument) {
    append_header(out, '$', argument.size);
    buffer_append_bytes(out, argument);
    buffer_append(out, "\r\n", 2);
}

void request_string(struct buffer *out, const char *argument) {
    request_argument(out, bytes_from_string(argument));
}

void request_integer(struct buffer *out, int64_t argument) {
    char text[NUMBER_TEXT_MAX];
    size_t size = number_format(text, argument);
    request_argument(out, bytes_of(text, size));
}

void request_append(struct buffer *out, const struct bytes *arguments, size_t count) {
    request_begin(out, count);
    for (size_t i = 0; i < count; i++)
        request_argument(out, arguments[i]);
}

void request_strings(struct buffer *out, ...) {
    va_list list;
    size_t count = 0;
    va_start(list, out);
    while (va_arg(list, const char *))
        count++;
    va_end(list);
    request_begin(out, count);
    va_start(list, out);
    for (size_t i = 0; i < count; i++)
        request_string(out, va_arg(list, const char *));
    va_end(list);
}
