#include "call/command.h"

#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"

enum { INDEX_SIZE = 1024, NAME_MAX_SIZE = 64 };

// All commands in one array, containers before their subcommands; an open-addressing index of the names that
// they go by.
static struct command *commands;
static unsigned count;
static uint16_t by_name[INDEX_SIZE]; // 1 + number, 0: empty

static inline char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
}

static unsigned hash_name(struct bytes name) {
    unsigned hash = 2166136261u;
    for (size_t i = 0; i < name.size; i++)
        hash = (hash ^ (unsigned char)lower(name.data[i])) * 16777619u;
    return (hash ^ hash >> 15) % INDEX_SIZE;
}

static void index_command(unsigned number) {
    unsigned at = hash_name(bytes_from_string(commands[number].called));
    while (by_name[at])
        at = (at + 1) % INDEX_SIZE;
    by_name[at] = (uint16_t)(number + 1);
}

const struct command *command_lookup_name(struct bytes name) {
    if (name.size > NAME_MAX_SIZE) return NULL;
    for (unsigned at = hash_name(name); by_name[at]; at = (at + 1) % INDEX_SIZE) {
        const struct command *command = &commands[by_name[at] - 1];
        if (bytes_is(name, command->called)) return command;
    }
    return NULL;
}

static const struct command_docs *find_docs(const struct command_docs *const *docs, const char *full_name) {
    for (; *docs; docs++)
        for (const struct command_docs *at = *docs; at->name; at++)
            if (strcmp(at->name, full_name) == 0) return at;
    return NULL;
}

static const char *join_names(const char *container, const char *name) {
    struct buffer full = BUFFER_EMPTY;
    buffer_appendf(&full, "%s|%s", container, name);
    return buffer_string(&full);
}

static unsigned count_all(const struct command *const *tables) {
    unsigned sum = 0;
    for (; *tables; tables++)
        for (const struct command *at = *tables; at->name; at++) {
            sum++;
            for (const struct command *sub = at->subcommands; sub && sub->name; sub++)
                sum++;
        }
    return sum;
}

static enum command_plain plainness(const struct command *command) {
    const struct key_spec *key = &command->keys[0];
    bool one_key = key->begin == KEY_BEGIN_INDEX && key->find == KEY_FIND_RANGE && key->last == 0 &&
                   !(key->flags & KEY_NOT_KEY) && command->keys[1].begin == KEY_BEGIN_NONE &&
                   !command->find_keys;
    bool more = command->admission != ADMIT_SLOTS || command->subcommands ||
                command->flags & (CMD_PROTECTED | CMD_DEFERS | CMD_BLOCKING | CMD_NO_MULTI | CMD_ASKING);
    if (!one_key || more || !command->run) return COMMAND_NOT_PLAIN;
    if (command->flags & (CMD_WRITE | CMD_MAY_REPLICATE)) return COMMAND_PLAIN_WRITE;
    return command->flags & CMD_READONLY ? COMMAND_PLAIN_READ : COMMAND_NOT_PLAIN;
}

static uint16_t first_key(const struct command *command) {
    const struct key_spec *spec = &command->keys[0];
    return spec->begin == KEY_BEGIN_INDEX && spec->find == KEY_FIND_RANGE ? spec->index : 0;
}

static struct command *add(const struct command *from, const struct command *parent,
                           const struct command_docs *const *docs) {
    struct command *command = &commands[count];
    *command = *from;
    command->parent = parent;
    command->number = count++;
    command->full_name = command->called = parent ? join_names(parent->name, from->name) : from->name;
    command->docs = find_docs(docs, command->full_name);
    command->plain = (uint8_t)plainness(command);
    command->first_key = first_key(command);
    index_command(command->number);
    return command;
}

void command_table_install(const struct command *const *tables, const struct command_docs *const *docs) {
    commands = mem_calloc(count_all(tables), sizeof *commands);
    for (; *tables; tables++)
        for (const struct command *at = *tables; at->name; at++) {
            const struct command *parent = add(at, NULL, docs);
            for (const struct command *sub = at->subcommands; sub && sub->name; sub++)
                add(sub, parent, docs);
        }
}

static void index_all(void) {
    memset(by_name, 0, sizeof by_name);
    for (unsigned i = 0; i < count; i++)
        if (commands[i].called) index_command(i);
}

enum command_renaming command_rename(struct bytes from, struct bytes to) {
    const struct command *found = command_lookup_name(from);
    if (!found || found->parent) return COMMAND_UNKNOWN;
    if (to.size && command_lookup_name(to)) return COMMAND_NAME_TAKEN;
    if (to.size > NAME_MAX_SIZE / 2) return COMMAND_NAME_TOO_LONG; // so that those of subcommands fit
    char *name = to.size ? bytes_to_string(to) : NULL;
    for (unsigned i = found->number; i < count; i++) {
        struct command *command = &commands[i];
        if (command == found)
            command->called = name;
        else if (command->parent == found)
            command->called = name ? join_names(name, command->name) : NULL;
    }
    index_all();
    return COMMAND_RENAMED;
}

