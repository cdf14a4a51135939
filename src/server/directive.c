#include "server/directive.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/words.h"

// For each row of the table: its value, where the row names no place for it, and its default as CONFIG GET shows it.
struct kept {
    int64_t number;
    char *text;
    char *initial;
};
static struct kept *kept;

unsigned directive_count(void) {
    static unsigned count;
    if (!count)
        while (directives[count].name)
            count++;
    return count;
}

static struct kept *kept_of(const struct directive *directive) {
    return &kept[directive - directives];
}

const struct directive *directive_find(struct bytes name) {
    for (const struct directive *at = directives; at->name; at++)
        if (bytes_is(name, at->name) || (at->alias && bytes_is(name, at->alias))) return at;
    return NULL;
}

// --- Places of values.

static void store_number(const struct directive *directive, int64_t value) {
    void *target = directive->target;
    if (!target) {
        kept_of(directive)->number = value;
        return;
    }
    switch (directive->size) {
    case 1: *(uint8_t *)target = (uint8_t)value; break;
    case 2: *(uint16_t *)target = (uint16_t)value; break;
    case 4: *(uint32_t *)target = (uint32_t)value; break;
    default: *(uint64_t *)target = (uint64_t)value;
    }
}

static int64_t load_number(const struct directive *directive) {
    const void *target = directive->target;
    if (!target) return kept_of(directive)->number;
    switch (directive->size) {
    case 1: return *(const uint8_t *)target;
    case 2: return *(const uint16_t *)target;
    case 4: return directive->is_signed ? *(const int32_t *)target : (int64_t)*(const uint32_t *)target;
    default: return (int64_t)*(const uint64_t *)target;
    }
}

static char **text_place(const struct directive *directive) {
    return directive->target ? directive->target : &kept_of(directive)->text;
}

static bool fail(struct buffer *error, const char *text) {
    buffer_append_string(error, text);
    return false;
}

// --- Kinds.

static bool set_bool(const struct directive *directive, struct bytes value, struct buffer *error) {
    bool yes = bytes_is(value, "yes");
    if (!yes && !bytes_is(value, "no")) return fail(error, "argument must be 'yes' or 'no'");
    if (directive->target)
        *(bool *)directive->target = yes;
    else
        kept_of(directive)->number = yes;
    return true;
}

static bool get_bool(const struct directive *directive) {
    return directive->target ? *(const bool *)directive->target : kept_of(directive)->number != 0;
}

static bool in_bounds(const struct directive *directive, int64_t *number, struct buffer *error) {
    if (*number >= directive->min && *number <= directive->max) return true;
    bool lenient = directive->flags & DIRECTIVE_LENIENT;
    if (lenient && *number >= 0 && *number <= INT32_MAX) {
        *number = *number < directive->min ? directive->min : directive->max;
        return true;
    }
    buffer_appendf(error, "argument must be between %" PRId64 " and %" PRId64 " inclusive",
                   lenient ? 0 : directive->min, lenient ? INT32_MAX : directive->max);
    return false;
}

static bool set_integer(const struct directive *directive, struct bytes value, struct buffer *error) {
    int64_t number;
    if (!number_parse(value, &number)) return fail(error, "argument couldn't be parsed into an integer");
    if (!in_bounds(directive, &number, error)) return false;
    store_number(directive, number);
    return true;
}

static bool set_memory(const struct directive *directive, struct bytes value, struct buffer *error) {
    uint64_t bytes = 0;
    if ((value.size && !memory_parse(value, &bytes)) || bytes > INT64_MAX) return fail(error, "argument must be a memory value");
    int64_t number = (int64_t)bytes;
    if (!in_bounds(directive, &number, error)) return false;
    store_number(directive, number);
    return true;
}

static bool set_octal(const struct directive *directive, struct bytes value, struct buffer *error) {
    int64_t number = 0;
    bool fine = value.size > 0 && value.size < 12;
    for (size_t i = 0; fine && i < value.size; i++) {
        fine = value.data[i] >= '0' && value.data[i] <= '7';
        number = number * 8 + (value.data[i] - '0');
    }
    if (!fine) return fail(error, "argument couldn't be parsed as an octal number");
    if (number > directive->max) {
        buffer_appendf(error, "argument must be between 0 and %" PRIo64 " inclusive", (uint64_t)directive->max);
        return false;
    }
    store_number(directive, number);
    return true;
}

static bool set_enum(const struct directive *directive, const struct bytes *values, unsigned count,
                     struct buffer *error) {
    int64_t number = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct directive_word *word = directive->words;
        while (word->word && !bytes_is(values[i], word->word))
            word++;
        if (!word->word || (count > 1 && word->value == 0)) {
            buffer_append_string(error, "argument(s) must be one of the following: ");
            for (word = directive->words; word->word; word++)
                buffer_appendf(error, "%s%s", word == directive->words ? "" : ", ", word->word);
            return false;
        }
        number |= word->value;
    }
    if (directive->check_bits && !directive->check_bits(number, error)) return false;
    store_number(directive, number);
    return true;
}

static bool set_string(const struct directive *directive, struct bytes value, struct buffer *error) {
    char *text = bytes_to_string(value);
    if (directive->check && !directive->check(text, error)) {
        mem_free(text);
        return false;
    }
    char **place = text_place(directive);
    mem_free(*place);
    *place = text;
    return true;
}

