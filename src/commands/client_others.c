// CLIENT LIST KILL PAUSE UNPAUSE UNBLOCK: what a client asks about others. All workers stand still meanwhile.
#include "call/call.h"
#include "call/dispatch.h"
#include "call/pause.h"
#include "commands/common.h"
#include "commands/connection.h"

// --- Types of client, as LIST and KILL name them.

enum client_type { CLIENTS_NORMAL, CLIENTS_PRIMARY, CLIENTS_REPLICA, CLIENTS_PUBSUB, CLIENTS_ANY };

static enum client_type type_of(const struct session *session) {
    if (session->kind == SESSION_PRIMARY) return CLIENTS_PRIMARY;
    return session->kind == SESSION_REPLICA ? CLIENTS_REPLICA : CLIENTS_NORMAL;
}

// False, with the error replied, for a word that is no type.
static bool parse_type(struct call *call, struct bytes word, enum client_type *type) {
    static const struct {
        const char *word;
        enum client_type type;
    } types[] = {
        {"normal", CLIENTS_NORMAL},  {"slave", CLIENTS_REPLICA}, {"replica", CLIENTS_REPLICA},
        {"master", CLIENTS_PRIMARY}, {"pubsub", CLIENTS_PUBSUB},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!bytes_is(word, types[i].word)) continue;
        *type = types[i].type;
        return true;
    }
    reply_errorf(call->reply, "ERR Unknown client type '%.*s'", (int)word.size, word.data);
    return false;
}

// --- LIST

struct listing {
    struct buffer text;
    int64_t mono_ms;
    enum client_type type;
};

static void list_one(void *context, struct session *session) {
    struct listing *listing = context;
    if (listing->type != CLIENTS_ANY && type_of(session) != listing->type) return;
    session_describe(session, listing->mono_ms, &listing->text);
    buffer_append_byte(&listing->text, '\n');
}

// LIST ID id...: in the order of the ids. False, with the error replied.
static bool list_ids(struct call *call, struct listing *listing) {
    for (int i = 3; i < call->argc; i++) {
        int64_t id;
        if (!number_parse(call->argv[i], &id)) {
            reply_error(call->reply, "ERR Invalid client ID");
            return false;
        }
        struct session *session = session_by_id((uint64_t)id);
        if (session) list_one(listing, session);
    }
    return true;
}

static bool list_wanted(struct call *call, struct listing *listing) {
    if (call->argc == 4 && bytes_is(call->argv[2], "type")) {
        if (!parse_type(call, call->argv[3], &listing->type)) return false;
    } else if (call->argc > 3 && bytes_is(call->argv[2], "id")) {
        return list_ids(call, listing);
    } else if (call->argc != 2) {
        call_syntax_error(call);
        return false;
    }
    session_each(list_one, listing);
    return true;
}

void client_list(struct call *call) {
    struct listing listing = {BUFFER_EMPTY, call_dispatcher(call)->mono_ms, CLIENTS_ANY};
    if (list_wanted(call, &listing)) reply_verbatim(call->reply, "txt", buffer_bytes(&listing.text));
    buffer_free(&listing.text);
}

// --- KILL

struct killing {
    const struct session *self;
    bool skip_self;
    int64_t id; // 0: any
    enum client_type type;
    struct bytes address, local_address; // no data: any
    unsigned killed;
    bool killed_self;
};

static bool has_address(const char *address, struct bytes wanted) {
    return !wanted.data || bytes_equal(bytes_from_string(address), wanted);
}

static void kill_one(void *context, struct session *session) {
    struct killing *killing = context;
    if (!has_address(session->address, killing->address)) return;
    if (!has_address(session->local_address, killing->local_address)) return;
    if (killing->type != CLIENTS_ANY && type_of(session) != killing->type) return;
    if (killing->id && session->id != (uint64_t)killing->id) return;
    if (session == killing->self && killing->skip_self) return;
    killing->killed++;
    if (session == killing->self)
        killing->killed_self = true;
    else
        session->closing = true;
}

