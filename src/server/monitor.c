#include "server/monitor.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/words.h"
#include "call/call.h"
#include "os/clock.h"
#include "os/lock.h"
#include "server/admin.h"
#include "server/slowlog.h"
#include "server/worker.h"

enum { MONITORS_A_WORKER = 256 };

struct feed {
    struct lock lock; // guards lines and posted
    struct buffer lines;
    bool posted;
    // The worker's own; `count` is read by others while the slot's lock or the gate keeps it still.
    uint64_t sessions[MONITORS_A_WORKER];
    _Atomic unsigned count;
};
static struct feed feeds[WORKERS_MAX];

static void recount(struct dispatcher *dispatcher) {
    dispatch_begin_exclusive(dispatcher);
    dispatch_monitors = 0;
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        dispatch_monitors += feeds[i].count;
    dispatch_end_exclusive(dispatcher);
}

// Drops those who are gone or no longer watch. On the worker.
static void prune(unsigned index) {
    struct feed *feed = &feeds[index];
    unsigned kept = 0, count = feed->count;
    for (unsigned i = 0; i < count; i++) {
        struct session *session = worker_session(worker_at(index), feed->sessions[i]);
        if (session && session->monitor && !session->closing) feed->sessions[kept++] = feed->sessions[i];
    }
    feed->count = kept;
    if (kept != count) recount(worker_dispatcher(worker_at(index)));
}

static void deliver(void *argument) {
    unsigned index = (unsigned)(uintptr_t)argument;
    struct feed *feed = &feeds[index];
    lock_acquire(&feed->lock);
    struct buffer lines = feed->lines;
    feed->lines = BUFFER_EMPTY;
    feed->posted = false;
    lock_release(&feed->lock);
    prune(index);
    for (unsigned i = 0; i < feed->count; i++)
        worker_send(worker_at(index), feed->sessions[i], buffer_bytes(&lines));
    buffer_free(&lines);
}

static void append_line(struct buffer *line, const struct session *session, const struct bytes *argv, int argc) {
    int64_t us = clock_wall_us();
    const struct command *command = command_lookup(argv, argc, NULL);
    buffer_appendf(line, "+%" PRId64 ".%06" PRId64 " [%u %s%s]", us / 1000000, us % 1000000, session->db,
                   session->unix_socket ? "unix:" : "", session->address);
    for (int i = 0; i < argc; i++) {
        buffer_append_byte(line, ' ');
        bool secret = command && is_secret_argument(command, argv, argc, i);
        words_quote(line, secret ? BYTES("(redacted)") : argv[i]);
    }
    buffer_append(line, "\r\n", 2);
}

void monitor_command(struct dispatcher *dispatcher, const struct session *session, const struct bytes *argv, int argc) {
    struct buffer line = BUFFER_EMPTY;
    append_line(&line, session, argv, argc);
    for (unsigned i = 0; i < workers_count(); i++) {
        struct feed *feed = &feeds[i];
        if (feed->count == 0) continue;
        lock_acquire(&feed->lock);
        if (feed->lines.size < MONITOR_FEED_MAX) buffer_append_bytes(&feed->lines, buffer_bytes(&line));
        bool post = !feed->posted;
        feed->posted = true;
        lock_release(&feed->lock);
        if (post) worker_post(worker_at(i), deliver, (void *)(uintptr_t)i);
    }
    buffer_free(&line);
}

static void forget(void *argument) {
    prune((unsigned)(uintptr_t)argument);
}

void monitor_closing(struct session *session) {
    if (!session->monitor) return;
    session->monitor = false;
    worker_post(worker_at(session->worker), forget, (void *)(uintptr_t)session->worker);
}

static void monitor_start(struct call *call) {
    struct session *session = call->session;
    if (call->in_exec) {
        reply_error(call->reply, "ERR MONITOR isn't allowed for DENY BLOCKING client");
        return;
    }
    struct feed *feed = &feeds[session->worker];
    if (session->monitor) {
        reply_ok(call->reply);
        return;
    }
    if (feed->count == MONITORS_A_WORKER) {
        reply_error(call->reply, "ERR too many monitors");
        return;
    }
    session->monitor = true;
    feed->sessions[feed->count++] = session->id;
    dispatch_monitors++;
    reply_ok(call->reply);
}

const struct command monitor_commands[] = {
    {.name = "monitor",
     .run = monitor_start,
     .arity = 1,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .admission = ADMIT_EXCLUSIVE},
    {.name = NULL},
};
