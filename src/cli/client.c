#include "cli/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "cli/command_help.h"
#include "cli/login.h"
#include "cli/print.h"
#include "os/clock.h"
#include "resp/request.h"

enum { REDIRECTIONS_MAX = 64 };

struct client {
    const struct options *options;
    bool interactive;
    char *host;
    uint16_t port;
    struct connection *connection;
    int64_t db;              // where the connection is
    int64_t wanted_db;       // where it should be after connecting anew
    int64_t db_before_multi; // where EXEC or DISCARD lead back to when SELECT was queued
    bool in_multi;
    bool ask_next; // the next command follows an ASK
    struct buffer out;
};

// What happened to one try to execute a command.
enum outcome { DONE, LOST, REDIRECTED };

struct client *client_create(const struct options *options, bool interactive) {
    struct client *client = mem_calloc(1, sizeof *client);
    client->options = options;
    client->interactive = interactive;
    client->host = mem_strdup(options->server.host);
    client->port = options->server.port;
    client->wanted_db = options->db;
    return client;
}

static void disconnect(struct client *client) {
    connection_close(client->connection);
    client->connection = NULL;
    client->in_multi = false;
}

void client_destroy(struct client *client) {
    disconnect(client);
    buffer_free(&client->out);
    mem_free(client->host);
    mem_free(client);
}

static struct endpoint endpoint_of(const struct client *client) {
    return (struct endpoint){client->host, client->port, client->options->server.unix_path};
}

static void report_unreachable(const struct client *client, const char *why) {
    const char *path = client->options->server.unix_path;
    if (path)
        fprintf(stderr, "Could not connect to Redis at %s: %s\n", path, why);
    else
        fprintf(stderr, "Could not connect to Redis at %s:%u: %s\n", client->host, client->port, why);
}

bool client_connect(struct client *client) {
    if (client->connection) return true;
    struct endpoint where = endpoint_of(client);
    char error[CONNECTION_ERROR_ROOM];
    client->connection = connection_open(&where, client->options->connect_timeout_ms, error);
    if (!client->connection) {
        report_unreachable(client, error);
        return false;
    }
    client->db = 0;
    // What fails here has been said; the server answers the commands that follow as it sees fit.
    if (!login_authenticate(client->connection, client->options, false)) return true;
    if (!login_select(client->connection, client->wanted_db)) return true;
    client->db = client->wanted_db;
    login_switch_protocol(client->connection, client->options);
    return true;
}

struct connection *client_open_aside(struct client *client) {
    struct endpoint where = endpoint_of(client);
    char error[CONNECTION_ERROR_ROOM];
    struct connection *aside = connection_open(&where, client->options->connect_timeout_ms, error);
    if (aside) login_authenticate(aside, client->options, true);
    return aside;
}

static void set_server(struct client *client, const char *host, uint16_t port) {
    char *copy = mem_strdup(host);
    mem_free(client->host);
    client->host = copy;
    client->port = port;
}

bool client_move(struct client *client, const char *host, uint16_t port) {
    set_server(client, host, port);
    disconnect(client);
    return client_connect(client);
}

bool client_connected(const struct client *client) {
    return client->connection != NULL;
}

struct connection *client_connection(struct client *client) {
    return client->connection;
}

void client_prompt(const struct client *client, struct buffer *out) {
    if (!client->connection) {
        buffer_append_string(out, "not connected> ");
        return;
    }
    if (client->options->server.unix_path)
        buffer_appendf(out, "redis %s", client->options->server.unix_path);
    else
        buffer_appendf(out, strchr(client->host, ':') ? "[%s]:%u" : "%s:%u", client->host, client->port);
    if (client->db) buffer_appendf(out, "[%lld]", (long long)client->db);
    if (client->in_multi) buffer_append_string(out, "(TX)");
    buffer_append_string(out, "> ");
}

