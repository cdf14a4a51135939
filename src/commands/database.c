// DBSIZE FLUSHALL FLUSHDB SWAPDB TIME: commands about databases as a whole. Those that change one run
// exclusively.
#include "call/call.h"
#include "commands/common.h"
#include "commands/services.h"
#include "commands/shapes.h"
#include "commands/tables.h"

static void server_dbsize(struct call *call) {
    reply_integer(call->reply, (int64_t)keyspace_count(call->keyspace, call->db));
}

static bool parse_flush(struct call *call, bool *async) {
    *async = settings.lazyfree_lazy_user_flush;
    if (call->argc == 1) return true;
    bool is_async = bytes_is(call->argv[1], "async"), is_sync = bytes_is(call->argv[1], "sync");
    if (call->argc > 2 || (!is_async && !is_sync)) {
        call_syntax_error(call);
        return false;
    }
    *async = is_async;
    return true;
}

static void flush(struct call *call, unsigned db, bool async) {
    size_t count = keyspace_count(call->keyspace, db);
    if (count == 0) return;
    keyspace_touched_all(call->keyspace, db);
    if (async)
        commands_services()->free_later(keyspace_detach(call->keyspace, db));
    else
        keyspace_clear(call->keyspace, db);
    call_changed(call, (unsigned)count);
}

static void server_flushdb(struct call *call) {
    bool async;
    if (!parse_flush(call, &async)) return;
    flush(call, call->db, async);
    keyspace_flushed(call->keyspace);
    call_changed(call, 1); // replicas may have what we have not: even an empty database is flushed there
    reply_ok(call->reply);
}

static void server_flushall(struct call *call) {
    bool async;
    if (!parse_flush(call, &async)) return;
    for (unsigned db = 0; db < keyspace_databases(call->keyspace); db++)
        flush(call, db, async);
    keyspace_flushed(call->keyspace);
    call_changed(call, 1);
    reply_ok(call->reply);
}

static bool parse_swapped(struct call *call, struct bytes text, const char *error, int64_t *db) {
    if (number_parse(text, db) && *db >= INT32_MIN && *db <= INT32_MAX) return true;
    reply_error(call->reply, error);
    return false;
}

static void server_swapdb(struct call *call) {
    // It would exchange this node's part of two databases, and leave the other nodes' as they are.
    if (settings.cluster_enabled) {
        reply_error(call->reply, "ERR SWAPDB is not allowed in cluster mode");
        return;
    }
    int64_t a, b, count = (int64_t)keyspace_databases(call->keyspace);
    if (!parse_swapped(call, call->argv[1], "ERR invalid first DB index", &a) ||
        !parse_swapped(call, call->argv[2], "ERR invalid second DB index", &b))
        return;
    if (a < 0 || b < 0 || a >= count || b >= count) {
        reply_error(call->reply, "ERR DB index is out of range");
        return;
    }
    // A watched key has changed when it is there before the swap or after it.
    keyspace_touched_all(call->keyspace, (unsigned)a);
    keyspace_touched_all(call->keyspace, (unsigned)b);
    keyspace_swap(call->keyspace, (unsigned)a, (unsigned)b);
    keyspace_touched_all(call->keyspace, (unsigned)a);
    keyspace_touched_all(call->keyspace, (unsigned)b);
    call_changed(call, 1);
    reply_ok(call->reply);
}

static void server_time(struct call *call) {
    const struct command_services *services = commands_services();
    int64_t us = services->wall_us ? services->wall_us() : call->now_ms * 1000;
    reply_array(call->reply, 2);
    reply_bulk_integer(call->reply, us / 1000000);
    reply_bulk_integer(call->reply, us % 1000000);
}

const struct command server_commands[] = {
    {.name = "dbsize",
     .run = server_dbsize,
     .arity = 1,
     .flags = CMD_READONLY | CMD_FAST,
     .categories = CAT_KEYSPACE},
    {.name = "flushall",
     .run = server_flushall,
     .arity = -1,
     .flags = CMD_WRITE,
     .categories = CAT_KEYSPACE | CAT_DANGEROUS,
     .admission = ADMIT_EXCLUSIVE},
    {.name = "flushdb",
     .run = server_flushdb,
     .arity = -1,
     .flags = CMD_WRITE,
     .categories = CAT_KEYSPACE | CAT_DANGEROUS,
     .admission = ADMIT_EXCLUSIVE},
    {.name = "swapdb",
     .run = server_swapdb,
     .arity = 3,
     .flags = CMD_WRITE | CMD_FAST,
     .categories = CAT_KEYSPACE | CAT_DANGEROUS,
     .admission = ADMIT_EXCLUSIVE},
    {.name = "time",
     .run = server_time,
     .arity = 1,
     .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
     .categories = 0},
    {.name = NULL},
};
