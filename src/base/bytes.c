#include "base/bytes.h"

#include "base/memory.h"

static inline char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool bytes_equal_nocase(struct bytes a, struct bytes b) {
    if (a.size != b.size) return false;
    for (size_t i = 0; i < a.size; i++)
        if (lower(a.data[i]) != lower(b.data[i])) return false;
    return true;
}

bool bytes_is(struct bytes a, const char *word) {
    return bytes_equal_nocase(a, bytes_from_string(word));
}

int bytes_compare(struct bytes a, struct bytes b) {
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
    if (order) return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

char *bytes_to_string(struct bytes a) {
    char *copy = mem_alloc(a.size + 1);
    if (a.size) memcpy(copy, a.data, a.size);
    copy[a.size] = '\0';
    return copy;
}
