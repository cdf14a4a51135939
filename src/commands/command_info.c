// COMMAND and COMMAND INFO: what the command table says, as clients want to read it.
#include "call/call.h"
#include "call/command.h"
#include "commands/connection.h"
#include "commands/words_of_flags.h"

enum { INFO_FIELDS = 10 };

static void reply_spec_part(struct reply *reply, const char *type, size_t fields) {
    reply_map(reply, 2);
    reply_bulk_string(reply, "type");
    reply_bulk_string(reply, type);
    reply_bulk_string(reply, "spec");
    reply_map(reply, fields);
}

static void reply_number(struct reply *reply, const char *name, int64_t value) {
    reply_bulk_string(reply, name);
    reply_integer(reply, value);
}

static void reply_begin_search(struct reply *reply, const struct key_spec *spec) {
    reply_bulk_string(reply, "begin_search");
    switch (spec->begin) {
    case KEY_BEGIN_INDEX:
        reply_spec_part(reply, "index", 1);
        reply_number(reply, "index", spec->index);
        break;
    case KEY_BEGIN_KEYWORD:
        reply_spec_part(reply, "keyword", 2);
        reply_bulk_string(reply, "keyword");
        reply_bulk_string(reply, spec->keyword);
        reply_number(reply, "startfrom", (int16_t)spec->index);
        break;
    default: reply_spec_part(reply, "unknown", 0);
    }
}

static void reply_find_keys(struct reply *reply, const struct key_spec *spec) {
    reply_bulk_string(reply, "find_keys");
    switch (spec->find) {
    case KEY_FIND_RANGE:
        reply_spec_part(reply, "range", 3);
        reply_number(reply, "lastkey", spec->last);
        reply_number(reply, "keystep", spec->step);
        reply_number(reply, "limit", spec->limit);
        break;
    case KEY_FIND_KEYNUM:
        reply_spec_part(reply, "keynum", 3);
        reply_number(reply, "keynumidx", spec->keynum);
        reply_number(reply, "firstkey", spec->first_key);
        reply_number(reply, "keystep", spec->step);
        break;
    default: reply_spec_part(reply, "unknown", 0);
    }
}

static void reply_key_specs(struct reply *reply, const struct command *command) {
    size_t count = 0;
    while (count < KEY_SPECS_MAX && command->keys[count].begin != KEY_BEGIN_NONE)
        count++;
    reply_set(reply, count);
    for (size_t i = 0; i < count; i++) {
        const struct key_spec *spec = &command->keys[i];
        reply_map(reply, spec->notes ? 4 : 3);
        if (spec->notes) {
            reply_bulk_string(reply, "notes");
            reply_bulk_string(reply, spec->notes);
        }
        reply_bulk_string(reply, "flags");
        reply_key_flags(reply, spec->flags);
        reply_begin_search(reply, spec);
        reply_find_keys(reply, spec);
    }
}

static void reply_tips(struct reply *reply, const struct command *command) {
    const char *const *tips = command->docs ? command->docs->tips : NULL;
    size_t count = 0;
    while (tips && tips[count])
        count++;
    reply_set(reply, count);
    for (size_t i = 0; i < count; i++)
        reply_bulk_string(reply, tips[i]);
}

static void reply_command(struct reply *reply, const struct command *command);

static void reply_subcommands(struct reply *reply, const struct command *command) {
    size_t count = 0;
    for (unsigned i = 0; i < command_count(); i++)
        count += command_at(i)->parent == command;
    if (count)
        reply_array(reply, count);
    else
        reply_set(reply, 0); // as Redis has it: none are a set, some an array
    for (unsigned i = 0; i < command_count(); i++)
        if (command_at(i)->parent == command) reply_command(reply, command_at(i));
}

static void reply_command(struct reply *reply, const struct command *command) {
    int first, last, step;
    command_key_range(command, &first, &last, &step);
    reply_array(reply, INFO_FIELDS);
    reply_bulk_string(reply, command->full_name);
    reply_integer(reply, command->arity);
    reply_command_flags(reply, command->flags);
    reply_integer(reply, first);
    reply_integer(reply, last);
    reply_integer(reply, step);
    reply_categories(reply, command_categories(command));
    reply_tips(reply, command);
    reply_key_specs(reply, command);
    reply_subcommands(reply, command);
}

static bool is_listed(const struct command *command) {
    return !command->parent && command->called;
}

void command_all(struct call *call) {
    size_t count = 0;
    for (unsigned i = 0; i < command_count(); i++)
        count += is_listed(command_at(i));
    reply_array(call->reply, count);
    for (unsigned i = 0; i < command_count(); i++)
        if (is_listed(command_at(i))) reply_command(call->reply, command_at(i));
}

void command_info(struct call *call) {
    if (call->argc == 2) {
        command_all(call);
        return;
    }
    reply_array(call->reply, (size_t)call->argc - 2);
    for (int i = 2; i < call->argc; i++) {
        const struct command *command = command_lookup_name(call->argv[i]);
        if (command)
            reply_command(call->reply, command);
        else
            reply_null(call->reply);
    }
}