// Commands whose replies are texts for people.
static bool replies_plain(const struct bytes *arguments, size_t count) {
    static const char *const words[][2] = {
        {"info", NULL},       {"lolwut", NULL},    {"debug", "htstats"}, {"debug", "htstats-key"},
        {"memory", "doctor"}, {"cluster", "info"}, {"cluster", "nodes"}, {"memory", "malloc-stats"},
        {"client", "list"},   {"client", "info"},  {"latency", "graph"}, {"latency", "doctor"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (bytes_is(arguments[0], words[i][0]) &&
            (!words[i][1] || (count >= 2 && bytes_is(arguments[1], words[i][1]))))
            return true;
    return false;
}

static bool is_subscription(struct bytes name) {
    return bytes_is(name, "subscribe") || bytes_is(name, "psubscribe") || bytes_is(name, "ssubscribe");
}

static void write_out(struct client *client) {
    fwrite(client->out.data, 1, client->out.size, stdout);
    fflush(stdout);
    client->out.size = 0;
}

static void show(struct client *client, const struct reply *reply, bool plain) {
    const struct options *options = client->options;
    if (reply->type == REPLY_ERROR && options->fail_on_error && !client->interactive) {
        fprintf(stderr, "%.*s\n", (int)reply->text.size, reply->text.data);
        exit(1);
    }
    print_reply(&client->out, reply, &options->style, plain);
    write_out(client);
}

// A message that nobody asked for, in RESP3.
static void show_push(struct client *client, const struct reply *push) {
    if (!client->options->show_pushes) return;
    if (push->count == 2 && bytes_is(push->items[0].text, "invalidate") &&
        push->items[1].type == REPLY_ARRAY) {
        const struct reply *keys = &push->items[1];
        buffer_append_string(&client->out, "-> invalidate: ");
        for (size_t i = 0; i < keys->count; i++)
            buffer_appendf(&client->out, "%s'%.*s'", i ? ", " : "", (int)keys->items[i].text.size,
                           keys->items[i].text.data);
        buffer_append_byte(&client->out, '\n');
    } else {
        print_reply(&client->out, push, &client->options->style, false);
    }
    write_out(client);
}

// The next reply, pushes shown on the way when `pushes_are_replies` is not set. NULL when the connection is
// lost.
static const struct reply *read_reply(struct client *client, bool pushes_are_replies) {
    const struct reply *reply;
    while ((reply = connection_read(client->connection)) && reply->type == REPLY_PUSH && !pushes_are_replies)
        show_push(client, reply);
    return reply;
}

static void report_lost(struct client *client) {
    fprintf(stderr, "Error: %s\n", connection_error(client->connection));
}

// In cluster mode: if `reply` sends us elsewhere, says so and notes the place.
static bool note_redirection(struct client *client, const struct reply *reply) {
    struct bytes text = reply->text;
    bool moved = text.size > 6 && memcmp(text.data, "MOVED ", 6) == 0;
    bool ask = text.size > 4 && memcmp(text.data, "ASK ", 4) == 0;
    if (!client->options->cluster_mode || reply->type != REPLY_ERROR || (!moved && !ask)) return false;
    char line[CONNECTION_ERROR_ROOM];
    snprintf(line, sizeof line, "%.*s", (int)text.size, text.data);
    char *slot = strchr(line, ' ') + 1;
    char *address = strchr(slot, ' ');
    char *colon = address ? strrchr(address, ':') : NULL;
    if (!colon) return false;
    *address++ = '\0';
    *colon = '\0';
    // An empty host means: the one that answered.
    char *host = mem_strdup(colon > address ? address : client->host);
    set_server(client, host, (uint16_t)atoi(colon + 1));
    mem_free(host);
    if (client->interactive)
        printf("-> Redirected to slot [%d] located at %s:%u\n", atoi(slot), client->host, client->port);
    client->ask_next = ask;
    return true;
}

// Follows what the server's answer means for the session.
static void track_session(struct client *client, const struct bytes *arguments, size_t count,
                          enum reply_type answer) {
    struct bytes name = arguments[0];
    bool good = answer != REPLY_ERROR;
    if (bytes_is(name, "select") && count == 2 && good) {
        int64_t db;
        if (number_parse(arguments[1], &db)) client->db = client->wanted_db = db;
    } else if (bytes_is(name, "multi") && count == 1 && good) {
        client->in_multi = true;
        client->db_before_multi = client->db;
    } else if (bytes_is(name, "exec") && count == 1 && client->in_multi) {
        client->in_multi = false;
        if (answer == REPLY_ERROR || answer == REPLY_NIL)
            client->db = client->wanted_db = client->db_before_multi;
    } else if (bytes_is(name, "discard") && count == 1 && good) {
        client->in_multi = false;
        client->db = client->wanted_db = client->db_before_multi;
    } else if (bytes_is(name, "reset") && count == 1 && good) {
        client->in_multi = false;
        client->db = client->wanted_db = 0;
    }
}

// MONITOR and SUBSCRIBE: replies without end. Comes back when the server refuses, or in RESP3 at the last
// unsubscribe.
static enum outcome show_stream(struct client *client, bool monitor) {
    if (!monitor && client->options->style.format != OUTPUT_RAW)
        printf("Reading messages... (press Ctrl-C to quit)\n");
    fflush(stdout);
    for (;;) {
        const struct reply *reply = read_reply(client, !monitor);
        if (!reply) {
            report_lost(client);
            exit(1);
        }
        bool refused = reply->type == REPLY_ERROR;
        show(client, reply, false);
        if (refused) return DONE;
    }
}

static enum outcome lost(struct client *client, bool shutting_down) {
    if (shutting_down) {
        disconnect(client);
        return DONE;
    }
    if (client->interactive && connection_was_closed(client->connection)) return LOST;
    report_lost(client);
    exit(1);
}

static enum outcome try_once(struct client *client, const struct bytes *arguments, size_t count) {
    if (client->ask_next) {
        client->ask_next = false;
        if (!CONNECTION_ASK(client->connection, "ASKING")) return LOST;
    }
    request_append(connection_queue(client->connection), arguments, count);
    if (!connection_flush(client->connection)) return LOST;
    bool monitor = bytes_is(arguments[0], "monitor");
    if (monitor || is_subscription(arguments[0])) return show_stream(client, monitor);
    const struct reply *reply = read_reply(client, false);
    if (!reply) return lost(client, bytes_is(arguments[0], "shutdown"));
    if (note_redirection(client, reply)) return REDIRECTED;
    enum reply_type answer = reply->type;
    show(client, reply, replies_plain(arguments, count));
    track_session(client, arguments, count, answer);
    return DONE;
}

static bool execute_once(struct client *client, const struct bytes *arguments, size_t count) {
    bool tried_again = false;
    for (int redirections = 0; redirections <= REDIRECTIONS_MAX;) {
        if (!client->connection && !client_connect(client)) return false;
        switch (try_once(client, arguments, count)) {
        case DONE: return true;
        case REDIRECTED:
            disconnect(client);
            redirections++;
            break;
        case LOST:
            if (tried_again) {
                report_lost(client);
                disconnect(client);
                return false;
            }
            tried_again = true;
            disconnect(client);
            break;
        }
    }
    fprintf(stderr, "Error: more than %d redirections for one command\n", REDIRECTIONS_MAX);
    return false;
}

bool client_execute(struct client *client, const struct bytes *arguments, size_t count, int64_t repeat) {
    if (bytes_is(arguments[0], "help") || bytes_is(arguments[0], "?")) {
        command_help_print(client, arguments + 1, count - 1);
        return true;
    }
    while (repeat < 0 || repeat-- > 0) {
        if (!execute_once(client, arguments, count)) return false;
        if (client->options->interval_us) clock_sleep_us(client->options->interval_us);
    }
    return true;
}
