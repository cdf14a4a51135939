#include "server/slowlog.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/list.h"
#include "base/memory.h"
#include "call/call.h"
#include "os/clock.h"
#include "os/lock.h"
#include "server/admin.h"

enum { SHOWN_BY_DEFAULT = 10 };

struct slow_entry {
    struct list_node node;
    int64_t id, seconds, us;
    int argc;
    char *argv[SLOWLOG_ARGUMENTS_MAX];
    size_t sizes[SLOWLOG_ARGUMENTS_MAX];
    char address[128];
    char *name;
};

static struct lock entries_lock; // guards all below
static struct list_node entries = {&entries, &entries}; // the newest first
static uint64_t entry_count;
static int64_t next_id;

static void free_entry(struct slow_entry *entry) {
    list_remove(&entry->node);
    for (int i = 0; i < entry->argc; i++)
        mem_free(entry->argv[i]);
    mem_free(entry->name);
    mem_free(entry);
}

static void trim_to(uint64_t limit) {
    while (entry_count > limit) {
        free_entry(LIST_ENTRY(entries.previous, struct slow_entry, node));
        entry_count--;
    }
}

static bool is_password_setting(struct bytes name) {
    return bytes_is(name, "requirepass") || bytes_is(name, "masterauth") || bytes_is(name, "tls-key-file-pass") ||
           bytes_is(name, "tls-client-key-file-pass");
}

bool is_secret_argument(const struct command *command, const struct bytes *argv, int argc, int at) {
    const char *name = command->full_name;
    if (at == 0) return false;
    if (strcmp(name, "auth") == 0) return true;
    if (strcmp(name, "config|set") == 0) return at > 2 && at % 2 == 1 && is_password_setting(argv[at - 1]);
    if (strcmp(name, "hello") != 0 && strcmp(name, "migrate") != 0) return false;
    bool after_auth = bytes_is(argv[at - 1], "auth") || bytes_is(argv[at - 1], "auth2");
    bool second = at > 1 && (bytes_is(argv[at - 2], "auth2") || (strcmp(name, "hello") == 0 && bytes_is(argv[at - 2], "auth")));
    return after_auth || second;
}

static void keep(struct slow_entry *entry, int at, struct bytes argument) {
    char text[SLOWLOG_ARGUMENT_SIZE + 64];
    if (argument.size > SLOWLOG_ARGUMENT_SIZE) {
        memcpy(text, argument.data, SLOWLOG_ARGUMENT_SIZE);
        int more = snprintf(text + SLOWLOG_ARGUMENT_SIZE, sizeof text - SLOWLOG_ARGUMENT_SIZE, "... (%zu more bytes)",
                            argument.size - SLOWLOG_ARGUMENT_SIZE);
        argument = bytes_of(text, SLOWLOG_ARGUMENT_SIZE + (size_t)more);
    }
    entry->argv[at] = bytes_to_string(argument);
    entry->sizes[at] = argument.size;
}

static void keep_arguments(struct slow_entry *entry, const struct command *command, const struct bytes *argv, int argc) {
    entry->argc = argc > SLOWLOG_ARGUMENTS_MAX ? SLOWLOG_ARGUMENTS_MAX : argc;
    for (int i = 0; i < entry->argc; i++) {
        if (i == SLOWLOG_ARGUMENTS_MAX - 1 && argc > SLOWLOG_ARGUMENTS_MAX) {
            char text[64];
            snprintf(text, sizeof text, "... (%d more arguments)", argc - SLOWLOG_ARGUMENTS_MAX + 1);
            keep(entry, i, bytes_from_string(text));
        } else {
            keep(entry, i, is_secret_argument(command, argv, argc, i) ? BYTES("(redacted)") : argv[i]);
        }
    }
}

void slowlog_add(const struct session *session, const struct command *command, const struct bytes *argv, int argc,
                 int64_t us) {
    if (settings.slowlog_log_slower_than < 0 || us < settings.slowlog_log_slower_than) return;
    if (command->flags & CMD_SKIP_SLOWLOG || settings.slowlog_max_len == 0) return;
    struct slow_entry *entry = mem_calloc(1, sizeof *entry);
    entry->seconds = clock_wall_ms() / 1000;
    entry->us = us;
    memcpy(entry->address, session->address, sizeof entry->address);
    entry->name = mem_strdup(session->name ? session->name : "");
    keep_arguments(entry, command, argv, argc);
    lock_acquire(&entries_lock);
    entry->id = next_id++;
    list_prepend(&entries, &entry->node);
    entry_count++;
    trim_to(settings.slowlog_max_len);
    lock_release(&entries_lock);
}

// --- SLOWLOG

static void reply_entry(struct reply *reply, const struct slow_entry *entry) {
    reply_array(reply, 6);
    reply_integer(reply, entry->id);
    reply_integer(reply, entry->seconds);
    reply_integer(reply, entry->us);
    reply_array(reply, (size_t)entry->argc);
    for (int i = 0; i < entry->argc; i++)
        reply_bulk(reply, bytes_of(entry->argv[i], entry->sizes[i]));
    reply_bulk_string(reply, entry->address);
    reply_bulk_string(reply, entry->name);
}

static void slowlog_get(struct call *call) {
    int64_t wanted = SHOWN_BY_DEFAULT;
    if (call->argc > 3) {
        call_unknown_subcommand(call);
        return;
    }
    if (call->argc == 3 && (!number_parse(call->argv[2], &wanted) || wanted < -1)) {
        reply_error(call->reply, "ERR count should be greater than or equal to -1");
        return;
    }
    lock_acquire(&entries_lock);
    trim_to(settings.slowlog_max_len);
    uint64_t count = wanted < 0 || (uint64_t)wanted > entry_count ? entry_count : (uint64_t)wanted;
    reply_array(call->reply, count);
    LIST_EACH(node, &entries) {
        if (count-- == 0) break;
        reply_entry(call->reply, LIST_ENTRY(node, struct slow_entry, node));
    }
    lock_release(&entries_lock);
}

static void slowlog_len(struct call *call) {
    lock_acquire(&entries_lock);
    trim_to(settings.slowlog_max_len);
    reply_integer(call->reply, (int64_t)entry_count);
    lock_release(&entries_lock);
}

static void slowlog_reset(struct call *call) {
    lock_acquire(&entries_lock);
    trim_to(0);
    lock_release(&entries_lock);
    reply_ok(call->reply);
}

static void slowlog_help(struct call *call) {
    static const char *const lines[] = {"GET [<count>]",
                                        "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
                                        "    Entries are made of:",
                                        "    id, timestamp, time in microseconds, arguments array, client IP and port,",
                                        "    client name",
                                        "LEN",
                                        "    Return the length of the slowlog.",
                                        "RESET",
                                        "    Reset the slowlog.",
                                        NULL};
    call_reply_help(call, lines);
}

enum { SLOWLOG_FLAGS = CMD_ADMIN | CMD_LOADING | CMD_STALE };

static const struct command subcommands[] = {
    {.name = "get", .run = slowlog_get, .arity = -2, .flags = SLOWLOG_FLAGS},
    {.name = "len", .run = slowlog_len, .arity = 2, .flags = SLOWLOG_FLAGS},
    {.name = "reset", .run = slowlog_reset, .arity = 2, .flags = SLOWLOG_FLAGS},
    {.name = "help", .run = slowlog_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE},
    {.name = NULL},
};

const struct command slowlog_commands[] = {
    {.name = "slowlog", .arity = -2, .subcommands = subcommands},
    {.name = NULL},
};