static bool set_value(const struct directive *directive, const struct bytes *values, unsigned count, bool again,
                      struct buffer *error) {
    if (directive->kind == KIND_SPECIAL) return directive->parse(directive, values, count, again, error);
    if (count == 0 || (count > 1 && !(directive->flags & DIRECTIVE_WORDS)))
        return fail(error, "wrong number of arguments");
    switch (directive->kind) {
    case KIND_BOOL: return set_bool(directive, values[0], error);
    case KIND_INTEGER: return set_integer(directive, values[0], error);
    case KIND_MEMORY: return set_memory(directive, values[0], error);
    case KIND_OCTAL: return set_octal(directive, values[0], error);
    case KIND_ENUM: return set_enum(directive, values, count, error);
    default: return set_string(directive, values[0], error);
    }
}

// Takes the default; it is one that its kind allows.
static void set_initial(const struct directive *directive) {
    struct words words = WORDS_EMPTY;
    struct buffer error = BUFFER_EMPTY;
    if (directive->kind == KIND_STRING) {
        struct bytes whole = bytes_from_string(directive->initial);
        set_value(directive, &whole, 1, false, &error);
    } else {
        words_split(bytes_from_string(directive->initial), &words);
        set_value(directive, words.items, (unsigned)words.count, false, &error);
    }
    buffer_free(&error);
    words_free(&words);
}

// Several words in one pair of quotes, as CONFIG SET has them and a file may.
static bool set_split(const struct directive *directive, struct bytes value, bool again,
                      struct buffer *error) {
    struct words words = WORDS_EMPTY;
    bool fine = words_split(value, &words);
    if (!fine)
        buffer_append_string(error, "unbalanced quotes");
    else
        fine = set_value(directive, words.items, (unsigned)words.count, again, error);
    words_free(&words);
    return fine;
}

bool directive_set(const struct directive *directive, const struct bytes *values, unsigned count, bool again,
                   struct buffer *error) {
    bool splits = count == 1 && directive->flags & DIRECTIVE_WORDS && values[0].size &&
                  memchr(values[0].data, ' ', values[0].size);
    bool fine = splits ? set_split(directive, values[0], again, error)
                       : set_value(directive, values, count, again, error);
    if (!fine) return false;
    if (!(directive->flags & DIRECTIVE_ABSENT) || directive_is_initial(directive)) return true;
    buffer_appendf(error, "this version of Shoal has no %s", directive->feature);
    set_initial(directive);
    return false;
}

static void print_enum(const struct directive *directive, struct buffer *out) {
    int64_t number = load_number(directive);
    bool first = true;
    for (const struct directive_word *word = directive->words; word->word; word++) {
        bool is_it = word->value == number;
        if (directive->flags & DIRECTIVE_BITS && number) is_it = (word->value & number) != 0;
        if (!is_it) continue;
        buffer_appendf(out, "%s%s", first ? "" : " ", word->word);
        first = false;
        if (!(directive->flags & DIRECTIVE_BITS)) return;
    }
}

void directive_print(const struct directive *directive, struct buffer *out) {
    switch (directive->kind) {
    case KIND_BOOL: buffer_append_string(out, get_bool(directive) ? "yes" : "no"); break;
    case KIND_INTEGER:
    case KIND_MEMORY: buffer_appendf(out, "%" PRId64, load_number(directive)); break;
    case KIND_OCTAL: buffer_appendf(out, "%" PRIo64, (uint64_t)load_number(directive)); break;
    case KIND_ENUM: print_enum(directive, out); break;
    case KIND_STRING: buffer_append_string(out, *text_place(directive)); break;
    case KIND_SPECIAL: directive->print(directive, out); break;
    }
}

// A memory size as an administrator would write it: in the largest unit that divides it.
static void print_memory(int64_t number, struct buffer *out) {
    static const struct {
        int64_t unit;
        const char *name;
    } units[] = {{1 << 30, "gb"}, {1 << 20, "mb"}, {1 << 10, "kb"}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!number || number % units[i].unit) continue;
        buffer_appendf(out, "%" PRId64 "%s", number / units[i].unit, units[i].name);
        return;
    }
    buffer_appendf(out, "%" PRId64, number);
}

static void print_or_quotes(const struct directive *directive, struct buffer *out) {
    size_t before = out->size;
    directive_print(directive, out);
    if (out->size == before) buffer_append_string(out, "\"\"");
}

void directive_lines(const struct directive *directive, struct buffer *out) {
    if (directive->kind == KIND_SPECIAL && directive->lines) {
        directive->lines(directive, out);
        return;
    }
    if (directive->flags & DIRECTIVE_MAY_BE_NULL && (*text_place(directive))[0] == '\0') return;
    buffer_appendf(out, "%s ", directive->name);
    if (directive->kind == KIND_STRING)
        words_quote(out, bytes_from_string(*text_place(directive)));
    else if (directive->kind == KIND_MEMORY)
        print_memory(load_number(directive), out);
    else
        print_or_quotes(directive, out);
    buffer_append_byte(out, '\n');
}

bool directive_is_initial(const struct directive *directive) {
    struct buffer now = BUFFER_EMPTY;
    directive_print(directive, &now);
    bool same = strcmp(buffer_string(&now), kept_of(directive)->initial) == 0;
    buffer_free(&now);
    return same;
}

void directives_init(void) {
    kept = mem_calloc(directive_count(), sizeof *kept);
    for (const struct directive *at = directives; at->name; at++) {
        if (at->kind == KIND_STRING && at->target) *(char **)at->target = NULL;
        set_initial(at);
        struct buffer text = BUFFER_EMPTY;
        directive_print(at, &text);
        kept_of(at)->initial = mem_strdup(buffer_string(&text));
        buffer_free(&text);
    }
}
