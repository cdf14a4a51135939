#include "base/words.h"

#include "base/memory.h"

// Where in the line we read, and where in the storage we write. What is written is never longer than what was
// read.
struct cursor {
    const char *at;
    const char *end;
    char *out;
};

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static char unescape(char c) {
    switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
    }
}

static bool ends_word(const struct cursor *cursor) {
    return cursor->at == cursor->end || is_space(*cursor->at);
}

// Reads from behind the opening quote to behind the closing one.
static bool read_double_quoted(struct cursor *c) {
    while (c->at < c->end && *c->at != '"') {
        if (c->end - c->at >= 4 && c->at[0] == '\\' && c->at[1] == 'x' && hex_digit(c->at[2]) >= 0 &&
            hex_digit(c->at[3]) >= 0) {
            *c->out++ = (char)(hex_digit(c->at[2]) << 4 | hex_digit(c->at[3]));
            c->at += 4;
        } else if (c->end - c->at >= 2 && c->at[0] == '\\') {
            *c->out++ = unescape(c->at[1]);
            c->at += 2;
        } else {
            *c->out++ = *c->at++;
        }
    }
    if (c->at == c->end) return false;
    c->at++;
    return ends_word(c);
}

static bool read_single_quoted(struct cursor *c) {
    while (c->at < c->end && *c->at != '\'') {
        if (c->end - c->at >= 2 && c->at[0] == '\\' && c->at[1] == '\'') c->at++;
        *c->out++ = *c->at++;
    }
    if (c->at == c->end) return false;
    c->at++;
    return ends_word(c);
}

static bool read_word(struct cursor *c) {
    while (!ends_word(c)) {
        if (*c->at == '"') {
            c->at++;
            return read_double_quoted(c);
        }
        if (*c->at == '\'') {
            c->at++;
            return read_single_quoted(c);
        }
        *c->out++ = *c->at++;
    }
    return true;
}

static void add_word(struct words *words, struct bytes word) {
    if (words->count == words->capacity) {
        words->capacity = words->capacity ? words->capacity * 2 : 8;
        words->items = mem_realloc(words->items, words->capacity * sizeof *words->items);
    }
    words->items[words->count++] = word;
}

bool words_split(struct bytes line, struct words *out) {
    if (!line.data) line = BYTES(""); // C17 allows no arithmetic on NULL, not even adding 0
    const char *nul = memchr(line.data, '\0', line.size);
    if (nul) line.size = (size_t)(nul - line.data);

    out->count = 0;
    if (out->storage_size < line.size + 1) {
        mem_free(out->storage);
        out->storage_size = line.size + 1;
        out->storage = mem_alloc(out->storage_size);
    }
    struct cursor cursor = {line.data, line.data + line.size, out->storage};
    for (;;) {
        while (cursor.at < cursor.end && is_space(*cursor.at))
            cursor.at++;
        if (cursor.at == cursor.end) return true;
        char *start = cursor.out;
        if (!read_word(&cursor)) {
            out->count = 0;
            return false;
        }
        add_word(out, bytes_of(start, (size_t)(cursor.out - start)));
        *cursor.out++ = '\0';
    }
}

void words_free(struct words *words) {
    mem_free(words->items);
    mem_free(words->storage);
    *words = WORDS_EMPTY;
}

void words_quote(struct buffer *out, struct bytes text) {
    static const char hex[] = "0123456789abcdef";
    buffer_append_byte(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        switch (c) {
        case '\\':
        case '"': buffer_append(out, (char[]){'\\', (char)c}, 2); break;
        case '\n': buffer_append(out, "\\n", 2); break;
        case '\r': buffer_append(out, "\\r", 2); break;
        case '\t': buffer_append(out, "\\t", 2); break;
        case '\a': buffer_append(out, "\\a", 2); break;
        case '\b': buffer_append(out, "\\b", 2); break;
        default:
            if (c >= 0x20 && c < 0x7f) {
                buffer_append_byte(out, (char)c);
            } else {
                buffer_append(out, (char[]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4);
            }
        }
    }
    buffer_append_byte(out, '"');
}
