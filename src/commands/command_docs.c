// COMMAND DOCS: the documentation of commands, from commands/docs_*.c.
#include <string.h>

#include "call/call.h"
#include "call/command.h"
#include "commands/connection.h"

static void reply_pair(struct reply *reply, const char *name, const char *value) {
    reply_bulk_string(reply, name);
    reply_bulk_string(reply, value);
}

// --- Arguments: a tree.

static size_t count_arguments(const struct command_argument *arguments) {
    size_t count = 0;
    while (arguments && arguments[count].name)
        count++;
    return count;
}

static void reply_argument_flags(struct reply *reply, const struct command_argument *argument) {
    reply_bulk_string(reply, "flags");
    reply_set(reply, (size_t)argument->optional + argument->multiple + argument->multiple_token);
    if (argument->optional) reply_simple(reply, "optional");
    if (argument->multiple) reply_simple(reply, "multiple");
    if (argument->multiple_token) reply_simple(reply, "multiple_token");
}

static void reply_arguments(struct reply *reply, const struct command_argument *arguments) {
    reply_bulk_string(reply, "arguments");
    reply_array(reply, count_arguments(arguments));
    for (const struct command_argument *argument = arguments; argument->name; argument++) {
        bool flags = argument->optional || argument->multiple || argument->multiple_token;
        bool children = count_arguments(argument->children) > 0;
        reply_map(reply, 2 + (argument->key_spec != 0) + (argument->token != NULL) +
                             (argument->summary != NULL) + (argument->since != NULL) + flags + children);
        reply_pair(reply, "name", argument->name);
        reply_pair(reply, "type", argument->type);
        if (argument->key_spec) {
            reply_bulk_string(reply, "key_spec_index");
            reply_integer(reply, argument->key_spec - 1);
        }
        if (argument->token) reply_pair(reply, "token", argument->token);
        if (argument->summary) reply_pair(reply, "summary", argument->summary);
        if (argument->since) reply_pair(reply, "since", argument->since);
        if (flags) reply_argument_flags(reply, argument);
        if (children) reply_arguments(reply, argument->children);
    }
}

// --- A command.

static void reply_history(struct reply *reply, const struct command_history *history) {
    size_t count = 0;
    while (history[count].since)
        count++;
    reply_bulk_string(reply, "history");
    reply_set(reply, count);
    for (size_t i = 0; i < count; i++) {
        reply_array(reply, 2);
        reply_bulk_string(reply, history[i].since);
        reply_bulk_string(reply, history[i].change);
    }
}

// Commands that only servers and testers say.
static bool is_internal(const struct command *command) {
    static const char *const names[] = {"debug", "pfdebug", "pfselftest", "replconf", "restore-asking"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(command->full_name, names[i]) == 0) return true;
    return false;
}

static void reply_doc_flags(struct reply *reply, const struct command *command) {
    bool internal = is_internal(command), deprecated = command->docs->deprecated_since;
    reply_bulk_string(reply, "doc_flags");
    reply_set(reply, (size_t)internal + deprecated);
    if (deprecated) reply_simple(reply, "deprecated");
    if (internal) reply_simple(reply, "syscmd");
}

static size_t count_subcommands(const struct command *command) {
    size_t count = 0;
    for (unsigned i = 0; i < command_count(); i++)
        count += command_at(i)->parent == command && command_at(i)->docs;
    return count;
}

static void reply_docs(struct reply *reply, const struct command *command) {
    const struct command_docs *docs = command->docs;
    bool flags = is_internal(command) || docs->deprecated_since;
    bool history = docs->history && docs->history->since;
    bool arguments = count_arguments(docs->arguments) > 0;
    size_t subcommands = count_subcommands(command);

    reply_bulk_string(reply, command->full_name);
    size_t fields = 3 + (docs->complexity != NULL) + flags + (docs->deprecated_since != NULL) +
                    (docs->replaced_by != NULL) + history + arguments + (subcommands > 0);
    reply_map(reply, fields);
    reply_pair(reply, "summary", docs->summary);
    reply_pair(reply, "since", docs->since);
    reply_pair(reply, "group", docs->group);
    if (docs->complexity) reply_pair(reply, "complexity", docs->complexity);
    if (flags) reply_doc_flags(reply, command);
    if (docs->deprecated_since) reply_pair(reply, "deprecated_since", docs->deprecated_since);
    if (docs->replaced_by) reply_pair(reply, "replaced_by", docs->replaced_by);
    if (history) reply_history(reply, docs->history);
    if (arguments) reply_arguments(reply, docs->arguments);
    if (!subcommands) return;
    reply_bulk_string(reply, "subcommands");
    reply_map(reply, subcommands);
    for (unsigned i = 0; i < command_count(); i++)
        if (command_at(i)->parent == command && command_at(i)->docs) reply_docs(reply, command_at(i));
}

static bool is_listed(const struct command *command) {
    return !command->parent && command->called && command->docs;
}

void command_docs(struct call *call) {
    size_t count = 0;
    if (call->argc == 2) {
        for (unsigned i = 0; i < command_count(); i++)
            count += is_listed(command_at(i));
        reply_map(call->reply, count);
        for (unsigned i = 0; i < command_count(); i++)
            if (is_listed(command_at(i))) reply_docs(call->reply, command_at(i));
        return;
    }
    size_t place = reply_array_begin(call->reply);
    for (int i = 2; i < call->argc; i++) {
        const struct command *command = command_lookup_name(call->argv[i]);
        if (!command || !command->docs) continue;
        reply_docs(call->reply, command);
        count++;
    }
    reply_map_end(call->reply, place, count);
}
