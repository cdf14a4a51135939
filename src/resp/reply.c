#include "resp/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"

enum { ERROR_ROOM = 96, FIRST_ROOM = 16384, COUNT_MAX = INT32_MAX };

// The reader looks a reply through as its bytes come (scan), counting its nodes; when the last byte is there,
// it builds the tree in one block of nodes whose texts point into the input.
struct reply_reader {
    char *data;
    size_t capacity;
    size_t start; // the reply being looked through begins here
    size_t at;    // and has been looked through up to here
    size_t size;  // bytes that have come
    size_t limit;
    size_t
        open[REPLY_DEPTH_MAX + 1]; // values still missing in each open aggregate; open[0] is the reply itself
    unsigned depth;
    size_t nodes_needed;
    struct reply *nodes;
    size_t node_capacity;
    size_t nodes_used;
    bool broken;
    char error[ERROR_ROOM];
};

static void begin_scan(struct reply_reader *reader) {
    reader->depth = 0;
    reader->open[0] = 1;
    reader->nodes_needed = 1;
}

struct reply_reader *reply_reader_create(void) {
    struct reply_reader *reader = mem_calloc(1, sizeof *reader);
    reader->limit = REPLY_SIZE_MAX;
    begin_scan(reader);
    return reader;
}

void reply_reader_destroy(struct reply_reader *reader) {
    if (!reader) return;
    mem_free(reader->data);
    mem_free(reader->nodes);
    mem_free(reader);
}

void reply_reader_reset(struct reply_reader *reader) {
    reader->start = reader->at = reader->size = 0;
    reader->broken = false;
    reader->error[0] = '\0';
    begin_scan(reader);
}

void reply_reader_set_limit(struct reply_reader *reader, size_t size) {
    reader->limit = size;
}

const char *reply_reader_error(const struct reply_reader *reader) {
    return reader->error;
}

size_t reply_reader_pending(const struct reply_reader *reader) {
    return reader->size - reader->start;
}

char *reply_reader_room(struct reply_reader *reader, size_t size) {
    if (reader->capacity - reader->size >= size) return reader->data + reader->size;
    if (reader->start) { // what was returned may go
        memmove(reader->data, reader->data + reader->start, reader->size - reader->start);
        reader->size -= reader->start;
        reader->at -= reader->start;
        reader->start = 0;
    }
    if (reader->capacity - reader->size < size) {
        size_t wanted = reader->capacity ? reader->capacity * 2 : FIRST_ROOM;
        if (wanted < reader->size + size) wanted = reader->size + size;
        char *data = mem_try_realloc(reader->data, wanted);
        if (!data) return NULL;
        reader->data = data;
        reader->capacity = wanted;
    }
    return reader->data + reader->size;
}

void reply_reader_filled(struct reply_reader *reader, size_t size) {
    reader->size += size;
}

static enum reply_result fail(struct reply_reader *reader, const char *why) {
    reader->broken = true;
    if (reader->error != why) snprintf(reader->error, sizeof reader->error, "%s", why);
    return REPLY_BROKEN;
}

// The line that begins at `at` without its end; *next is where what follows begins. Whole, or more, or too
// long.
static enum reply_result read_line(struct reply_reader *reader, size_t at, struct bytes *line, size_t *next) {
    size_t there = reader->size - at;
    const char *start = reader->data + at;
    const char *end = there ? memchr(start, '\n', there) : NULL;
    if (!end) return there > REPLY_LINE_MAX ? fail(reader, "too long a line") : REPLY_MORE;
    *next = at + (size_t)(end - start) + 1;
    if (end == start || end[-1] != '\r') return fail(reader, "a line does not end in CR LF");
    *line = bytes_of(start, (size_t)(end - 1 - start));
    return REPLY_WHOLE;
}

static bool is_string(char type) {
    return type == '$' || type == '=' || type == '!';
}

static bool is_aggregate(char type) {
    return type == '*' || type == '%' || type == '~' || type == '>' || type == '|';
}

// Values in an aggregate whose header says `count`.
static size_t values_in(char type, int64_t count) {
    return (size_t)count * (type == '%' || type == '|' ? 2 : 1);
}

static enum reply_result open_aggregate(struct reply_reader *reader, char type, int64_t count) {
    if (count < 0) return REPLY_WHOLE;
    size_t values = values_in(type, count);
    reader->nodes_needed += values;
    if (!values) return REPLY_WHOLE;
    if (reader->depth == REPLY_DEPTH_MAX) return fail(reader, "too deeply nested");
    reader->open[++reader->depth] = values;
    return REPLY_WHOLE;
}