static bool parse_kill(struct call *call, struct killing *killing) {
    for (int i = 2; i < call->argc; i += 2) {
        if (i + 1 == call->argc) {
            call_syntax_error(call);
            return false;
        }
        struct bytes word = call->argv[i], value = call->argv[i + 1];
        if (bytes_is(word, "id")) {
            if (!number_parse(value, &killing->id) || killing->id < 1) {
                reply_error(call->reply, "ERR client-id should be greater than 0");
                return false;
            }
        } else if (bytes_is(word, "type")) {
            if (!parse_type(call, value, &killing->type)) return false;
        } else if (bytes_is(word, "addr")) {
            killing->address = value;
        } else if (bytes_is(word, "laddr")) {
            killing->local_address = value;
        } else if (bytes_is(word, "user")) {
            if (!bytes_equal(value, BYTES("default"))) {
                reply_errorf(call->reply, "ERR No such user '%.*s'", (int)value.size, value.data);
                return false;
            }
        } else if (bytes_is(word, "skipme") && (bytes_is(value, "yes") || bytes_is(value, "no"))) {
            killing->skip_self = bytes_is(value, "yes");
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

void client_kill(struct call *call) {
    struct killing killing = {.self = call->session, .type = CLIENTS_ANY, .skip_self = true};
    bool old_style = call->argc == 3; // CLIENT KILL address
    if (old_style) {
        killing.address = call->argv[2];
        killing.skip_self = false;
    } else if (!parse_kill(call, &killing)) {
        return;
    }
    session_each(kill_one, &killing);
    if (!old_style)
        reply_integer(call->reply, killing.killed);
    else if (killing.killed)
        reply_ok(call->reply);
    else
        reply_error(call->reply, "ERR No such client");
    if (killing.killed_self) call->session->close_after_reply = true;
}

// --- PAUSE, UNPAUSE

// Pauses end at a moment that can be said.
#define PAUSE_LONGEST_MS (INT64_MAX / 4)

static bool parse_timeout(struct call *call, struct bytes text, int64_t *timeout_ms) {
    if (!number_parse(text, timeout_ms)) {
        reply_error(call->reply, "ERR timeout is not an integer or out of range");
        return false;
    }
    if (*timeout_ms < 0) {
        reply_error(call->reply, "ERR timeout is negative");
        return false;
    }
    if (*timeout_ms > PAUSE_LONGEST_MS) {
        reply_error(call->reply, "ERR timeout is out of range");
        return false;
    }
    return true;
}

void client_pause(struct call *call) {
    bool writes_only = false;
    if (call->argc > 4) {
        call_unknown_subcommand(call);
        return;
    }
    if (call->argc == 4) {
        writes_only = bytes_is(call->argv[3], "write");
        if (!writes_only && !bytes_is(call->argv[3], "all")) {
            reply_error(call->reply, "ERR CLIENT PAUSE mode must be WRITE or ALL");
            return;
        }
    }
    int64_t timeout_ms, mono_ms = call_dispatcher(call)->mono_ms;
    if (!parse_timeout(call, call->argv[2], &timeout_ms)) return;
    pause_start(PAUSE_BY_CLIENT, mono_ms, mono_ms + timeout_ms, writes_only);
    reply_ok(call->reply);
}

void client_unpause(struct call *call) {
    pause_end(PAUSE_BY_CLIENT);
    reply_ok(call->reply);
}

// --- UNBLOCK

// What the session would have been told had its time run out.
static struct buffer answer_of_timeout(struct session *session) {
    struct buffer kept = session->output, answer;
    session->output = BUFFER_EMPTY;
    session->wait_timed_out(session);
    answer = session->output;
    session->output = kept;
    return answer;
}

static void unblock(struct session *session, bool with_error) {
    struct call_ticket ticket = {.session = session->id,
                                 .number = session->wait_number,
                                 .worker = session->worker,
                                 .protocol = (uint8_t)session->protocol};
    if (with_error) {
        call_answer(ticket, BYTES("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"));
        return;
    }
    struct buffer answer = answer_of_timeout(session);
    call_answer(ticket, buffer_bytes(&answer));
    buffer_free(&answer);
}

void client_unblock(struct call *call) {
    bool with_error = false;
    if (call->argc > 4) {
        call_unknown_subcommand(call);
        return;
    }
    if (call->argc == 4) {
        with_error = bytes_is(call->argv[3], "error");
        if (!with_error && !bytes_is(call->argv[3], "timeout")) {
            reply_error(call->reply, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
            return;
        }
    }
    int64_t id;
    if (!call_integer(call, call->argv[2], &id)) return;
    struct session *session = session_by_id((uint64_t)id);
    bool blocked = session && session->waiting == WAIT_DEFERRED && session->wait_can_be_unblocked;
    if (blocked) unblock(session, with_error);
    reply_integer(call->reply, blocked);
}
