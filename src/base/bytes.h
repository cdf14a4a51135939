// bytes: a view of bytes that somebody else owns. Pure; no thread or lock needed.
#ifndef SHOAL_BASE_BYTES_H
#define SHOAL_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// A pointer and a size; not terminated, may hold any byte. Valid as long as what it points into.
struct bytes {
    const char *data;
    size_t size;
};

// A view of a string literal.
#define BYTES(literal) ((struct bytes){(literal), sizeof(literal) - 1})

static inline struct bytes bytes_of(const void *data, size_t size) {
    return (struct bytes){(const char *)data, size};
}

// A view of a terminated string, without its terminator.
static inline struct bytes bytes_from_string(const char *string) {
    return (struct bytes){string, strlen(string)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline uint64_t bytes__word(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

enum { BYTES_SHORT_MIN = 8, BYTES_SHORT_MAX = 32 };

// As memcmp(a, b, size) == 0 for a size from BYTES_SHORT_MIN to BYTES_SHORT_MAX, as most keys have it: by
// words from the front and from the back, which overlap as they like.
static inline bool bytes_short_equal(const char *a, const char *b, size_t size) {
    const char *a_end = a + size, *b_end = b + size;
    uint64_t differences =
        (bytes__word(a) ^ bytes__word(b)) | (bytes__word(a_end - 8) ^ bytes__word(b_end - 8));
    if (size > 16)
        differences |=
            (bytes__word(a + 8) ^ bytes__word(b + 8)) | (bytes__word(a_end - 16) ^ bytes__word(b_end - 16));
    return differences == 0;
}

// As bytes_equal, with ASCII letters compared without regard to case.
bool bytes_equal_nocase(struct bytes a, struct bytes b);

// Is `a` the word `word` (a terminated string), in any case? The everyday test of a command's option.
bool bytes_is(struct bytes a, const char *word);

// Orders like memcmp, a prefix before its extensions.
int bytes_compare(struct bytes a, struct bytes b);

// A terminated copy on the heap, to be freed with mem_free.
char *bytes_to_string(struct bytes a);

#endif
