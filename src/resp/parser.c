#include "resp/parser.h"

#include <limits.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/words.h"

enum {
    BATCH_ARGUMENTS = 1024,
    BATCH_KEPT = 64 * 1024, // room for more arguments than this is not kept
    LENGTH_DIGITS_MAX = 18, // of a count or a size: more can't be within any limit
};

// An argument of a command that has come in part, as an offset from the command's start.
struct resp_piece {
    size_t offset;
    size_t size;
};

void resp_batch_init(struct resp_batch *batch) {
    batch->capacity = BATCH_ARGUMENTS;
    batch->used = 0;
    batch->arguments = mem_alloc(batch->capacity * sizeof *batch->arguments);
}

void resp_batch_free(struct resp_batch *batch) {
    mem_free(batch->arguments);
    *batch = (struct resp_batch){0};
}

void resp_batch_reset(struct resp_batch *batch) {
    batch->used = 0;
    if (__builtin_expect(batch->capacity > BATCH_KEPT, 0)) {
        resp_batch_free(batch);
        resp_batch_init(batch);
    }
}

static void free_words(struct resp_parser *parser) {
    if (!parser->words) return;
    words_free(parser->words);
    mem_free(parser->words);
    parser->words = NULL;
}

void resp_parser_free(struct resp_parser *parser) {
    mem_free(parser->saved);
    free_words(parser);
    *parser = (struct resp_parser){0};
}

enum line_result { LINE_NUMBER, LINE_MORE, LINE_BAD };

// What can't be a number is judged once its line has ended, or has grown too long.
static enum line_result bad_line(const char *at, const char *end) {
    return memchr(at, '\r', (size_t)(end - at)) ? LINE_BAD : LINE_MORE;
}

// Reads a line "<digits>\r\n" at *at as a number that may be negative, and moves *at past it.
static enum line_result read_length(const char **at, const char *end, int64_t *value) {
    const char *p = *at;
    bool negative = p < end && *p == '-';
    int64_t number = 0;
    p += negative;
    const char *digits = p;
    while (p < end && (unsigned)(*p - '0') <= 9) {
        if (p - digits == LENGTH_DIGITS_MAX) return bad_line(p, end);
        number = number * 10 + (*p++ - '0');
    }
    if (p == end) return LINE_MORE;
    if (*p != '\r' || p == digits) return bad_line(p, end);
    if (*digits == '0' && (negative || p - digits > 1)) return LINE_BAD; // it is passed on to replicas as it came
    if (p + 1 == end) return LINE_MORE;
    *value = negative ? -number : number;
    *at = p + 2; // whatever byte follows \r ends the line, as Redis has it
    return LINE_NUMBER;
}

// An unfinished line: more bytes may end it, unless it has outgrown what a line may be.
static enum resp_result unfinished_line(struct bytes rest, const char *too_big, size_t *wanted, const char **error) {
    if (rest.size > RESP_INLINE_MAX) {
        *error = too_big;
        return RESP_PROTOCOL_ERROR;
    }
    *wanted = 1;
    return RESP_MORE;
}

static enum resp_result parse_inline(struct resp_parser *parser, struct bytes input, struct resp_command *command,
                                     size_t *used, size_t *wanted, const char **error) {
    const char *newline = input.size ? memchr(input.data, '\n', input.size) : NULL;
    if (!newline) return unfinished_line(input, "too big inline request", wanted, error);
    size_t size = (size_t)(newline - input.data);
    *used = size + 1;
    if (size && input.data[size - 1] == '\r') size--;
    free_words(parser);
    parser->words = mem_calloc(1, sizeof *parser->words);
    if (!words_split(bytes_of(input.data, size), parser->words)) {
        *error = "unbalanced quotes in request";
        return RESP_PROTOCOL_ERROR;
    }
    *command = (struct resp_command){.argv = parser->words->items,
                                     .argc = (int)parser->words->count,
                                     .is_inline = true,
                                     .raw = bytes_of(input.data, *used)};
    return RESP_COMMAND;
}

