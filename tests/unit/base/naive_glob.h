// naive_glob: the glob of Redis as one would explain it, by trying everything: what base/glob.c is compared
// with. Exponential on hostile patterns; for short inputs only.
#ifndef SHOAL_TESTS_UNIT_BASE_NAIVE_GLOB_H
#define SHOAL_TESTS_UNIT_BASE_NAIVE_GLOB_H

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

static inline int naive_fold(char c, bool ignore_case) {
    unsigned char byte = (unsigned char)c;
    return ignore_case && byte < 128 ? tolower(byte) : byte;
}

// The byte sets that a class names, element by element; *used: the bytes of the pattern that it takes.
static inline bool naive_class(struct bytes pattern, int wanted, bool ignore_case, size_t *used) {
    size_t at = 1;
    bool negated = at < pattern.size && pattern.data[at] == '^', member = false;
    if (negated) at++;
    while (at < pattern.size && pattern.data[at] != ']') {
        size_t left = pattern.size - at;
        int first = naive_fold(pattern.data[at], ignore_case);
        if (pattern.data[at] == '\\' && left >= 2) {
            if (naive_fold(pattern.data[at + 1], ignore_case) == wanted) member = true;
            at += 2;
        } else if (left >= 3 && pattern.data[at + 1] == '-') {
            int last = naive_fold(pattern.data[at + 2], ignore_case);
            int low = first < last ? first : last, high = first < last ? last : first;
            for (int c = low; c <= high; c++)
                if (c == wanted) member = true;
            at += 3;
        } else {
            if (first == wanted) member = true;
            at++;
        }
    }
    *used = at < pattern.size ? at + 1 : at;
    return member != negated;
}

static inline bool naive_glob(struct bytes pattern, struct bytes text, bool ignore_case) {
    if (pattern.size == 0) return text.size == 0;
    struct bytes rest = {pattern.data + 1, pattern.size - 1};
    if (pattern.data[0] == '*') {
        for (size_t skip = 0; skip <= text.size; skip++)
            if (naive_glob(rest, (struct bytes){text.data + skip, text.size - skip}, ignore_case))
                return true;
        return false;
    }
    if (text.size == 0) return false;
    struct bytes text_rest = {text.data + 1, text.size - 1};
    int wanted = naive_fold(text.data[0], ignore_case);
    size_t used = 1;
    bool matches;
    if (pattern.data[0] == '?') {
        matches = true;
    } else if (pattern.data[0] == '[') {
        matches = naive_class(pattern, wanted, ignore_case, &used);
    } else {
        if (pattern.data[0] == '\\' && pattern.size >= 2) used = 2;
        matches = naive_fold(pattern.data[used - 1], ignore_case) == wanted;
    }
    return matches &&
           naive_glob((struct bytes){pattern.data + used, pattern.size - used}, text_rest, ignore_case);
}

#endif
