// CLIENT: what a client asks or says about its own session.
#include "base/memory.h"
#include "call/call.h"
#include "call/dispatch.h"
#include "commands/common.h"
#include "commands/connection.h"

void client_id(struct call *call) {
    reply_integer(call->reply, (int64_t)call->session->id);
}

void client_info(struct call *call) {
    struct buffer line = BUFFER_EMPTY;
    session_describe(call->session, call_dispatcher(call)->mono_ms, &line);
    buffer_append_byte(&line, '\n');
    reply_verbatim(call->reply, "txt", buffer_bytes(&line));
    buffer_free(&line);
}

void client_getname(struct call *call) {
    if (call->session->name)
        reply_bulk_string(call->reply, call->session->name);
    else
        reply_null(call->reply);
}

// Replaces a text of the session; an empty one takes it away.
static void set_text(char **text, struct bytes value) {
    mem_free(*text);
    *text = value.size ? bytes_to_string(value) : NULL;
}

bool client_set_name(struct call *call, struct bytes name) {
    if (!is_plain_name(name)) {
        reply_error(call->reply, "ERR Client names cannot contain spaces, newlines or special characters.");
        return false;
    }
    set_text(&call->session->name, name);
    return true;
}

void client_setname(struct call *call) {
    if (client_set_name(call, call->argv[2])) reply_ok(call->reply);
}

void client_setinfo(struct call *call) {
    struct bytes option = call->argv[2], value = call->argv[3];
    bool name = bytes_is(option, "lib-name");
    if (!name && !bytes_is(option, "lib-ver")) {
        reply_errorf(call->reply, "ERR Unrecognized option '%.*s'", (int)option.size, option.data);
        return;
    }
    if (!is_plain_name(value)) {
        reply_errorf(call->reply, "ERR %.*s cannot contain spaces, newlines or special characters.",
                     (int)option.size, option.data);
        return;
    }
    set_text(name ? &call->session->lib_name : &call->session->lib_version, value);
    reply_ok(call->reply);
}

// Reads ON or OFF. False, with the error replied.
static bool parse_switch(struct call *call, bool *on) {
    *on = bytes_is(call->argv[2], "on");
    if (*on || bytes_is(call->argv[2], "off")) return true;
    call_syntax_error(call);
    return false;
}

void client_no_evict(struct call *call) {
    bool on;
    if (!parse_switch(call, &on)) return;
    call->session->no_evict = on;
    reply_ok(call->reply);
}

void client_no_touch(struct call *call) {
    bool on;
    if (!parse_switch(call, &on)) return;
    call->session->no_touch = on;
    reply_ok(call->reply);
}

void client_reply(struct call *call) {
    struct session *session = call->session;
    if (bytes_is(call->argv[2], "on")) {
        session->reply_mode = REPLY_ON;
        reply_ok(call->reply);
    } else if (bytes_is(call->argv[2], "off")) {
        session->reply_mode = REPLY_OFF;
    } else if (bytes_is(call->argv[2], "skip")) {
        if (session->reply_mode != REPLY_OFF) session->reply_mode = REPLY_SKIP_NEXT;
    } else {
        call_syntax_error(call);
    }
}

void client_help(struct call *call) {
    static const char *const lines[] = {
        "CACHING (YES|NO)",
        "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
        "GETREDIR",
        "    Return the client ID we are redirecting to when tracking is enabled.",
        "GETNAME",
        "    Return the name of the current connection.",
        "ID",
        "    Return the ID of the current connection.",
        "INFO",
        "    Return information about the current client connection.",
        "KILL <ip:port>",
        "    Kill connection made from <ip:port>.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Kill connections. Options are:",
        "    * ADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made from the specified address",
        "    * LADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made to specified local address",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Kill connections by type.",
        "    * USER <username>",
        "      Kill connections authenticated by <username>.",
        "    * SKIPME (YES|NO)",
        "      Skip killing current connection (default: yes).",
        "    * ID <client-id>",
        "      Kill connections by client id.",
        "LIST [options ...]",
        "    Return information about client connections. Options:",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Return clients of specified type.",
        "UNPAUSE",
        "    Stop the current client pause, resuming traffic.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Suspend all, or just write, clients for <timeout> milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Control the replies sent to the current connection.",
        "SETNAME <name>",
        "    Assign the name <name> to the current connection.",
        "SETINFO <option> <value>",
        "    Set client meta attr. Options are:",
        "    * LIB-NAME: the client lib name.",
        "    * LIB-VER: the client lib version.",
        "UNBLOCK <clientid> [TIMEOUT|ERROR]",
        "    Unblock the specified blocked client.",
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
        "         [OPTIN] [OPTOUT] [NOLOOP]",
        "    Control server assisted client side caching.",
        "TRACKINGINFO",
        "    Report tracking status for the current connection.",
        "NO-EVICT (ON|OFF)",
        "    Protect current client connection from eviction.",
        "NO-TOUCH (ON|OFF)",
        "    Will not touch LRU/LFU stats when this mode is on.",
        NULL,
    };
    call_reply_help(call, lines);
}
