// bytes: a view of bytes that somebody else owns. Pure; no thread or lock needed.
#ifndef SHOAL_BASE_BYTES_H
#define SHOAL_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
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

// As bytes_equal, with ASCII letters compared without regard to case.
bool bytes_equal_nocase(struct bytes a, struct bytes b);

// Is `a` the word `word` (a terminated string), in any case? The everyday test of a command's option.
bool bytes_is(struct bytes a, const char *word);

// Orders like memcmp, a prefix before its extensions.
int bytes_compare(struct bytes a, struct bytes b);

// A terminated copy on the heap, to be freed with mem_free.
char *bytes_to_string(struct bytes a);

#endif
