// directive: what one name of redis.conf is: its kind, bounds, default, where its value lives and who is told of a change.
//
// Invariant: a directive's value is always one that its kind allows. Values change before the workers run, or in exclusive
// mode. Texts that a value points to belong to the directive.
#ifndef SHOAL_SERVER_DIRECTIVE_H
#define SHOAL_SERVER_DIRECTIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

enum directive_kind {
    KIND_BOOL,
    KIND_INTEGER,
    KIND_MEMORY,  // bytes, in redis.conf's notation
    KIND_OCTAL,
    KIND_ENUM,
    KIND_STRING,
    KIND_SPECIAL, // has functions of its own
};

enum directive_flag {
    DIRECTIVE_IMMUTABLE = 1 << 0, // not by CONFIG SET
    DIRECTIVE_PROTECTED = 1 << 1, // by CONFIG SET only when enable-protected-configs allows it
    DIRECTIVE_ABSENT = 1 << 2,    // belongs to a feature that is not here: no value but the default is taken
    DIRECTIVE_WORDS = 1 << 3,     // takes several words
    DIRECTIVE_ADDS = 1 << 4,      // several lines of a file add up; told so with `again`
    DIRECTIVE_BITS = 1 << 5,      // an enum whose words are bits
    DIRECTIVE_NOT_REWRITTEN = 1 << 6,
    DIRECTIVE_MAY_BE_NULL = 1 << 7, // a string that, when empty, is not shown by REWRITE at all
    DIRECTIVE_LENIENT = 1 << 8, // KIND_INTEGER: from 0 to INT32_MAX; beyond the bounds the nearest is taken
    DIRECTIVE_HIDDEN = 1 << 9,  // CONFIG GET shows it to who names it, not to a pattern
};

struct directive_word {
    const char *word;
    int64_t value;
};

struct directive {
    const char *name, *alias;
    const char *initial; // as redis.conf would say it
    enum directive_kind kind;
    uint32_t flags;
    void *target; // bool, an integer of `size` bytes, or char *; NULL: kept here, nothing reads it but CONFIG GET
    uint8_t size;
    bool is_signed;
    int64_t min, max;
    const struct directive_word *words; // KIND_ENUM; ends with NULL
    // KIND_STRING: may the text be taken? NULL in *error's place: it says why.
    bool (*check)(const char *text, struct buffer *error);
    // DIRECTIVE_BITS: may these words stand together? As above.
    bool (*check_bits)(int64_t bits, struct buffer *error);
    // KIND_SPECIAL. `again`: an earlier line of the same file (or command line) named it already.
    bool (*parse)(const struct directive *directive, const struct bytes *values, unsigned count, bool again,
                  struct buffer *error);
    void (*print)(const struct directive *directive, struct buffer *out);
    // KIND_SPECIAL: its lines for CONFIG REWRITE, each ended by a newline; NULL: name and what `print` says.
    void (*lines)(const struct directive *directive, struct buffer *out);
    // Makes a value that CONFIG SET has stored effective; false: it can't be, `error` says why.
    bool (*apply)(struct buffer *error);
    const char *feature; // DIRECTIVE_ABSENT: its name in the error
};

extern const struct directive directives[]; // config_table.c; ends with a NULL name
unsigned directive_count(void);

// By name or alias, any case; *by_alias (may be NULL) tells which. NULL: there is none.
const struct directive *directive_find(struct bytes name);

// Takes a value; one that takes several words may have them in one, as CONFIG SET has. False, with nothing
// changed and the reason in `error`.
bool directive_set(const struct directive *directive, const struct bytes *values, unsigned count, bool again,
                   struct buffer *error);

// The value as CONFIG GET shows it.
void directive_print(const struct directive *directive, struct buffer *out);

// Its lines of a configuration file, each ended by a newline (none when there is nothing to be said).
void directive_lines(const struct directive *directive, struct buffer *out);

// Is the value the default?
bool directive_is_initial(const struct directive *directive);

// Gives every directive its default. Called once at start.
void directives_init(void);

#endif
