// CONFIG GET SET RESETSTAT REWRITE HELP. All workers stand still meanwhile.
#include <string.h>

#include "base/glob.h"
#include "base/log.h"
#include "base/memory.h"
#include "call/call.h"
#include "server/admin.h"
#include "server/config.h"
#include "server/directive.h"
#include "server/statistics.h"

bool is_local_client(const struct session *session) {
    const char *address = session->address;
    return session->unix_socket || strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]", 5) == 0 ||
           strncmp(address, "[::ffff:127.", 12) == 0;
}

// Without one of these it is a name; a backslash in it is a backslash.
static bool is_pattern(struct bytes text) {
    return memchr(text.data, '*', text.size) || memchr(text.data, '?', text.size) ||
           memchr(text.data, '[', text.size);
}

static bool is_wanted(const struct call *call, const struct directive *directive, const char *name) {
    bool hidden = (directive->flags & DIRECTIVE_HIDDEN) != 0;
    for (int i = 2; i < call->argc; i++) {
        struct bytes asked = call->argv[i];
        bool by_pattern = is_pattern(asked) && !hidden;
        if (by_pattern ? glob_match(asked, bytes_from_string(name), true) : bytes_is(asked, name)) return true;
    }
    return false;
}

static void reply_value(struct reply *reply, struct bytes name, const struct directive *directive) {
    struct buffer text = BUFFER_EMPTY;
    directive_print(directive, &text);
    reply_bulk(reply, name);
    reply_bulk(reply, buffer_bytes(&text));
    buffer_free(&text);
}

// An exact name is answered as the client wrote it, a pattern with the names that it matches.
static struct bytes name_asked(const struct call *call, const char *name) {
    for (int i = 2; i < call->argc; i++)
        if (bytes_is(call->argv[i], name)) return call->argv[i];
    return bytes_from_string(name);
}

static void config_get(struct call *call) {
    size_t place = reply_array_begin(call->reply), count = 0;
    for (const struct directive *at = directives; at->name; at++) {
        const char *names[] = {at->name, at->alias};
        for (int i = 0; i < 2; i++) {
            if (!names[i] || !is_wanted(call, at, names[i])) continue;
            reply_value(call->reply, name_asked(call, names[i]), at);
            count++;
        }
    }
    reply_map_end(call->reply, place, count);
}

static void config_set_command(struct call *call) {
    if (call->argc % 2) {
        call_syntax_error(call);
        return;
    }
    struct buffer error = BUFFER_EMPTY;
    if (config_set(call->argv + 2, (unsigned)(call->argc - 2) / 2, is_local_client(call->session), &error))
        reply_ok(call->reply);
    else
        reply_error(call->reply, buffer_string(&error));
    buffer_free(&error);
}

static void config_resetstat(struct call *call) {
    statistics_reset();
    reply_ok(call->reply);
}

static void config_rewrite_command(struct call *call) {
    if (!config.file[0]) {
        reply_error(call->reply, "ERR The server is running without a config file");
        return;
    }
    struct buffer error = BUFFER_EMPTY;
    if (config_rewrite(&error)) {
        log_write(LOG_NOTICE, "CONFIG REWRITE executed with success.");
        reply_ok(call->reply);
    } else {
        log_write(LOG_WARNING, "CONFIG REWRITE failed: %s", buffer_string(&error));
        reply_errorf(call->reply, "ERR Rewriting config file: %s", buffer_string(&error));
    }
    buffer_free(&error);
}

static void config_help(struct call *call) {
    static const char *const lines[] = {"GET <pattern>",
                                        "    Return parameters matching the glob-like <pattern> and their values.",
                                        "SET <directive> <value>",
                                        "    Set the configuration <directive> to <value>.",
                                        "RESETSTAT",
                                        "    Reset statistics reported by the INFO command.",
                                        "REWRITE",
                                        "    Rewrite the configuration file.",
                                        NULL};
    call_reply_help(call, lines);
}

enum { CONFIG_FLAGS = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE };

static const struct command subcommands[] = {
    {.name = "get", .run = config_get, .arity = -3, .flags = CONFIG_FLAGS, .admission = ADMIT_EXCLUSIVE},
    {.name = "set", .run = config_set_command, .arity = -4, .flags = CONFIG_FLAGS, .admission = ADMIT_EXCLUSIVE},
    {.name = "resetstat", .run = config_resetstat, .arity = 2, .flags = CONFIG_FLAGS, .admission = ADMIT_EXCLUSIVE},
    {.name = "rewrite", .run = config_rewrite_command, .arity = 2, .flags = CONFIG_FLAGS, .admission = ADMIT_EXCLUSIVE},
    {.name = "help", .run = config_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE},
    {.name = NULL},
};

const struct command config_commands[] = {
    {.name = "config", .arity = -2, .subcommands = subcommands},
    {.name = NULL},
};
