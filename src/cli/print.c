#include "cli/print.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/numbers.h"
#include "base/words.h"

static bool is_aggregate(const struct reply *reply) {
    return reply->type == REPLY_ARRAY || reply->type == REPLY_MAP || reply->type == REPLY_SET ||
           reply->type == REPLY_PUSH;
}

static const char *empty_name(enum reply_type type) {
    switch (type) {
    case REPLY_ARRAY: return "(empty array)\n";
    case REPLY_MAP: return "(empty hash)\n";
    case REPLY_SET: return "(empty set)\n";
    default: return "(empty aggregate type)\n";
    }
}

static char index_mark(enum reply_type type) {
    switch (type) {
    case REPLY_SET: return '~';
    case REPLY_MAP: return '#';
    default: return ')';
    }
}

static int digits_of(size_t number) {
    int digits = 0;
    for (; number; number /= 10)
        digits++;
    return digits;
}

static void append_spaces(struct buffer *out, int count) {
    for (; count > 0; count--)
        buffer_append_byte(out, ' ');
}

static void format_for_people(struct buffer *out, const struct reply *reply, int indent);

// "key => value"; a value that takes several lines begins on a line of its own.
static void format_pair(struct buffer *out, const struct reply *pair, int indent) {
    format_for_people(out, &pair[0], indent);
    if (out->size && out->data[out->size - 1] == '\n') out->size--;
    buffer_append_string(out, " => ");
    struct buffer value = BUFFER_EMPTY;
    format_for_people(&value, &pair[1], indent);
    if (is_aggregate(&pair[1]) && memchr(value.data, '\n', value.size - 1)) {
        buffer_append_byte(out, '\n');
        append_spaces(out, indent);
    }
    buffer_append_bytes(out, buffer_bytes(&value));
    buffer_free(&value);
}

static void format_aggregate(struct buffer *out, const struct reply *reply, int indent) {
    if (!reply->count) {
        buffer_append_string(out, empty_name(reply->type));
        return;
    }
    size_t step = reply->type == REPLY_MAP ? 2 : 1;
    int width = digits_of(reply->count / step);
    for (size_t i = 0; i < reply->count; i += step) {
        if (i) append_spaces(out, indent);
        buffer_appendf(out, "%*zu%c ", width, i / step + 1, index_mark(reply->type));
        if (step == 2)
            format_pair(out, &reply->items[i], indent + width + 2);
        else
            format_for_people(out, &reply->items[i], indent + width + 2);
    }
}

// Lines after the first begin with `indent` spaces.
static void format_for_people(struct buffer *out, const struct reply *reply, int indent) {
    switch (reply->type) {
    case REPLY_ERROR: buffer_append_string(out, "(error) "); break;
    case REPLY_INTEGER: buffer_append_string(out, "(integer) "); break;
    case REPLY_DOUBLE: buffer_append_string(out, "(double) "); break;
    case REPLY_NIL: buffer_append_string(out, "(nil)\n"); return;
    case REPLY_BOOL: buffer_append_string(out, reply->integer ? "(true)\n" : "(false)\n"); return;
    case REPLY_STRING:
        words_quote(out, reply->text);
        buffer_append_byte(out, '\n');
        return;
    case REPLY_ARRAY:
    case REPLY_MAP:
    case REPLY_SET:
    case REPLY_PUSH: format_aggregate(out, reply, indent); return;
    default: break;
    }
    buffer_append_bytes(out, reply->text);
    buffer_append_byte(out, '\n');
}

static void format_raw(struct buffer *out, const struct reply *reply, const struct print_style *style) {
    if (is_aggregate(reply)) {
        for (size_t i = 0; i < reply->count; i++) {
            bool value = reply->type == REPLY_MAP && i % 2;
            if (i) buffer_append_bytes(out, value ? BYTES(" ") : style->item_delimiter);
            format_raw(out, &reply->items[i], style);
        }
    } else if (reply->type == REPLY_BOOL) {
        buffer_append_string(out, reply->integer ? "(true)" : "(false)");
    } else {
        buffer_append_bytes(out, reply->text);
        if (reply->type == REPLY_ERROR) buffer_append_byte(out, '\n');
    }
}

