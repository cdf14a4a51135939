// Any line: what it splits into, quoted again and joined by spaces, splits into the same words.
#include <stdint.h>
#include <stdlib.h>

#include "base/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct words words = WORDS_EMPTY, again = WORDS_EMPTY;
    if (words_split(bytes_of(data, size), &words)) {
        struct buffer line = BUFFER_EMPTY;
        for (size_t i = 0; i < words.count; i++) {
            if (words.items[i].data[words.items[i].size] != '\0') abort();
            buffer_append_byte(&line, ' ');
            words_quote(&line, words.items[i]);
        }
        if (!words_split(buffer_bytes(&line), &again) || again.count != words.count) abort();
        for (size_t i = 0; i < words.count; i++)
            if (!bytes_equal(words.items[i], again.items[i])) abort();
        buffer_free(&line);
    } else if (words.count != 0) {
        abort();
    }
    words_free(&words);
    words_free(&again);
    return 0;
}