static void resize_batch(struct resp_batch *batch, size_t capacity) {
    batch->arguments = mem_realloc(batch->arguments, capacity * sizeof *batch->arguments);
    batch->capacity = capacity;
}

// May a command of `count` arguments go into the batch? Not when others must leave it first. One that is larger than
// the batch has it for itself, and widens it as its arguments come: their announced number may be a lie.
static bool batch_admits(struct resp_batch *batch, size_t count) {
    if (batch->capacity - batch->used >= count) return true;
    return batch->used == 0;
}

// The place of argument number `index` of the command that is being parsed.
static inline struct bytes *argument_place(struct resp_batch *batch, size_t index) {
    size_t needed = batch->used + index + 1;
    if (__builtin_expect(needed > batch->capacity, 0))
        resize_batch(batch, needed > 2 * batch->capacity ? needed : 2 * batch->capacity);
    return &batch->arguments[batch->used + index];
}

// Remembers how far a command has come, in offsets, since the input may move.
static void save_progress(struct resp_parser *parser, const char *start, const struct bytes *arguments,
                          uint32_t parsed, size_t position) {
    if (parser->saved_capacity < parsed) {
        parser->saved_capacity = parsed > 2 * parser->saved_capacity ? parsed : 2 * parser->saved_capacity;
        parser->saved = mem_realloc(parser->saved, parser->saved_capacity * sizeof *parser->saved);
    }
    for (uint32_t i = parser->parsed; i < parsed; i++)
        parser->saved[i] = (struct resp_piece){(size_t)(arguments[i].data - start), arguments[i].size};
    parser->parsed = parsed;
    parser->position = position;
}

void resp_parser_restart(struct resp_parser *parser) {
    parser->arguments = parser->parsed = 0;
    parser->position = 0;
    if (parser->saved) {
        mem_free(parser->saved);
        parser->saved = NULL;
        parser->saved_capacity = 0;
    }
}

// Reads the "*<count>" line. A count of 0 or less is an empty command.
static enum resp_result read_count(struct resp_parser *parser, struct bytes input, const struct resp_limits *limits,
                                   const char **at, size_t *wanted, const char **error) {
    int64_t count = 0;
    *at = input.data + 1;
    enum line_result line = read_length(at, input.data + input.size, &count);
    if (line == LINE_MORE) return unfinished_line(input, "too big mbulk count string", wanted, error);
    if (line == LINE_BAD || count > INT_MAX || count > (int64_t)limits->arguments_max) {
        *error = "invalid multibulk length";
        return RESP_PROTOCOL_ERROR;
    }
    if (limits->unauthenticated && count > RESP_UNAUTHENTICATED_ARGUMENTS) {
        *error = "unauthenticated multibulk length";
        return RESP_PROTOCOL_ERROR;
    }
    parser->arguments = count > 0 ? (uint32_t)count : 0;
    return RESP_COMMAND;
}

// Reads one "$<size>\r\n<bytes>\r\n" at *at.
static enum resp_result read_bulk(const char **at, const char *end, const struct resp_limits *limits,
                                  struct bytes *argument, size_t *wanted, const char **error) {
    static _Thread_local char expected[] = "expected '$', got ' '";
    const char *p = *at;
    if (p == end) {
        *wanted = 1;
        return RESP_MORE;
    }
    if (*p != '$') {
        expected[sizeof expected - 3] = *p;
        *error = expected;
        return RESP_PROTOCOL_ERROR;
    }
    int64_t size = 0;
    p++;
    enum line_result line = read_length(&p, end, &size);
    if (line == LINE_MORE) return unfinished_line(bytes_of(*at, (size_t)(end - *at)), "too big bulk count string", wanted, error);
    if (line == LINE_BAD || size < 0 || (uint64_t)size > limits->bulk_max) {
        *error = "invalid bulk length";
        return RESP_PROTOCOL_ERROR;
    }
    if (limits->unauthenticated && size > RESP_UNAUTHENTICATED_BULK) {
        *error = "unauthenticated bulk length";
        return RESP_PROTOCOL_ERROR;
    }
    if ((uint64_t)(end - p) < (uint64_t)size + 2) {
        *wanted = (size_t)size + 2 - (size_t)(end - p);
        return RESP_MORE;
    }
    *argument = bytes_of(p, (size_t)size);
    *at = p + size + 2;
    return RESP_COMMAND;
}

