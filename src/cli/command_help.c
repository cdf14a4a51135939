#include "cli/command_help.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/help.h"
#include "resp/request.h"

enum { ASIDE_TIMEOUT_MS = 3000 };

// The value of `name` in a map that RESP2 flattens to an array; NULL when it is not there.
static const struct reply *field(const struct reply *map, const char *name) {
    for (size_t i = 0; i + 1 < map->count; i += 2)
        if (bytes_is(map->items[i].text, name)) return &map->items[i + 1];
    return NULL;
}

static struct bytes text_field(const struct reply *map, const char *name) {
    const struct reply *value = field(map, name);
    return value ? value->text : BYTES("");
}

static bool has_flag(const struct reply *argument, const char *flag) {
    const struct reply *flags = field(argument, "flags");
    for (size_t i = 0; flags && i < flags->count; i++)
        if (bytes_is(flags->items[i].text, flag)) return true;
    return false;
}

static void describe_arguments(struct buffer *out, const struct reply *arguments, const char *separator);

// What stands for the value: its name, or its parts.
static void describe_value(struct buffer *out, const struct reply *argument) {
    const struct reply *parts = field(argument, "arguments");
    struct bytes type = text_field(argument, "type");
    if (parts && (bytes_is(type, "oneof") || bytes_is(type, "block"))) {
        describe_arguments(out, parts, bytes_is(type, "oneof") ? "|" : " ");
        return;
    }
    struct bytes shown = text_field(argument, "display_text");
    if (!shown.size) shown = text_field(argument, "value");
    if (!shown.size) shown = text_field(argument, "name");
    buffer_append_bytes(out, shown);
}

static void describe_token(struct buffer *out, struct bytes token, bool alone) {
    if (!token.size) token = BYTES("\"\"");
    buffer_append_bytes(out, token);
    if (!alone) buffer_append_byte(out, ' ');
}

static void describe_argument(struct buffer *out, const struct reply *argument) {
    const struct reply *token = field(argument, "token");
    bool alone = bytes_is(text_field(argument, "type"), "pure-token");
    bool optional = has_flag(argument, "optional"), token_each_time = has_flag(argument, "multiple_token");
    if (optional) buffer_append_byte(out, '[');
    if (token) describe_token(out, token->text, alone);
    if (!alone) describe_value(out, argument);
    if (has_flag(argument, "multiple")) {
        buffer_append_string(out, " [");
        if (token && token_each_time) describe_token(out, token->text, alone);
        if (!alone) describe_value(out, argument);
        buffer_append_string(out, " ...]");
    }
    if (optional) buffer_append_byte(out, ']');
}

static void describe_arguments(struct buffer *out, const struct reply *arguments, const char *separator) {
    for (size_t i = 0; i < arguments->count; i++) {
        if (i) buffer_append_string(out, separator);
        describe_argument(out, &arguments->items[i]);
    }
}

// "config|get" -> "CONFIG GET"
static void append_name(struct buffer *out, struct bytes name) {
    for (size_t i = 0; i < name.size; i++)
        buffer_append_byte(out, name.data[i] == '|' ? ' ' : (char)toupper((unsigned char)name.data[i]));
}

static void describe_command(struct buffer *out, struct bytes name, const struct reply *docs,
                             bool with_group) {
    const struct reply *arguments = field(docs, "arguments");
    buffer_append_string(out, "\r\n  \x1b[1m");
    append_name(out, name);
    buffer_append_string(out, "\x1b[0m \x1b[90m");
    if (arguments) describe_arguments(out, arguments, " ");
    buffer_append_string(out, "\x1b[0m\r\n");
    const char *const names[] = {"summary", "since", "group"};
    for (size_t i = 0; i < (with_group ? 3 : 2); i++) {
        struct bytes text = text_field(docs, names[i]);
        buffer_appendf(out, "  \x1b[33m%s:\x1b[0m %.*s\r\n", names[i], (int)text.size, text.data);
    }
}

static int compare_names(const void *a, const void *b) {
    const struct reply *const *left = a, *const *right = b;
    return bytes_compare((*left)->text, (*right)->text);
}

