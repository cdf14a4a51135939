#include "server/shutdown.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "call/call.h"
#include "call/pause.h"
#include "os/clock.h"
#include "replication/replication.h"
#include "server/admin.h"
#include "server/config.h"
#include "server/process_setup.h"
#include "server/saving.h"
#include "server/worker.h"

enum { WAITERS_MAX = 64 }; // clients that wait for the shutdown they asked for

static bool pending;
static int pending_flags;
static int64_t deadline_ms; // monotonic
static struct call_ticket waiters[WAITERS_MAX];
static unsigned waiter_count;
static void (*farewell)(void);
static struct dispatcher *signal_dispatcher;

void shutdown_set_farewell(void (*chosen)(void)) {
    farewell = chosen;
}

bool shutdown_pending(void) {
    return pending;
}

static void end_pending(void) {
    pending = false;
    pause_end(PAUSE_BY_FAILOVER);
}

// Exclusive mode. Returns only when it failed.
static void finish(struct dispatcher *dispatcher, int flags) {
    bool wants_save = flags & SHUTDOWN_SAVE || (config.save_point_count && !(flags & SHUTDOWN_NOSAVE));
    if (role.loading) wants_save = false;
    saving_abandon();
    if (wants_save) {
        log_write(LOG_NOTICE, "Saving the final RDB snapshot before exiting.");
        process_tell_supervisor("STATUS=Saving the final RDB snapshot\n");
        if (!saving_now(dispatcher) && !(flags & SHUTDOWN_FORCE)) {
            log_write(LOG_WARNING, "Error trying to save the DB, can't exit.");
            process_tell_supervisor("STATUS=Error trying to save the DB, can't exit.\n");
            return;
        }
    }
    process_tell_supervisor("STOPPING=1\n");
    process_remove_pid_file();
    if (config.unixsocket[0]) {
        log_write(LOG_NOTICE, "Removing the unix socket file.");
        unlink(config.unixsocket);
    }
    workers_flush_and_close();
    if (farewell) farewell();
    log_write(LOG_WARNING, "Shoal is now ready to exit, bye bye...");
    exit(0);
}

static bool must_wait(int flags) {
    return !(flags & SHUTDOWN_NOW) && config.shutdown_timeout && !role.replica && replication_replicas() &&
           !replication_all_caught_up();
}

// Exclusive mode. True: it is under way; false: it failed, or ends otherwise than by returning.
static bool begin(struct dispatcher *dispatcher, int flags) {
    log_write(LOG_NOTICE, "User requested shutdown...");
    if (must_wait(flags)) {
        pending = true;
        pending_flags = flags;
        deadline_ms = dispatcher->mono_ms + 1000 * (int64_t)config.shutdown_timeout;
        pause_start(PAUSE_BY_FAILOVER, dispatcher->mono_ms, INT64_MAX / 4, true);
        log_write(LOG_NOTICE, "Waiting for replicas before shutting down.");
        return true;
    }
    finish(dispatcher, flags);
    return false;
}

static void tell_waiters(const char *error) {
    for (unsigned i = 0; i < waiter_count; i++)
        call_answer(waiters[i], bytes_from_string(error));
    waiter_count = 0;
}

void shutdown_cron(struct dispatcher *dispatcher) {
    if (!pending) return;
    bool caught_up = replication_replicas() == 0 || replication_all_caught_up();
    if (!caught_up && dispatcher->mono_ms < deadline_ms) return;
    if (!caught_up) log_write(LOG_WARNING, "Replicas lag behind, and the shutdown-timeout is over.");
    dispatch_begin_exclusive(dispatcher);
    finish(dispatcher, pending_flags);
    end_pending();
    dispatch_end_exclusive(dispatcher);
    tell_waiters("-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
}

// --- Signals.

void shutdown_block_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

static void signalled(struct source *source, uint32_t events) {
    struct signalfd_siginfo info;
    if (read(source->fd, &info, sizeof info) != (ssize_t)sizeof info) return;
    bool interrupt = info.ssi_signo == SIGINT;
    if (pending && interrupt) {
        log_write(LOG_WARNING, "You insist... exiting now.");
        process_remove_pid_file();
        exit(1);
    }
    log_write(LOG_WARNING, "Received %s scheduling shutdown...", interrupt ? "SIGINT" : "SIGTERM");
    if (pending) return;
    int flags = interrupt ? config.shutdown_on_sigint : config.shutdown_on_sigterm;
    dispatch_begin_exclusive(signal_dispatcher);
    if (!begin(signal_dispatcher, flags))
        log_write(LOG_WARNING, "Errors trying to shut down the server. Check the logs for more information.");
    dispatch_end_exclusive(signal_dispatcher);
}

void shutdown_watch_signals(struct loop *loop, struct dispatcher *dispatcher) {
    static struct source source;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    signal_dispatcher = dispatcher;
    source = (struct source){.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), .ready = signalled};
    if (source.fd >= 0) loop_add_level(loop, &source);
}

// --- SHUTDOWN

static bool parse_flags(struct call *call, int *flags, bool *abort_it) {
    *flags = 0;
    *abort_it = false;
    for (int i = 1; i < call->argc; i++) {
        struct bytes word = call->argv[i];
        if (bytes_is(word, "nosave")) *flags |= SHUTDOWN_NOSAVE;
        else if (bytes_is(word, "save")) *flags |= SHUTDOWN_SAVE;
        else if (bytes_is(word, "now")) *flags |= SHUTDOWN_NOW;
        else if (bytes_is(word, "force")) *flags |= SHUTDOWN_FORCE;
        else if (bytes_is(word, "abort")) *abort_it = true;
        else return false;
    }
    if (*abort_it && *flags) return false;
    return !(*flags & SHUTDOWN_SAVE && *flags & SHUTDOWN_NOSAVE);
}

static void abort_shutdown(struct call *call) {
    if (!pending) {
        reply_error(call->reply, "ERR No shutdown in progress.");
        return;
    }
    log_write(LOG_NOTICE, "Shutdown manually aborted.");
    end_pending();
    tell_waiters("-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
    reply_ok(call->reply);
}

static void wait_ran_out(struct session *session) {
}

static void shutdown_command(struct call *call) {
    int flags;
    bool abort_it;
    if (!parse_flags(call, &flags, &abort_it)) {
        call_syntax_error(call);
        return;
    }
    if (abort_it) {
        abort_shutdown(call);
        return;
    }
    bool waits = pending || begin(call_dispatcher(call), flags);
    if (waits && waiter_count < WAITERS_MAX)
        waiters[waiter_count++] = call_defer(call, 0, wait_ran_out);
    else
        reply_error(call->reply, "ERR Errors trying to SHUTDOWN. Check logs.");
}

const struct command shutdown_commands[] = {
    {.name = "shutdown",
     .run = shutdown_command,
     .arity = -1,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_NO_MULTI | CMD_ALLOW_BUSY,
     .admission = ADMIT_EXCLUSIVE},
    {.name = NULL},
};
