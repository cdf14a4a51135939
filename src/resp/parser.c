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

// The head of a command: its bytes before the first argument, "*2\r\n$3\r\nGET\r\n". A client repeats itself, so a
// command that begins with the bytes of a former head is known without being read. A head that is not in use matches
// nothing: no command begins with a zero byte.
struct head_words {
    uint64_t first, second, third;
};
enum { HEAD_MAX = sizeof(struct head_words), HEADS_BITS = 5 };
struct resp_head {
    struct head_words bytes, mask; // the mask leaves the bytes that belong to the head
    const void *note;
    uint16_t arguments;
    uint8_t size, name_at, name_size;
};

static struct resp_head *new_heads(void) {
    size_t size = sizeof(struct resp_head) << HEADS_BITS;
    struct resp_head *heads = mem_aligned_alloc(64, size);
    memset(heads, 0, size);
    for (unsigned i = 0; i < 1u << HEADS_BITS; i++)
        heads[i].mask.first = UINT64_MAX;
    return heads;
}

void resp_batch_init(struct resp_batch *batch) {
    batch->capacity = BATCH_ARGUMENTS;
    batch->used = 0;
    batch->arguments = mem_alloc(batch->capacity * sizeof *batch->arguments);
    batch->heads = new_heads();
}

void resp_batch_free(struct resp_batch *batch) {
    mem_free(batch->arguments);
    mem_free(batch->heads);
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

static enum resp_result refuse(struct resp_parser *parser, const char *why) {
    parser->error = why;
    return RESP_PROTOCOL_ERROR;
}

static enum resp_result ask_for(struct resp_parser *parser, size_t wanted) {
    parser->wanted = wanted;
    return RESP_MORE;
}

// An unfinished line: more bytes may end it, unless it has outgrown what a line may be.
static enum resp_result unfinished_line(struct resp_parser *parser, struct bytes rest, const char *too_big) {
    return rest.size > RESP_INLINE_MAX ? refuse(parser, too_big) : ask_for(parser, 1);
}

static enum resp_result parse_inline(struct resp_parser *parser, struct bytes input, struct resp_command *command) {
    const char *newline = input.size ? memchr(input.data, '\n', input.size) : NULL;
    if (!newline) return unfinished_line(parser, input, "too big inline request");
    size_t size = (size_t)(newline - input.data), used = size + 1;
    if (size && input.data[size - 1] == '\r') size--;
    free_words(parser);
    parser->words = mem_calloc(1, sizeof *parser->words);
    if (!words_split(bytes_of(input.data, size), parser->words))
        return refuse(parser, "unbalanced quotes in request");
    *command = (struct resp_command){.argv = parser->words->items,
                                     .argc = (int)parser->words->count,
                                     .is_inline = true,
                                     .raw = bytes_of(input.data, used)};
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
                                   const char **at) {
    int64_t count = 0;
    *at = input.data + 1;
    enum line_result line = read_length(at, input.data + input.size, &count);
    if (line == LINE_MORE) return unfinished_line(parser, input, "too big mbulk count string");
    if (line == LINE_BAD || count > INT_MAX || count > (int64_t)limits->arguments_max)
        return refuse(parser, "invalid multibulk length");
    if (limits->unauthenticated && count > RESP_UNAUTHENTICATED_ARGUMENTS)
        return refuse(parser, "unauthenticated multibulk length");
    parser->arguments = count > 0 ? (uint32_t)count : 0;
    return RESP_COMMAND;
}

// Reads one "$<size>\r\n<bytes>\r\n" at *at.
static enum resp_result read_bulk(struct resp_parser *parser, const char **at, const char *end,
                                  const struct resp_limits *limits, struct bytes *argument) {
    static _Thread_local char expected[] = "expected '$', got ' '";
    const char *p = *at;
    if (p == end) return ask_for(parser, 1);
    if (*p != '$') {
        expected[sizeof expected - 3] = *p;
        return refuse(parser, expected);
    }
    int64_t size = 0;
    p++;
    enum line_result line = read_length(&p, end, &size);
    if (line == LINE_MORE)
        return unfinished_line(parser, bytes_of(*at, (size_t)(end - *at)), "too big bulk count string");
    if (line == LINE_BAD || size < 0 || (uint64_t)size > limits->bulk_max) return refuse(parser, "invalid bulk length");
    if (limits->unauthenticated && size > RESP_UNAUTHENTICATED_BULK)
        return refuse(parser, "unauthenticated bulk length");
    if ((uint64_t)(end - p) < (uint64_t)size + 2) return ask_for(parser, (size_t)size + 2 - (size_t)(end - p));
    *argument = bytes_of(p, (size_t)size);
    *at = p + size + 2;
    return RESP_COMMAND;
}

enum { SHORT_LINE_MAX = 5, SHORT_LENGTH_MAX = 999 }; // "999\r\n"

// Reads a length of up to three digits and its line's end; what follows it, or NULL: it is something else.
// There are SHORT_LINE_MAX bytes to be read.
static inline const char *short_length(const char *at, unsigned *length) {
    unsigned sum = (unsigned)(at[0] - '0');
    if (sum > 9) return NULL;
#pragma GCC unroll 3
    for (int i = 1; i < 4; i++) {
        if (at[i] == '\r') {
            *length = sum;
            return at + i + 2;
        }
        unsigned digit = (unsigned)(at[i] - '0');
        if (digit > 9 || sum == 0) return NULL;
        sum = sum * 10 + digit;
    }
    return NULL;
}

// Reads "$<size>\r\n<bytes>\r\n" of up to three digits; what follows it, or NULL: it is something else.
static inline const char *short_argument(const char *at, const char *end, struct bytes *argument) {
    unsigned size;
    if (end - at <= SHORT_LINE_MAX || *at != '$') return NULL;
    at = short_length(at + 1, &size);
    if (!at || end - at < (ptrdiff_t)size + 2) return NULL;
    *argument = bytes_of(at, size);
    return at + size + 2;
}

// The first HEAD_MAX bytes of the input, which has that many.
static inline struct head_words load_words(struct bytes input) {
    return (struct head_words){bytes__word(input.data), bytes__word(input.data + 8),
                               bytes__word(input.data + 16)};
}

// Likewise; what the input lacks is zero.
static struct head_words load_some_words(struct bytes input) {
    char padded[HEAD_MAX] = {0};
    memcpy(padded, input.data, input.size < HEAD_MAX ? input.size : HEAD_MAX);
    return load_words(bytes_of(padded, HEAD_MAX));
}

// Commands of the everyday kind differ in their number of arguments, and in the name, which begins at the ninth byte.
static inline struct resp_head *head_place(struct resp_batch *batch, struct head_words words) {
    uint64_t mixed = (words.second << 16 ^ words.first) * 0x9e3779b97f4a7c15u;
    return &batch->heads[mixed >> (64 - HEADS_BITS)];
}

static inline bool head_matches(const struct resp_head *head, struct head_words words) {
    uint64_t differences = (words.first ^ head->bytes.first) & head->mask.first;
    differences |= (words.second ^ head->bytes.second) & head->mask.second;
    differences |= (words.third ^ head->bytes.third) & head->mask.third;
    return differences == 0;
}

// Remembers the head of a command that was read.
static void remember_head(struct resp_head *head, const char *start, struct bytes name, int arguments) {
    size_t name_at = (size_t)(name.data - start), size = name_at + name.size + 2;
    *head = (struct resp_head){.arguments = (uint16_t)arguments,
                               .size = (uint8_t)size,
                               .name_at = (uint8_t)name_at,
                               .name_size = (uint8_t)name.size};
    memset(&head->mask, 0xff, size);
    memcpy(&head->bytes, start, size);
}

// What stands before the arguments of a command.
struct beginning {
    struct bytes name;
    unsigned arguments; // the name is one of them
    const char *end;
    const void **note;
};

static inline void take_head(struct resp_head *head, struct bytes input, struct beginning *beginning) {
    *beginning = (struct beginning){.name = bytes_of(input.data + head->name_at, head->name_size),
                                    .arguments = head->arguments,
                                    .end = input.data + head->size,
                                    .note = &head->note};
}

// Reads it the long way, and remembers it as a head if it has a head's size.
static bool read_beginning(struct resp_head *head, struct bytes input, struct beginning *beginning) {
    if (input.size <= SHORT_LINE_MAX) return false;
    const char *at = short_length(input.data + 1, &beginning->arguments);
    if (!at || beginning->arguments == 0) return false;
    beginning->end = short_argument(at, input.data + input.size, &beginning->name);
    beginning->note = NULL;
    if (!beginning->end) return false;
    if (beginning->end - input.data > (ptrdiff_t)HEAD_MAX) return true;
    remember_head(head, input.data, beginning->name, (int)beginning->arguments);
    beginning->note = &head->note;
    return true;
}

// Reads what follows the beginning, if all of it is there and short.
static inline bool parse_rest(struct resp_batch *batch, struct bytes input, const struct beginning *beginning,
                              struct resp_command *command) {
    size_t count = beginning->arguments;
    if (batch->capacity - batch->used < count) return false;
    struct bytes *arguments = batch->arguments + batch->used;
    const char *at = beginning->end, *end = input.data + input.size;
    arguments[0] = beginning->name;
    for (size_t i = 1; i < count; i++) {
        at = short_argument(at, end, &arguments[i]);
        if (!at) return false;
    }
    batch->used += count;
    command->argv = arguments;
    command->argc = (int)count;
    command->is_inline = false;
    command->raw = bytes_of(input.data, (size_t)(at - input.data));
    command->note = beginning->note;
    return true;
}

// A whole command of short arguments whose beginning is known. False: the long way judges it.
static inline bool parse_known(struct resp_batch *batch, struct bytes input, struct resp_command *command) {
    if (input.size < HEAD_MAX) return false;
    struct head_words words = load_words(input);
    struct resp_head *head = head_place(batch, words);
    if (__builtin_expect(!head_matches(head, words), 0)) return false;
    struct beginning beginning;
    take_head(head, input, &beginning);
    return parse_rest(batch, input, &beginning, command);
}

// As parse_known, be the command as short and its beginning as new as they like.
static bool parse_short(struct resp_batch *batch, struct bytes input, struct resp_command *command) {
    struct head_words words = load_some_words(input);
    struct resp_head *head = head_place(batch, words);
    struct beginning beginning;
    if (head_matches(head, words))
        take_head(head, input, &beginning);
    else if (!read_beginning(head, input, &beginning))
        return false;
    return parse_rest(batch, input, &beginning, command);
}

// The largest of what parse_known and parse_short accept is within the limits.
static inline bool allow_short(const struct resp_limits *limits) {
    return !limits->unauthenticated && limits->bulk_max >= SHORT_LENGTH_MAX &&
           limits->arguments_max >= SHORT_LENGTH_MAX;
}

unsigned resp_parse_known(struct resp_parser *parser, struct resp_batch *batch, struct bytes *input,
                          const struct resp_limits *limits, struct resp_command *first, size_t stride,
                          unsigned most) {
    if (parser->arguments != 0 || !allow_short(limits)) return 0;
    struct bytes rest = *input;
    struct resp_command *command = first;
    unsigned count = 0;
    while (count < most && parse_known(batch, rest, command)) {
        size_t size = command->raw.size;
        rest = bytes_of(rest.data + size, rest.size - size);
        command = (struct resp_command *)((char *)command + stride);
        count++;
    }
    if (count) parser->wanted = 0;
    *input = rest;
    return count;
}

enum resp_result resp_parse(struct resp_parser *parser, struct resp_batch *batch, struct bytes input,
                            const struct resp_limits *limits, struct resp_command *command) {
    if (input.size == 0) return ask_for(parser, 1);
    parser->wanted = 0;
    if (parser->arguments == 0) {
        if (input.data[0] != '*') return parse_inline(parser, input, command);
        if (allow_short(limits) && parse_short(batch, input, command)) return RESP_COMMAND;
    }
    const char *at = input.data + parser->position, *end = input.data + input.size;
    if (parser->arguments == 0) {
        enum resp_result result = read_count(parser, input, limits, &at);
        if (result != RESP_COMMAND) return result;
    }
    if (!batch_admits(batch, parser->arguments)) {
        resp_parser_restart(parser);
        return RESP_BATCH_FULL;
    }
    uint32_t count = parser->arguments, parsed = parser->parsed;
    for (; parsed < count; parsed++) {
        enum resp_result result = read_bulk(parser, &at, end, limits, argument_place(batch, parsed));
        if (result == RESP_COMMAND) continue;
        if (result == RESP_MORE)
            save_progress(parser, input.data, batch->arguments + batch->used, parsed, (size_t)(at - input.data));
        return result;
    }
    struct bytes *arguments = batch->arguments + batch->used;
    for (uint32_t i = 0; i < parser->parsed; i++)
        arguments[i] = bytes_of(input.data + parser->saved[i].offset, parser->saved[i].size);
    batch->used += count;
    *command = (struct resp_command){
        .argv = arguments, .argc = (int)count, .raw = bytes_of(input.data, (size_t)(at - input.data))};
    resp_parser_restart(parser);
    return RESP_COMMAND;
}
