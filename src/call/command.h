// command: what a command is: its name, shape, keys and rights, and the function that runs it.
// Tables of these are written where the commands live; server/ joins them into one and installs it at start.
// Immutable after that, save for the counters, which are a worker's own.
#ifndef SHOAL_CALL_COMMAND_H
#define SHOAL_CALL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

struct call;
typedef void command_run(struct call *call);

// Flags, named as COMMAND INFO shows them.
enum command_flag {
    CMD_WRITE = 1 << 0,
    CMD_READONLY = 1 << 1,
    CMD_DENYOOM = 1 << 2,
    CMD_ADMIN = 1 << 3,
    CMD_PUBSUB = 1 << 4,
    CMD_NOSCRIPT = 1 << 5,
    CMD_BLOCKING = 1 << 6,
    CMD_LOADING = 1 << 7,
    CMD_STALE = 1 << 8,
    CMD_SKIP_MONITOR = 1 << 9,
    CMD_SKIP_SLOWLOG = 1 << 10,
    CMD_ASKING = 1 << 11,
    CMD_FAST = 1 << 12,
    CMD_NO_AUTH = 1 << 13,
    CMD_MAY_REPLICATE = 1 << 14,
    CMD_NO_ASYNC_LOADING = 1 << 15,
    CMD_NO_MULTI = 1 << 16,
    CMD_MOVABLEKEYS = 1 << 17,
    CMD_ALLOW_BUSY = 1 << 18,
    CMD_PROTECTED = 1 << 19,
    CMD_NO_MANDATORY_KEYS = 1 << 20,
    CMD_SENTINEL_HIDDEN = 1 << 21,
    CMD_DEFERS = 1 << 22,    // answers later; not shown
    CMD_PIPELINES = 1 << 23, // answers later, in order with others of its kind: the next such need not wait; not shown
};

// ACL categories, as COMMAND INFO shows them ("@keyspace" ...).
enum command_category {
    CAT_KEYSPACE = 1 << 0,
    CAT_READ = 1 << 1,
    CAT_WRITE = 1 << 2,
    CAT_SET = 1 << 3,
    CAT_SORTEDSET = 1 << 4,
    CAT_LIST = 1 << 5,
    CAT_HASH = 1 << 6,
    CAT_STRING = 1 << 7,
    CAT_BITMAP = 1 << 8,
    CAT_HYPERLOGLOG = 1 << 9,
    CAT_GEO = 1 << 10,
    CAT_STREAM = 1 << 11,
    CAT_PUBSUB = 1 << 12,
    CAT_ADMIN = 1 << 13,
    CAT_FAST = 1 << 14,
    CAT_SLOW = 1 << 15,
    CAT_BLOCKING = 1 << 16,
    CAT_DANGEROUS = 1 << 17,
    CAT_CONNECTION = 1 << 18,
    CAT_TRANSACTION = 1 << 19,
    CAT_SCRIPTING = 1 << 20,
};

// What a command does to the keys of one key specification.
enum key_flag {
    KEY_RO = 1 << 0,
    KEY_RW = 1 << 1,
    KEY_OW = 1 << 2,
    KEY_RM = 1 << 3,
    KEY_ACCESS = 1 << 4,
    KEY_UPDATE = 1 << 5,
    KEY_INSERT = 1 << 6,
    KEY_DELETE = 1 << 7,
    KEY_NOT_KEY = 1 << 8,
    KEY_INCOMPLETE = 1 << 9,
    KEY_VARIABLE_FLAGS = 1 << 10,
};

enum key_begin { KEY_BEGIN_NONE, KEY_BEGIN_INDEX, KEY_BEGIN_KEYWORD, KEY_BEGIN_UNKNOWN };
enum key_find { KEY_FIND_NONE, KEY_FIND_RANGE, KEY_FIND_KEYNUM, KEY_FIND_UNKNOWN };

// A command is plain when its only key stands at a fixed place, and it needs no more than that key's slot.
enum command_plain { COMMAND_NOT_PLAIN = 0, COMMAND_PLAIN_READ = 1, COMMAND_PLAIN_WRITE = 2 };

// Where keys stand among the arguments; the words of COMMAND DOCS ("Key specifications").
struct key_spec {
    enum key_begin begin;
    uint16_t index;      // KEY_BEGIN_INDEX: argument number; KEY_BEGIN_KEYWORD: where the search starts (as int16)
    const char *keyword; // KEY_BEGIN_KEYWORD
    enum key_find find;
    int16_t last;        // KEY_FIND_RANGE: from the first (-1: the last argument, -2: the one before)
    int16_t step;
    int16_t limit;
    int16_t keynum, first_key; // KEY_FIND_KEYNUM
    uint32_t flags;      // enum key_flag
    const char *notes;
};

enum { KEY_SPECS_MAX = 2 };