// What CSV and JSON write without quotes; false when the reply is not of that kind.
static bool format_bare(struct buffer *out, const struct reply *reply, const char *null) {
    switch (reply->type) {
    case REPLY_NIL: buffer_append_string(out, null); return true;
    case REPLY_BOOL: buffer_append_string(out, reply->integer ? "true" : "false"); return true;
    case REPLY_INTEGER:
    case REPLY_DOUBLE:
    case REPLY_BIG_NUMBER: buffer_append_bytes(out, reply->text); return true;
    default: return false;
    }
}

static void format_csv(struct buffer *out, const struct reply *reply) {
    if (format_bare(out, reply, "NULL")) return;
    if (is_aggregate(reply)) {
        for (size_t i = 0; i < reply->count; i++) {
            if (i) buffer_append_byte(out, ',');
            format_csv(out, &reply->items[i]);
        }
        return;
    }
    if (reply->type == REPLY_ERROR) buffer_append_string(out, "ERROR,");
    words_quote(out, reply->text);
}

// A JSON string. `ascii`: bytes that don't print are written as the text "\xHH".
static void quote_json(struct buffer *out, struct bytes text, bool ascii) {
    buffer_append_byte(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\')
            buffer_append(out, (char[]){'\\', (char)c}, 2);
        else if (ascii && (c < 0x20 || c >= 0x7f))
            buffer_appendf(out, "\\\\x%02x", c);
        else if (c == '\n')
            buffer_append_string(out, "\\n");
        else if (c == '\r')
            buffer_append_string(out, "\\r");
        else if (c == '\t')
            buffer_append_string(out, "\\t");
        else if (c == '\b')
            buffer_append_string(out, "\\b");
        else if (c == '\f')
            buffer_append_string(out, "\\f");
        else if (c < 0x20)
            buffer_appendf(out, "\\u%04x", c);
        else
            buffer_append_byte(out, (char)c);
    }
    buffer_append_byte(out, '"');
}

static void format_json(struct buffer *out, const struct reply *reply, bool ascii);

// JSON wants a string where a map has its key.
static void format_json_key(struct buffer *out, const struct reply *key, bool ascii) {
    if (!is_aggregate(key) && key->type != REPLY_BOOL && key->type != REPLY_NIL) {
        quote_json(out, key->text, ascii);
        return;
    }
    struct buffer text = BUFFER_EMPTY;
    format_json(&text, key, ascii);
    quote_json(out, buffer_bytes(&text), ascii);
    buffer_free(&text);
}

static void format_json_aggregate(struct buffer *out, const struct reply *reply, bool ascii) {
    bool map = reply->type == REPLY_MAP;
    buffer_append_byte(out, map ? '{' : '[');
    for (size_t i = 0; i < reply->count; i++) {
        bool value = map && i % 2;
        if (i) buffer_append_byte(out, value ? ':' : ',');
        if (map && !value)
            format_json_key(out, &reply->items[i], ascii);
        else
            format_json(out, &reply->items[i], ascii);
    }
    buffer_append_byte(out, map ? '}' : ']');
}

static void format_json(struct buffer *out, const struct reply *reply, bool ascii) {
    if (format_bare(out, reply, "null")) return;
    if (is_aggregate(reply)) {
        format_json_aggregate(out, reply, ascii);
        return;
    }
    if (reply->type == REPLY_ERROR) buffer_append_string(out, "error:");
    quote_json(out, reply->text, ascii);
}

void print_reply(struct buffer *out, const struct reply *reply, const struct print_style *style, bool plain) {
    if (plain) {
        format_raw(out, reply, style);
        return;
    }
    switch (style->format) {
    case OUTPUT_FORMATTED: format_for_people(out, reply, 0); break;
    case OUTPUT_RAW:
        format_raw(out, reply, style);
        buffer_append_bytes(out, style->reply_delimiter);
        break;
    case OUTPUT_CSV:
        format_csv(out, reply);
        buffer_append_byte(out, '\n');
        break;
    case OUTPUT_JSON:
    case OUTPUT_QUOTED_JSON:
        format_json(out, reply, style->format == OUTPUT_QUOTED_JSON);
        buffer_append_byte(out, '\n');
        break;
    }
}