// The commands of a COMMAND DOCS reply in alphabetical order, those of `group` only when it is not NULL.
static void describe_commands(struct buffer *out, const struct reply *docs, const char *group) {
    size_t count = docs->count / 2;
    const struct reply **names = mem_calloc(count + 1, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = &docs->items[2 * i];
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        const struct reply *about = names[i] + 1;
        if (!group || bytes_is(text_field(about, "group"), group))
            describe_command(out, names[i]->text, about, !group);
        const struct reply *subcommands = field(about, "subcommands");
        if (subcommands && (count == 1 || group)) describe_commands(out, subcommands, group);
    }
    mem_free(names);
}

static struct connection *open_aside(struct client *client) {
    struct connection *aside = client_open_aside(client);
    if (aside) connection_set_timeout(aside, ASIDE_TIMEOUT_MS);
    return aside;
}

void command_help_print(struct client *client, const struct bytes *topic, size_t count) {
    if (count == 0) {
        help_interactive(stdout);
        return;
    }
    struct connection *aside = open_aside(client);
    if (!aside) {
        printf("No help: not connected to a server that could give it.\n");
        return;
    }
    bool group = topic[0].size > 1 && topic[0].data[0] == '@';
    struct buffer name = BUFFER_EMPTY;
    for (size_t i = 0; i < count; i++) {
        if (i) buffer_append_byte(&name, '|');
        buffer_append_bytes(&name, topic[i]);
    }
    const struct reply *docs = group ? CONNECTION_ASK(aside, "COMMAND", "DOCS")
                                     : CONNECTION_ASK(aside, "COMMAND", "DOCS", buffer_string(&name));
    struct buffer out = BUFFER_EMPTY;
    if (docs && docs->type != REPLY_ERROR)
        describe_commands(&out, docs, group ? buffer_string(&name) + 1 : NULL);
    buffer_append_string(&out, "\r\n");
    fwrite(out.data, 1, out.size, stdout);
    buffer_free(&out);
    buffer_free(&name);
    connection_close(aside);
}

// The names of all commands, as "GET" and "CONFIG GET"; filled once.
static struct {
    char **names;
    size_t count;
    size_t capacity;
} known;

static void add_known(struct bytes name) {
    if (known.count == known.capacity) {
        known.capacity = known.capacity ? known.capacity * 2 : 256;
        known.names = mem_realloc(known.names, known.capacity * sizeof *known.names);
    }
    struct buffer text = BUFFER_EMPTY;
    append_name(&text, name);
    known.names[known.count++] = mem_strdup(buffer_string(&text));
    buffer_free(&text);
}

static int compare_strings(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void learn_names(struct client *client) {
    enum { SUBCOMMANDS_AT = 9 };
    if (known.count) return;
    struct connection *aside = open_aside(client);
    if (!aside) return;
    const struct reply *commands = CONNECTION_ASK(aside, "COMMAND");
    for (size_t i = 0; commands && i < commands->count; i++) {
        const struct reply *command = &commands->items[i];
        if (command->count == 0) continue;
        add_known(command->items[0].text);
        if (command->count <= SUBCOMMANDS_AT) continue;
        const struct reply *subcommands = &command->items[SUBCOMMANDS_AT];
        for (size_t j = 0; j < subcommands->count; j++)
            if (subcommands->items[j].count) add_known(subcommands->items[j].items[0].text);
    }
    connection_close(aside);
    if (known.count) qsort(known.names, known.count, sizeof *known.names, compare_strings);
}

char **command_help_complete(struct client *client, const char *prefix) {
    learn_names(client);
    size_t size = strlen(prefix), found = 0;
    bool wants_subcommand = strchr(prefix, ' ') != NULL;
    char **matches = mem_calloc(known.count + 1, sizeof *matches);
    for (size_t i = 0; i < known.count; i++)
        if (strncasecmp(known.names[i], prefix, size) == 0 &&
            (wants_subcommand || !strchr(known.names[i], ' ')))
            matches[found++] = mem_strdup(known.names[i]);
    return matches;
}
