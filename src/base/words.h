// words: a line cut into words by the quoting rules that redis.conf, inline commands and the command line
// share. Pure; belongs to one thread at a time.
//
// Words stand between spaces. "..." may hold \n \r \t \b \a, \xHH and \ before any other byte, '...' only \'.
// A closing quote must end its word. A NUL byte ends the line.
#ifndef SHOAL_BASE_WORDS_H
#define SHOAL_BASE_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/bytes.h"

// items[0..count) are the words; each is followed by a NUL byte that its size does not count. All zero is an
// empty list; one list may serve many lines, its memory is used again.
struct words {
    struct bytes *items;
    size_t count;
    size_t capacity;
    char *storage;
    size_t storage_size;
};

#define WORDS_EMPTY ((struct words){NULL, 0, 0, NULL, 0})

// Cuts `line`, whose size the caller bounds, into `out`, replacing what was there. The words are copies:
// `line` may go. False, with out->count 0, when quotes don't balance or something follows a closing quote. An
// empty line has no words.
bool words_split(struct bytes line, struct words *out);

// Frees the memory and leaves an empty list.
void words_free(struct words *words);

// Appends `text` in double quotes, so that words_split reads it back; bytes that don't print become \xHH.
void words_quote(struct buffer *out, struct bytes text);

#endif
