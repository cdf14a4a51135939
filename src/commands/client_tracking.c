// CLIENT TRACKING CACHING TRACKINGINFO GETREDIR: what a client that caches keys wants to be told of.
#include "base/memory.h"
#include "call/call.h"
#include "call/tracking.h"
#include "commands/connection.h"

struct request {
    struct tracking_options options;
    int64_t redirect; // 0: none
    struct session *target;
    struct bytes *prefixes;
    unsigned count;
};

// The client to be told instead. Ids are never 0, so an option that was refused was not given. False, with
// the error replied.
static bool parse_redirect(struct call *call, struct bytes id, struct request *request) {
    if (request->redirect) {
        reply_error(call->reply, "ERR A client can only redirect to a single other client");
        return false;
    }
    if (!call_integer(call, id, &request->redirect)) return false;
    request->target = session_by_id((uint64_t)request->redirect);
    if (request->target) return true;
    reply_error(call->reply, "ERR The client ID you want redirect to does not exist");
    return false;
}

static bool parse_options(struct call *call, struct request *request) {
    for (int i = 3; i < call->argc; i++) {
        struct bytes word = call->argv[i];
        bool more = i + 1 < call->argc;
        if (bytes_is(word, "redirect") && more) {
            if (!parse_redirect(call, call->argv[++i], request)) return false;
        } else if (bytes_is(word, "bcast")) {
            request->options.broadcast = true;
        } else if (bytes_is(word, "optin")) {
            request->options.opt_in = true;
        } else if (bytes_is(word, "optout")) {
            request->options.opt_out = true;
        } else if (bytes_is(word, "noloop")) {
            request->options.no_loop = true;
        } else if (bytes_is(word, "prefix") && more) {
            request->prefixes[request->count++] = call->argv[++i];
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

// Do the options go together, and with those of before? The error, or NULL.
static const char *check_options(const struct session_tracking *before, const struct request *request) {
    const struct tracking_options *options = &request->options;
    if (!options->broadcast && request->count) return "ERR PREFIX option requires BCAST mode to be enabled";
    if (before && before->options.broadcast != options->broadcast)
        return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then "
               "re-enabling it with a different mode.";
    if (options->broadcast && (options->opt_in || options->opt_out))
        return "ERR OPTIN and OPTOUT are not compatible with BCAST";
    if (options->opt_in && options->opt_out) return "ERR You can't specify both OPTIN mode and OPTOUT mode";
    if (before &&
        ((options->opt_in && before->options.opt_out) || (options->opt_out && before->options.opt_in)))
        return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then "
               "re-enabling it with a different mode.";
    return NULL;
}

static bool one_begins_with_other(struct bytes a, struct bytes b) {
    size_t common = a.size < b.size ? a.size : b.size;
    return bytes_equal(bytes_of(a.data, common), bytes_of(b.data, common));
}

// Prefixes of one client never overlap, lest it be told twice. False, with the error replied.
static bool check_prefixes(struct call *call, const struct request *request) {
    for (unsigned i = 0; i < request->count; i++) {
        struct bytes prefix = request->prefixes[i];
        const struct tracking_prefix *over = tracking_prefix_over(call->session, prefix);
        if (over) {
            reply_errorf(
                call->reply,
                "ERR Prefix '%.*s' overlaps with an existing prefix '%.*s'. Prefixes for a single client "
                "must not overlap.",
                (int)prefix.size, prefix.data, (int)over->size, over->data);
            return false;
        }
        for (unsigned j = i + 1; j < request->count; j++) {
            struct bytes other = request->prefixes[j];
            if (!one_begins_with_other(prefix, other)) continue;
            reply_errorf(
                call->reply,
                "ERR Prefix '%.*s' overlaps with another provided prefix '%.*s'. Prefixes for a single "
                "client must not overlap.",
                (int)prefix.size, prefix.data, (int)other.size, other.data);
            return false;
        }
    }
    return true;
}

static void turn_on(struct call *call, const struct request *request) {
    const char *error = check_options(call->session->tracking, request);
    if (error) {
        reply_error(call->reply, error);
        return;
    }
    if (!check_prefixes(call, request)) return;
    tracking_turn_on(call->session, call->keyspace, &request->options, request->target, request->prefixes,
                     request->count);
    reply_ok(call->reply);
}

void client_tracking(struct call *call) {
    struct request request = {.prefixes = mem_alloc((size_t)call->argc * sizeof *request.prefixes)};
    if (!parse_options(call, &request)) {
        // The error is replied.
    } else if (bytes_is(call->argv[2], "on")) {
        turn_on(call, &request);
    } else if (bytes_is(call->argv[2], "off")) {
        tracking_turn_off(call->session);
        reply_ok(call->reply);
    } else {
        call_syntax_error(call);
    }
    mem_free(request.prefixes);
}

void client_caching(struct call *call) {
    struct session_tracking *tracking = call->session->tracking;
    if (!tracking) {
        reply_error(call->reply,
                    "ERR CLIENT CACHING can be called only when the client is in tracking mode with "
                    "OPTIN or OPTOUT mode enabled");
        return;
    }
    bool yes = bytes_is(call->argv[2], "yes");
    if (!yes && !bytes_is(call->argv[2], "no")) {
        call_syntax_error(call);
    } else if (yes && !tracking->options.opt_in) {
        reply_error(call->reply,
                    "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
    } else if (!yes && !tracking->options.opt_out) {
        reply_error(call->reply,
                    "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
    } else {
        tracking->caching = true;
        reply_ok(call->reply);
    }
}

void client_getredir(struct call *call) {
    const struct session_tracking *tracking = call->session->tracking;
    reply_integer(call->reply, tracking ? (int64_t)tracking->redirect : -1);
}

static void reply_flags(struct reply *reply, const struct session_tracking *tracking) {
    static const struct tracking_options none;
    const struct tracking_options *options = tracking ? &tracking->options : &none;
    const struct {
        bool set;
        const char *name;
    } flags[] = {
        {!tracking, "off"},
        {tracking, "on"},
        {options->broadcast, "bcast"},
        {options->opt_in, "optin"},
        {options->opt_in && tracking->caching, "caching-yes"},
        {options->opt_out, "optout"},
        {options->opt_out && tracking->caching, "caching-no"},
        {options->no_loop, "noloop"},
        {tracking && tracking->broken, "broken_redirect"},
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        count += flags[i].set;
    reply_set(reply, count);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (flags[i].set) reply_bulk_string(reply, flags[i].name);
}

void client_trackinginfo(struct call *call) {
    const struct session_tracking *tracking = call->session->tracking;
    reply_map(call->reply, 3);
    reply_bulk_string(call->reply, "flags");
    reply_flags(call->reply, tracking);
    reply_bulk_string(call->reply, "redirect");
    client_getredir(call);
    reply_bulk_string(call->reply, "prefixes");
    reply_array(call->reply, tracking ? tracking->prefix_count : 0);
    for (unsigned i = 0; tracking && i < tracking->prefix_count; i++)
        reply_bulk(call->reply, bytes_of(tracking->prefixes[i].data, tracking->prefixes[i].size));
}
