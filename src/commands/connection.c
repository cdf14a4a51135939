#include "commands/connection.h"

#include "base/memory.h"
#include "call/call.h"
#include "call/dispatch.h"
#include "call/tracking.h"
#include "call/watches.h"
#include "commands/common.h"
#include "commands/services.h"
#include "commands/version.h"

// --- AUTH and HELLO

// Compares in a time that does not tell where the two differ.
static bool same_secret(struct bytes a, struct bytes b) {
    unsigned char different = a.size != b.size;
    for (size_t i = 0; i < a.size; i++)
        different |= (unsigned char)(a.data[i] ^ (b.size ? b.data[i % b.size] : 1));
    return !different;
}

// Logs the session in. False, with the error replied.
static bool authenticate(struct call *call, struct bytes user, struct bytes password) {
    struct bytes wanted = bytes_from_string(settings.requirepass);
    // The only user so far: without a password of its own, it takes any.
    if (bytes_equal(user, BYTES("default")) && (wanted.size == 0 || same_secret(password, wanted))) {
        call->session->authenticated = true;
        return true;
    }
    dispatch_counters(call->worker)->unauthenticated++;
    reply_error(call->reply, "WRONGPASS invalid username-password pair or user is disabled.");
    return false;
}

void connection_auth(struct call *call) {
    if (call->argc > 3) {
        call_syntax_error(call);
        return;
    }
    bool named = call->argc == 3;
    if (!named && settings.requirepass[0] == '\0') {
        reply_error(
            call->reply,
            "ERR AUTH <password> called without any password configured for the default user. Are you sure "
            "your configuration is correct?");
        return;
    }
    if (authenticate(call, named ? call->argv[1] : BYTES("default"), call->argv[call->argc - 1]))
        reply_ok(call->reply);
}

struct hello {
    int64_t protocol; // 0: as it was
    bool has_user, has_name;
    struct bytes user, password, name;
};

static void reply_odd_name(struct call *call) {
    reply_error(call->reply, "ERR Client names cannot contain spaces, newlines or special characters.");
}

static bool parse_hello(struct call *call, struct hello *hello) {
    *hello = (struct hello){0};
    if (call->argc > 1) {
        if (!number_parse(call->argv[1], &hello->protocol)) {
            reply_error(call->reply, "ERR Protocol version is not an integer or out of range");
            return false;
        }
        if (hello->protocol != 2 && hello->protocol != 3) {
            reply_error(call->reply, "NOPROTO unsupported protocol version");
            return false;
        }
    }
    for (int i = 2; i < call->argc; i++) {
        struct bytes word = call->argv[i];
        if (bytes_is(word, "auth") && i + 2 < call->argc) {
            hello->has_user = true;
            hello->user = call->argv[++i];
            hello->password = call->argv[++i];
        } else if (bytes_is(word, "setname") && i + 1 < call->argc) {
            hello->has_name = true;
            hello->name = call->argv[++i];
            if (!is_plain_name(hello->name)) {
                reply_odd_name(call);
                return false;
            }
        } else {
            reply_errorf(call->reply, "ERR Syntax error in HELLO option '%.*s'", (int)word.size, word.data);
            return false;
        }
    }
    return true;
}

static void reply_hello(struct call *call) {
    struct reply *reply = call->reply;
    reply_map(reply, 7);
    reply_bulk_string(reply, "server");
    reply_bulk_string(reply, "redis");
    reply_bulk_string(reply, "version");
    reply_bulk_string(reply, REDIS_VERSION);
    reply_bulk_string(reply, "proto");
    reply_integer(reply, call->session->protocol);
    reply_bulk_string(reply, "id");
    reply_integer(reply, (int64_t)call->session->id);
    reply_bulk_string(reply, "mode");
    reply_bulk_string(reply, settings.cluster_enabled ? "cluster" : "standalone");
    reply_bulk_string(reply, "role");
    reply_bulk_string(reply, role.replica ? "replica" : "master");
    reply_bulk_string(reply, "modules");
    reply_array(reply, 0);
}

void connection_hello(struct call *call) {
    struct hello hello;
    if (!parse_hello(call, &hello)) return;
    if (hello.has_user && !authenticate(call, hello.user, hello.password)) return;
    if (!call->session->authenticated) {
        reply_error(
            call->reply,
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> "
            "AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol "
            "version at the same time");
        return;
    }
    if (hello.has_name && !client_set_name(call, hello.name)) return;
    if (hello.protocol) call->session->protocol = call->reply->protocol = (int)hello.protocol;
    reply_hello(call);
}

// --- The small ones.

void connection_echo(struct call *call) {
    reply_bulk(call->reply, call->argv[1]);
}

void connection_ping(struct call *call) {
    if (call->argc > 2)
        call_wrong_arity(call);
    else if (call->argc == 2)
        reply_bulk(call->reply, call->argv[1]);
    else
        reply_simple(call->reply, "PONG");
}

void connection_quit(struct call *call) {
    reply_ok(call->reply);
    call->session->close_after_reply = true;
}

void connection_select(struct call *call) {
    int64_t db;
    if (!call_integer_in(call, call->argv[1], INT32_MIN, INT32_MAX, &db)) return;
    if (settings_only_database_zero() && db != 0)
        reply_error(call->reply, "ERR SELECT is not allowed in cluster mode");
    else if (db < 0 || db >= (int64_t)keyspace_databases(call->keyspace))
        reply_error(call->reply, "ERR DB index is out of range");
    else {
        call->session->db = (unsigned)db;
        call->session->has_selected = true;
        reply_ok(call->reply);
    }
}

static void stop_monitoring(struct session *session) {
    if (commands_services()->stop_monitoring)
        commands_services()->stop_monitoring(session);
    else
        session->monitor = false;
}

void connection_reset(struct call *call) {
    struct session *session = call->session;
    if (session->kind != SESSION_NORMAL && !session->monitor) {
        reply_error(call->reply, "ERR can only reset normal client connections");
        return;
    }
    session_empty_queue(session);
    watches_clear(session, call->keyspace, true); // dispatch has locked their slots
    if (session->monitor) stop_monitoring(session);
    tracking_turn_off(session);
    session->db = 0;
    session->has_selected = false;
    session->protocol = call->reply->protocol = 2;
    session->authenticated = settings.requirepass[0] == '\0';
    session->asking = session->cluster_readonly = false;
    session->no_evict = session->no_touch = false;
    session->reply_mode = REPLY_ON;
    mem_free(session->name);
    session->name = NULL;
    reply_simple(call->reply, "RESET");
}

// --- What a client of a cluster says about itself.

static bool require_cluster(struct call *call) {
    if (!settings.cluster_enabled) reply_error(call->reply, "ERR This instance has cluster support disabled");
    return settings.cluster_enabled;
}

void connection_asking(struct call *call) {
    if (!require_cluster(call)) return;
    call->session->asking = true;
    reply_ok(call->reply);
}

void connection_readonly(struct call *call) {
    if (!require_cluster(call)) return;
    call->session->cluster_readonly = true;
    reply_ok(call->reply);
}

void connection_readwrite(struct call *call) {
    if (!require_cluster(call)) return;
    call->session->cluster_readonly = false;
    reply_ok(call->reply);
}