// Looks one value's header (and a string's contents) through.
static enum reply_result scan_value(struct reply_reader *reader) {
    struct bytes line;
    size_t next;
    enum reply_result result = read_line(reader, reader->at, &line, &next);
    if (result != REPLY_WHOLE) return result;
    char type = line.size ? line.data[0] : '\0';
    bool string = is_string(type), aggregate = is_aggregate(type);
    if (!string && !aggregate && (!type || !strchr("+-:_,#(", type))) {
        snprintf(reader->error, sizeof reader->error,
                 type >= ' ' && type <= '~' ? "got \"%c\" as reply type byte"
                                            : "got \"\\x%02x\" as reply type byte",
                 (unsigned char)type);
        return fail(reader, reader->error);
    }
    int64_t count = 0;
    if (string || aggregate) {
        bool nullable = type == '$' || type == '*';
        if (!number_parse(bytes_of(line.data + 1, line.size - 1), &count) || count < (nullable ? -1 : 0) ||
            count > COUNT_MAX)
            return fail(reader, string ? "bad bulk string length" : "bad multi-bulk length");
    }
    if (string && count >= 0) {
        if (next - reader->start + (size_t)count + 2 > reader->limit)
            return fail(reader, "reply beyond the limit");
        if (reader->size - next < (size_t)count + 2) return REPLY_MORE;
        if (memcmp(reader->data + next + count, "\r\n", 2) != 0)
            return fail(reader, "a string does not end in CR LF");
        if (type == '=' && (count < 4 || reader->data[next + 3] != ':'))
            return fail(reader, "a verbatim string without its format");
        next += (size_t)count + 2;
    }
    reader->at = next;
    if (type != '|') reader->open[reader->depth]--; // attributes stand before the value that they belong to
    return aggregate ? open_aggregate(reader, type, count) : REPLY_WHOLE;
}

static enum reply_result scan(struct reply_reader *reader) {
    for (;;) {
        while (reader->open[reader->depth] == 0) {
            if (reader->depth == 0) return REPLY_WHOLE;
            reader->depth--;
        }
        enum reply_result result = scan_value(reader);
        if (result == REPLY_BROKEN) return result;
        if (reader->size - reader->start > reader->limit && reader->at - reader->start > reader->limit)
            return fail(reader, "reply beyond the limit");
        if (result == REPLY_MORE) return result;
    }
}

static struct reply *take_nodes(struct reply_reader *reader, size_t count) {
    struct reply *nodes = reader->nodes + reader->nodes_used;
    reader->nodes_used += count;
    memset(nodes, 0, count * sizeof *nodes);
    return nodes;
}

static bool parse_double(struct bytes text, double *value) {
    if (bytes_is(text, "nan") || bytes_is(text, "-nan")) {
        *value = __builtin_nan("");
        return true;
    }
    return double_parse(text, value);
}

// Fills a scalar from what follows its type byte; false when it is none.
static bool build_scalar(struct reply *node, struct bytes text) {
    node->text = text;
    switch (node->type) {
    case REPLY_INTEGER: return number_parse(text, &node->integer);
    case REPLY_DOUBLE: return parse_double(text, &node->number);
    case REPLY_BOOL:
        node->integer = text.size == 1 && text.data[0] == 't';
        return text.size == 1 && strchr("tf", text.data[0]);
    case REPLY_NIL: return text.size == 0;
    default: return true;
    }
}

// Fills `node` from the value at reader->at, which scan has found whole. False when a scalar is malformed.
static bool build_value(struct reply_reader *reader, struct reply *node) {
    for (;;) {
        struct bytes line;
        if (read_line(reader, reader->at, &line, &reader->at) != REPLY_WHOLE) return false;
        char type = line.data[0];
        struct bytes rest = bytes_of(line.data + 1, line.size - 1);
        node->type = type == '!' ? REPLY_ERROR : (enum reply_type)type;
        if (!is_string(type) && !is_aggregate(type)) return build_scalar(node, rest);
        int64_t count = 0;
        if (!number_parse(rest, &count)) return false;
        if (count < 0) {
            node->type = REPLY_NIL;
            return true;
        }
        if (is_string(type)) {
            node->text = bytes_of(reader->data + reader->at, (size_t)count);
            reader->at += (size_t)count + 2;
            if (type != '=') return true;
            memcpy(node->format, node->text.data, 3);
            node->text = bytes_of(node->text.data + 4, node->text.size - 4);
            return true;
        }
        size_t values = values_in(type, count);
        struct reply *items = take_nodes(reader, values);
        for (size_t i = 0; i < values; i++)
            if (!build_value(reader, &items[i])) return false;
        if (type != '|') {
            node->items = items;
            node->count = values;
            return true;
        }
        node->attributes = items;
        node->attribute_count = values;
    }
}

static bool reserve_nodes(struct reply_reader *reader) {
    if (reader->nodes_needed > reader->node_capacity) {
        mem_free(reader->nodes);
        reader->node_capacity = reader->nodes_needed + reader->nodes_needed / 2 + 16;
        reader->nodes = mem_try_alloc(reader->node_capacity * sizeof *reader->nodes);
        if (!reader->nodes) reader->node_capacity = 0;
    }
    reader->nodes_used = 0;
    return reader->nodes != NULL;
}

enum reply_result reply_reader_next(struct reply_reader *reader, const struct reply **reply) {
    if (reader->broken) return REPLY_BROKEN;
    if (reader->at == reader->size && reader->start == reader->size) {
        reader->start = reader->at = reader->size = 0;
        return REPLY_MORE;
    }
    enum reply_result result = scan(reader);
    if (result != REPLY_WHOLE) return result;
    if (!reserve_nodes(reader)) return fail(reader, "no memory for the reply");
    struct reply *root = take_nodes(reader, 1);
    reader->at = reader->start;
    if (!build_value(reader, root)) return fail(reader, "a malformed number");
    reader->start = reader->at;
    begin_scan(reader);
    *reply = root;
    return REPLY_WHOLE;
}