// How dispatch lets a command in.
enum admission {
    ADMIT_SLOTS,     // its keys' slots are locked; with no keys, nothing is
    ADMIT_EXCLUSIVE, // all workers stand still while it runs
};

// A node of the arguments' tree that COMMAND DOCS shows.
struct command_argument {
    const char *name;
    const char *type;  // "key" "string" "integer" "double" "pattern" "unix-time" "pure-token" "oneof" "block"
    const char *token; // or NULL
    const char *since; // or NULL
    const char *summary;
    bool optional, multiple, multiple_token;
    int8_t key_spec;   // 1 + index of its key specification, 0: none
    const struct command_argument *children; // ends with a NULL name, as every such array
};

struct command_history {
    const char *since;
    const char *change; // both NULL at the end
};

// What COMMAND DOCS and the command line's help show. Kept apart: commands/docs_*.c.
struct command_docs {
    const char *name; // "set", "client|kill"
    const char *summary;
    const char *since;
    const char *group;
    const char *complexity;
    const char *const *tips; // ends with NULL; or NULL
    const struct command_history *history;
    const struct command_argument *arguments;
    const char *deprecated_since; // or NULL
    const char *replaced_by;
};

struct command {
    const char *name; // lower case
    command_run *run; // NULL for a pure container of subcommands
    int arity;        // exact, or -n: at least n; the name and the subcommand's name count
    uint32_t flags;
    // Set by command_table_install, and looked at for every call:
    unsigned number;    // 0..command_count()-1, subcommands included
    uint16_t first_key; // where its first key stands, whatever the other arguments are; 0: nowhere, or it depends
    uint8_t plain;      // enum command_plain

    uint32_t categories; // without those that flags imply: see command_categories
    enum admission admission;
    struct key_spec keys[KEY_SPECS_MAX];
    // For MOVABLEKEYS: writes the positions of the keys into `positions` (room for argc); their number, -1: a bad shape.
    int (*find_keys)(const struct bytes *argv, int argc, int *positions);
    const struct command *subcommands; // ends with a NULL name
    // Set by command_table_install:
    const struct command *parent;
    const struct command_docs *docs;
    const char *full_name; // "client|kill"
    const char *called;    // what it is looked up by: the same, unless it was renamed; NULL: by nothing
};

// Joins tables (each ends with a NULL name) and documentation (likewise) into the one that command_lookup searches.
// Called once at start. Copies the tables.
void command_table_install(const struct command *const *tables, const struct command_docs *const *docs);

// From now on `from` and its subcommands go by `to`, or by nothing where that is empty; replies keep the name
// that they have. Between command_table_install and the start of the workers.
enum command_renaming { COMMAND_RENAMED, COMMAND_UNKNOWN, COMMAND_NAME_TAKEN, COMMAND_NAME_TOO_LONG };
enum command_renaming command_rename(struct bytes from, struct bytes to);

// The command, or the subcommand where argv[0] is a container and argv[1] names one of its; NULL when there is none.
// *container (may be NULL): set when argv[0] is known but argv[1] is no subcommand of it.
const struct command *command_lookup(const struct bytes *argv, int argc, const struct command **container);
const struct command *command_lookup_name(struct bytes name); // "set", "client|kill"

// As command_lookup without a container. What `note` (of struct resp_command, may be NULL) holds is taken for true; what
// a name alone tells is noted there.
static inline const struct command *command_recall(const void **note, const struct bytes *argv, int argc);

// All of them, in the order of installation; top-level ones only have parent NULL.
unsigned command_count(void);
const struct command *command_at(unsigned number);

const struct command *command__look_up_and_note(const void **note, const struct bytes *argv, int argc);

static inline const struct command *command_recall(const void **note, const struct bytes *argv, int argc) {
    return __builtin_expect(note && *note, 1) ? *note : command__look_up_and_note(note, argv, argc);
}

static inline bool command_arity_fits(const struct command *command, int argc) {
    return command->arity > 0 ? argc == command->arity : argc >= -command->arity;
}

// Is it the command of this full name?
static inline bool command_is(const struct command *command, const char *full_name) {
    return command->name[0] == full_name[0] && strcmp(command->full_name, full_name) == 0;
}

// Positions of the keys in argv, by the key specifications; their number, or -1 for a bad shape. `positions` has room
// for argc. KEY_NOT_KEY ones (channels) are counted only when `with_not_keys`.
int command_keys(const struct command *command, const struct bytes *argv, int argc, int *positions, bool with_not_keys);

// As command_keys, telling for each position its enum key_flag bits.
int command_keys_with_flags(const struct command *command, const struct bytes *argv, int argc, int *positions,
                            uint32_t *flags);

// The categories that a command belongs to, those implied by its flags included.
uint32_t command_categories(const struct command *command);

// First, last and step as COMMAND INFO shows them.
void command_key_range(const struct command *command, int *first, int *last, int *step);

#endif
