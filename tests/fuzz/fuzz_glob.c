// Any pattern on any text: the same answer as the naive matcher's, where that one has the time to give it.
// Input: a byte of flags, a byte for the pattern's length, the pattern, the text.
#include <stdint.h>
#include <stdlib.h>

#include "../unit/base/naive_glob.h"
#include "base/glob.h"

enum { NAIVE_STARS_MAX = 4, NAIVE_TEXT_MAX = 40 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned stars(struct bytes pattern) {
    unsigned count = 0;
    for (size_t i = 0; i < pattern.size; i++)
        count += pattern.data[i] == '*';
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    bool ignore_case = data[0] & 1;
    size_t pattern_size = data[1];
    if (pattern_size > size - 2) pattern_size = size - 2;
    struct bytes pattern = bytes_of(data + 2, pattern_size);
    struct bytes text = bytes_of(data + 2 + pattern_size, size - 2 - pattern_size);
    bool matches = glob_match(pattern, text, ignore_case);
    if (stars(pattern) > NAIVE_STARS_MAX || text.size > NAIVE_TEXT_MAX) return 0;
    if (matches != naive_glob(pattern, text, ignore_case)) abort();
    return 0;
}
