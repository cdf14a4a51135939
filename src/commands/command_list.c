// COMMAND COUNT LIST GETKEYS GETKEYSANDFLAGS HELP.
#include "base/glob.h"
#include "base/memory.h"
#include "call/call.h"
#include "call/command.h"
#include "commands/connection.h"
#include "commands/words_of_flags.h"

void command_count_reply(struct call *call) {
    int64_t count = 0;
    for (unsigned i = 0; i < command_count(); i++)
        count += !command_at(i)->parent && command_at(i)->called;
    reply_integer(call->reply, count);
}

// --- LIST

enum filter { FILTER_NONE, FILTER_MODULE, FILTER_CATEGORY, FILTER_PATTERN };

static bool passes(const struct command *command, enum filter filter, struct bytes value, uint32_t category) {
    switch (filter) {
    case FILTER_NONE: return true;
    case FILTER_MODULE: return false; // there are no modules
    case FILTER_CATEGORY: return command_categories(command) & category;
    case FILTER_PATTERN: return glob_match(value, bytes_from_string(command->full_name), true);
    }
    return false;
}

static bool parse_filter(struct call *call, enum filter *filter) {
    *filter = FILTER_NONE;
    if (call->argc == 2) return true;
    if (call->argc == 5 && bytes_is(call->argv[2], "filterby")) {
        if (bytes_is(call->argv[3], "module")) *filter = FILTER_MODULE;
        if (bytes_is(call->argv[3], "aclcat")) *filter = FILTER_CATEGORY;
        if (bytes_is(call->argv[3], "pattern")) *filter = FILTER_PATTERN;
    }
    if (*filter == FILTER_NONE) call_syntax_error(call);
    return *filter != FILTER_NONE;
}

void command_list(struct call *call) {
    enum filter filter;
    if (!parse_filter(call, &filter)) return;
    struct bytes value = call->argv[call->argc - 1];
    uint32_t category = filter == FILTER_CATEGORY ? category_named(value) : 0;
    size_t count = 0, place = reply_array_begin(call->reply);
    for (unsigned i = 0; i < command_count(); i++) {
        const struct command *command = command_at(i);
        if (!command->called || (filter == FILTER_NONE && command->parent)) continue;
        if (!passes(command, filter, value, category)) continue;
        reply_bulk_string(call->reply, command->full_name);
        count++;
    }
    reply_array_end(call->reply, place, count);
}

// --- GETKEYS, GETKEYSANDFLAGS

// What SET does to its key depends on GET; the specification in the table speaks of the worst.
static uint32_t flags_in_fact(const struct command *command, const struct bytes *argv, int argc,
                              uint32_t flags) {
    if (!(flags & KEY_VARIABLE_FLAGS)) return flags;
    flags &= ~(uint32_t)KEY_VARIABLE_FLAGS;
    for (int i = 3; i < argc; i++)
        if (bytes_is(argv[i], "get")) return flags;
    return (flags & ~(uint32_t)(KEY_RW | KEY_ACCESS)) | KEY_OW;
}

static void reply_keys(struct call *call, const struct command *command, bool with_flags) {
    const struct bytes *argv = call->argv + 2;
    int argc = call->argc - 2;
    int *positions = mem_alloc((size_t)argc * sizeof *positions);
    uint32_t *flags = mem_alloc((size_t)argc * sizeof *flags);
    int count = command_keys_with_flags(command, argv, argc, positions, flags);
    if (count <= 0) {
        reply_error(call->reply, "ERR Invalid arguments specified for command");
    } else {
        reply_array(call->reply, (size_t)count);
        for (int i = 0; i < count; i++) {
            if (with_flags) reply_array(call->reply, 2);
            reply_bulk(call->reply, argv[positions[i]]);
            if (with_flags) reply_key_flags(call->reply, flags_in_fact(command, argv, argc, flags[i]));
        }
    }
    mem_free(positions);
    mem_free(flags);
}

static void get_keys(struct call *call, bool with_flags) {
    const struct command *command = command_lookup(call->argv + 2, call->argc - 2, NULL);
    if (!command)
        reply_error(call->reply, "ERR Invalid command specified");
    else if (command->keys[0].begin == KEY_BEGIN_NONE && !command->find_keys)
        reply_error(call->reply, "ERR The command has no key arguments");
    else if (!command_arity_fits(command, call->argc - 2))
        reply_error(call->reply, "ERR Invalid number of arguments specified for command");
    else
        reply_keys(call, command, with_flags);
}

void command_getkeys(struct call *call) {
    get_keys(call, false);
}

void command_getkeysandflags(struct call *call) {
    get_keys(call, true);
}

void command_help(struct call *call) {
    static const char *const lines[] = {
        "(no subcommand)",
        "    Return details about all Redis commands.",
        "COUNT",
        "    Return the total number of commands in this Redis server.",
        "LIST",
        "    Return a list of all commands in this Redis server.",
        "INFO [<command-name> ...]",
        "    Return details about multiple Redis commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.",
        "DOCS [<command-name> ...]",
        "    Return documentation details about multiple Redis commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.",
        "GETKEYS <full-command>",
        "    Return the keys from a full Redis command.",
        "GETKEYSANDFLAGS <full-command>",
        "    Return the keys and the access flags from a full Redis command.",
        NULL,
    };
    call_reply_help(call, lines);
}