const struct command *command_lookup(const struct bytes *argv, int argc, const struct command **container) {
    if (container) *container = NULL;
    const struct command *command = command_lookup_name(argv[0]);
    if (!command || command->parent) return NULL; // "client|kill" is no word of the protocol
    if (!command->subcommands || argc < 2) return command;
    if (argv[1].size > NAME_MAX_SIZE) {
        if (container) *container = command;
        return NULL;
    }
    for (const struct command *at = command + 1; at < commands + count && at->parent == command; at++)
        if (bytes_is(argv[1], at->name)) return at;
    if (container) *container = command;
    return NULL;
}

const struct command *command__look_up_and_note(const void **note, const struct bytes *argv, int argc) {
    const struct command *command = command_lookup(argv, argc, NULL);
    // What depends on the second word is not a matter of the name alone.
    if (note && command && !command->parent && !command->subcommands) *note = command;
    return command;
}

unsigned command_count(void) {
    return count;
}

const struct command *command_at(unsigned number) {
    return &commands[number];
}

// The position at which the keys of a specification begin, 0: nowhere.
static int first_of_spec(const struct key_spec *spec, const struct bytes *argv, int argc) {
    if (spec->begin == KEY_BEGIN_INDEX) return spec->index;
    if (spec->begin != KEY_BEGIN_KEYWORD) return 0;
    int from = (int16_t)spec->index;
    int start = from >= 0 ? from : argc + from, step = from >= 0 ? 1 : -1;
    for (int i = start; i > 0 && i < argc; i += step)
        if (bytes_is(argv[i], spec->keyword)) return i + 1;
    return 0;
}

// The keys of one specification; the new number of positions, -1: the arguments are too few for what they say.
static int keys_of_spec(const struct key_spec *spec, const struct bytes *argv, int argc, int *positions, int found) {
    int first = first_of_spec(spec, argv, argc);
    if (first <= 0) return found;
    int last = first, step = spec->step > 0 ? spec->step : 1;
    if (spec->find == KEY_FIND_KEYNUM) {
        int at = first + spec->keynum, number = 0;
        if (at >= argc || argv[at].size == 0 || argv[at].size > 8) return -1;
        for (size_t i = 0; i < argv[at].size; i++) {
            if ((unsigned)(argv[at].data[i] - '0') > 9) return -1;
            number = number * 10 + (argv[at].data[i] - '0');
        }
        first += spec->first_key;
        last = first + (number - 1) * step;
        if (number == 0) return -1;
    } else if (spec->find == KEY_FIND_RANGE) {
        last = spec->last >= 0 ? first + spec->last : argc + spec->last;
        if (spec->last == -1 && spec->limit > 1) last = first + (argc - first) / spec->limit - 1;
    } else {
        return found;
    }
    if (first >= argc || last >= argc) return -1;
    for (int i = first; i <= last; i += step)
        positions[found++] = i;
    return found;
}

int command_keys_with_flags(const struct command *command, const struct bytes *argv, int argc, int *positions,
                            uint32_t *flags) {
    if (command->find_keys) {
        int found = command->find_keys(argv, argc, positions);
        for (int i = 0; i < found; i++)
            flags[i] = command->keys[0].flags;
        return found;
    }
    int found = 0;
    for (int i = 0; i < KEY_SPECS_MAX; i++) {
        int more = keys_of_spec(&command->keys[i], argv, argc, positions, found);
        if (more < 0) return -1;
        for (; found < more; found++)
            flags[found] = command->keys[i].flags;
    }
    return found;
}

int command_keys(const struct command *command, const struct bytes *argv, int argc, int *positions,
                 bool with_not_keys) {
    if (command->find_keys) return command->find_keys(argv, argc, positions);
    int found = 0;
    for (int i = 0; i < KEY_SPECS_MAX && found >= 0; i++)
        if (with_not_keys || !(command->keys[i].flags & KEY_NOT_KEY))
            found = keys_of_spec(&command->keys[i], argv, argc, positions, found);
    return found;
}

uint32_t command_categories(const struct command *command) {
    uint32_t categories = command->categories, flags = command->flags;
    if (flags & CMD_WRITE) categories |= CAT_WRITE;
    if (flags & CMD_READONLY && !(categories & CAT_SCRIPTING)) categories |= CAT_READ;
    if (flags & CMD_ADMIN) categories |= CAT_ADMIN | CAT_DANGEROUS;
    if (flags & CMD_PUBSUB) categories |= CAT_PUBSUB;
    if (flags & CMD_FAST) categories |= CAT_FAST;
    if (flags & CMD_BLOCKING) categories |= CAT_BLOCKING;
    if (!(categories & CAT_FAST)) categories |= CAT_SLOW;
    return categories;
}

void command_key_range(const struct command *command, int *first, int *last, int *step) {
    const struct key_spec *spec = &command->keys[0];
    *first = *last = *step = 0;
    if (spec->begin != KEY_BEGIN_INDEX || spec->find != KEY_FIND_RANGE) return;
    *first = spec->index;
    *last = spec->last >= 0 ? spec->index + spec->last : spec->last;
    *step = spec->step;
    // Two neighbouring single keys (RENAME, COPY) are told as one range.
    const struct key_spec *second = &command->keys[1];
    if (second->begin == KEY_BEGIN_INDEX && second->find == KEY_FIND_RANGE && second->index == spec->index + 1)
        *last = second->last >= 0 ? second->index + second->last : second->last;
}
