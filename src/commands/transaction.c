// MULTI EXEC DISCARD WATCH UNWATCH. Dispatch queues the commands between MULTI and EXEC; when EXEC's function
// runs, it has locked the slots of the whole queue and of the watches (or all workers stand still), and so
// for the others here.
#include "base/memory.h"
#include "call/call.h"
#include "call/dispatch.h"
#include "call/watches.h"
#include "commands/shapes.h"
#include "commands/tables.h"

static void end_watches(struct call *call) {
    watches_clear(call->session, call->keyspace, true);
}

static void discard(struct call *call) {
    session_empty_queue(call->session);
    end_watches(call);
}

static void transaction_multi(struct call *call) {
    if (call->session->transaction.open) {
        reply_error(call->reply, "ERR MULTI calls can not be nested");
        return;
    }
    call->session->transaction.open = true;
    reply_ok(call->reply);
}

static void transaction_discard(struct call *call) {
    if (!call->session->transaction.open) {
        reply_error(call->reply, "ERR DISCARD without MULTI");
        return;
    }
    discard(call);
    reply_ok(call->reply);
}

static void transaction_watch(struct call *call) {
    if (call->session->transaction.open) {
        reply_error(call->reply, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    for (int i = 1; i < call->argc; i++) {
        call_peek(
            call,
            call->argv[i]); // a primary removes what has expired, lest its removal be taken for a change
        watches_add(call->session, call->keyspace, call->db, call->argv[i], call->now_ms);
    }
    reply_ok(call->reply);
}

static void transaction_unwatch(struct call *call) {
    end_watches(call);
    reply_ok(call->reply);
}

static bool defers_after(const struct transaction *transaction, int index) {
    while (++index < transaction->count)
        if (transaction->queue[index].command->flags & CMD_DEFERS) return true;
    return false;
}

// Runs the queue. It is taken out of the session first, so that its commands run instead of being queued
// again.
static void run_queue(struct call *call) {
    struct session *session = call->session;
    struct transaction taken = session->transaction;
    session->transaction = (struct transaction){0};
    end_watches(call);
    reply_array(call->reply, (size_t)taken.count);
    for (int i = 0; i < taken.count; i++) {
        const struct queued_command *queued = &taken.queue[i];
        if (queued->command->flags & CMD_DEFERS)
            session->transaction.more_to_defer = defers_after(&taken, i);
        dispatch_trusted(call_dispatcher(call), session, queued->command, queued->argv, queued->argc,
                         BYTES(""));
        mem_free(queued->argv);
    }
    mem_free(taken.queue);
}

static void transaction_exec(struct call *call) {
    struct session *session = call->session;
    if (!session->transaction.open) {
        reply_error(call->reply, "ERR EXEC without MULTI");
    } else if (session->transaction.failed) {
        discard(call);
        reply_error(call->reply, "EXECABORT Transaction discarded because of previous errors.");
    } else if (watches_broken(session, call->keyspace, call->now_ms)) {
        discard(call);
        reply_null_array(call->reply);
    } else {
        run_queue(call);
    }
}

const struct command transaction_commands[] = {
    {.name = "discard",
     .run = transaction_discard,
     .arity = 1,
     .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY,
     .categories = CAT_TRANSACTION},
    {.name = "exec",
     .run = transaction_exec,
     .arity = 1,
     .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SKIP_SLOWLOG,
     .categories = CAT_TRANSACTION},
    {.name = "multi",
     .run = transaction_multi,
     .arity = 1,
     .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY,
     .categories = CAT_TRANSACTION},
    {.name = "unwatch",
     .run = transaction_unwatch,
     .arity = 1,
     .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY,
     .categories = CAT_TRANSACTION},
    {.name = "watch",
     .run = transaction_watch,
     .arity = -2,
     .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY,
     .categories = CAT_TRANSACTION,
     .keys = {ALL_KEYS(KEY_RO)}},
    {.name = NULL},
};