enum { SHORT_LINE_MAX = 5, SHORT_LENGTH_MAX = 999 }; // "999\r\n"

// Reads a length of up to three digits and its line's end, and moves *at past it; -1: it is something else.
// There are SHORT_LINE_MAX bytes to be read.
static inline int short_length(const char **at) {
    const char *p = *at;
    unsigned first = (unsigned)(p[0] - '0'), second = (unsigned)(p[1] - '0'), third = (unsigned)(p[2] - '0');
    if (first > 9) return -1;
    if (p[1] == '\r') {
        *at = p + 3;
        return (int)first;
    }
    if (first == 0 || second > 9) return -1;
    if (p[2] == '\r') {
        *at = p + 4;
        return (int)(first * 10 + second);
    }
    if (third > 9 || p[3] != '\r') return -1;
    *at = p + 5;
    return (int)(first * 100 + second * 10 + third);
}

// The everyday case: a whole command of short arguments. False: whatever it is, the long way judges it.
static bool parse_short(struct resp_batch *batch, struct bytes input, struct resp_command *command,
                        size_t *used) {
    const char *at = input.data + 1, *end = input.data + input.size;
    if (input.size <= SHORT_LINE_MAX) return false;
    int count = short_length(&at);
    if (count <= 0 || batch->capacity - batch->used < (size_t)count) return false;
    struct bytes *arguments = batch->arguments + batch->used;
    for (int i = 0; i < count; i++) {
        if (end - at <= SHORT_LINE_MAX || *at != '$') return false;
        at++;
        int size = short_length(&at);
        if (size < 0 || end - at < size + 2) return false;
        arguments[i] = bytes_of(at, (size_t)size);
        at += size + 2;
    }
    batch->used += (size_t)count;
    *used = (size_t)(at - input.data);
    *command = (struct resp_command){.argv = arguments, .argc = count, .raw = bytes_of(input.data, *used)};
    return true;
}

enum resp_result resp_parse(struct resp_parser *parser, struct resp_batch *batch, struct bytes input,
                            const struct resp_limits *limits, struct resp_command *command, size_t *used,
                            size_t *wanted, const char **error) {
    if (input.size == 0) {
        *wanted = 1;
        return RESP_MORE;
    }
    if (parser->arguments == 0) {
        if (input.data[0] != '*') return parse_inline(parser, input, command, used, wanted, error);
        bool within = !limits->unauthenticated && limits->bulk_max >= SHORT_LENGTH_MAX &&
                      limits->arguments_max >= SHORT_LENGTH_MAX;
        if (within && parse_short(batch, input, command, used)) return RESP_COMMAND;
    }
    const char *at = input.data + parser->position, *end = input.data + input.size;
    if (parser->arguments == 0) {
        enum resp_result result = read_count(parser, input, limits, &at, wanted, error);
        if (result != RESP_COMMAND) return result;
    }
    if (!batch_admits(batch, parser->arguments)) {
        resp_parser_restart(parser);
        return RESP_BATCH_FULL;
    }
    uint32_t count = parser->arguments, parsed = parser->parsed;
    for (; parsed < count; parsed++) {
        enum resp_result result = read_bulk(&at, end, limits, argument_place(batch, parsed), wanted, error);
        if (result == RESP_COMMAND) continue;
        if (result == RESP_MORE)
            save_progress(parser, input.data, batch->arguments + batch->used, parsed, (size_t)(at - input.data));
        return result;
    }
    struct bytes *arguments = batch->arguments + batch->used;
    for (uint32_t i = 0; i < parser->parsed; i++)
        arguments[i] = bytes_of(input.data + parser->saved[i].offset, parser->saved[i].size);
    batch->used += count;
    *used = (size_t)(at - input.data);
    *command = (struct resp_command){.argv = arguments, .argc = (int)count, .raw = bytes_of(input.data, *used)};
    resp_parser_restart(parser);
    return RESP_COMMAND;
}
