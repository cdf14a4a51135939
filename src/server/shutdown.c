#include "server/shutdown.h"

#include <signal.h>
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
#include "server/cron.h"
#include "server/process_setup.h"
#include "server/saving.h"
#include "server/shutdown_handover.h"
#include "server/worker.h"

enum {
    WAITERS_MAX = 64, // clients that wait for the shutdown they asked for
    RETRY_US = 1000,  // until all workers are between two commands
    LINGER_US = 100 * 1000, // clients that were held in a handover hear who owns the slots now
};

#define FOR_EVER (INT64_MAX / 4)

// Written in exclusive mode.
static enum {
    SHUTDOWN_NOT_ASKED,
    SHUTDOWN_HANDS_OVER,
    SHUTDOWN_LINGERS, // its slots are another's
    SHUTDOWN_WAITS_FOR_REPLICAS,
    SHUTDOWN_WAITS_FOR_WORKERS,
    SHUTDOWN_DONE,
} stage;
static int pending_flags;
static int64_t deadline_ms; // monotonic
static int exit_code;
static struct call_ticket waiters[WAITERS_MAX];
static unsigned waiter_count;
// Worker 0's.
static struct dispatcher *main_dispatcher;
static struct loop *main_loop;
static struct timer retry, linger;

bool shutdown_pending(void) {
    return stage != SHUTDOWN_NOT_ASKED;
}

int shutdown_exit_code(void) {
    return exit_code;
}

static void end_pending(void) {
    handover_abort();
    stage = SHUTDOWN_NOT_ASKED;
    pause_end(PAUSE_BY_SHUTDOWN);
}

static void tell_waiters(const char *error) {
    for (unsigned i = 0; i < waiter_count; i++)
        call_answer(waiters[i], bytes_from_string(error));
    waiter_count = 0;
}

static bool save_if_wanted(struct dispatcher *dispatcher, int flags) {
    bool wants_save = flags & SHUTDOWN_SAVE || (config.save_point_count && !(flags & SHUTDOWN_NOSAVE));
    if (!wants_save || role.loading) return true;
    log_write(LOG_NOTICE, "Saving the final RDB snapshot before exiting.");
    process_tell_supervisor("STATUS=Saving the final RDB snapshot\n");
    if (saving_now(dispatcher) || flags & SHUTDOWN_FORCE) return true;
    log_write(LOG_WARNING, "Error trying to save the DB, can't exit.");
    process_tell_supervisor("STATUS=Error trying to save the DB, can't exit.\n");
    return false;
}

static void stop_workers(void) {
    stage = SHUTDOWN_DONE;
    cron_pause(true); // nothing is begun any more
    workers_stop();
}

// Exclusive mode, no command begun. False: the server must go on.
static bool finish(struct dispatcher *dispatcher, int flags) {
    saving_abandon();
    if (!save_if_wanted(dispatcher, flags)) return false;
    process_tell_supervisor("STOPPING=1\n");
    process_remove_pid_file();
    if (config.unixsocket[0]) {
        log_write(LOG_NOTICE, "Removing the unix socket file.");
        unlink(config.unixsocket);
    }
    stop_workers();
    return true;
}

void shutdown_give_up(void) {
    exit_code = 1;
    stop_workers();
}

// A command that was let through before clients were held may still wait for its turn to be alone. Exclusive mode.
static bool others_are_between_commands(void) {
    for (unsigned i = 1; i < workers_count(); i++) {
        bool busy;
        worker_heartbeat_ms(worker_at(i), &busy);
        if (busy) return false;
    }
    return true;
}

// Worker 0, itself between two commands.
static void try_to_finish(void) {
    bool failed = false;
    dispatch_begin_exclusive(main_dispatcher);
    if (stage == SHUTDOWN_WAITS_FOR_WORKERS) {
        if (!others_are_between_commands())
            loop_timer_set(main_loop, &retry, clock_mono_us() + RETRY_US);
        else
            failed = !finish(main_dispatcher, pending_flags);
        if (failed) end_pending();
    }
    dispatch_end_exclusive(main_dispatcher);
    if (!failed) return;
    log_write(LOG_WARNING, "Errors trying to shut down the server. Check the logs for more information.");
    tell_waiters("-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
}

static void try_again(struct timer *timer) {
    try_to_finish();
}

static void try_first(void *argument) {
    try_to_finish();
}

// Exclusive mode: from now on clients are held, reading ones too.
static void go_on(void) {
    stage = SHUTDOWN_WAITS_FOR_WORKERS;
    pause_start(PAUSE_BY_SHUTDOWN, main_dispatcher->mono_ms, FOR_EVER, false);
    loop_post(main_loop, try_first, NULL);
}

static bool must_wait(int flags) {
    return !(flags & SHUTDOWN_NOW) && config.shutdown_timeout && !role.replica && replication_replicas() &&
           !replication_all_caught_up();
}

// Exclusive mode.
static void wait_for_replicas(void) {
    if (!must_wait(pending_flags)) {
        go_on();
        return;
    }
    stage = SHUTDOWN_WAITS_FOR_REPLICAS;
    pause_start(PAUSE_BY_SHUTDOWN, main_dispatcher->mono_ms, FOR_EVER, true);
    log_write(LOG_NOTICE, "Waiting for replicas before shutting down.");
}

static void lingered(struct timer *timer) {
    dispatch_begin_exclusive(main_dispatcher);
    if (stage == SHUTDOWN_LINGERS) wait_for_replicas(); // unless it was aborted meanwhile
    dispatch_end_exclusive(main_dispatcher);
}

// Worker 0.
static void handover_ended(bool handed_over) {
    dispatch_begin_exclusive(main_dispatcher);
    if (stage == SHUTDOWN_HANDS_OVER && handed_over)
        stage = SHUTDOWN_LINGERS;
    else if (stage == SHUTDOWN_HANDS_OVER)
        wait_for_replicas(); // it goes down as it would without a cluster
    if (stage == SHUTDOWN_LINGERS) loop_timer_set(main_loop, &linger, clock_mono_us() + LINGER_US);
    dispatch_end_exclusive(main_dispatcher);
}

static bool hands_over(int flags) {
    if (!(flags & SHUTDOWN_FAILOVER) || flags & SHUTDOWN_NOW || !config.shutdown_timeout) return false;
    return handover_begin(main_loop, main_dispatcher, deadline_ms, handover_ended);
}

// Exclusive mode.
static void begin(int flags) {
    log_write(LOG_NOTICE, "User requested shutdown...");
    pending_flags = flags;
    deadline_ms = main_dispatcher->mono_ms + 1000 * (int64_t)config.shutdown_timeout;
    if (hands_over(flags))
        stage = SHUTDOWN_HANDS_OVER;
    else
        wait_for_replicas();
}

void shutdown_cron(struct dispatcher *dispatcher) {
    if (stage != SHUTDOWN_WAITS_FOR_REPLICAS) return;
    bool caught_up = replication_replicas() == 0 || replication_all_caught_up();
    if (!caught_up && dispatcher->mono_ms < deadline_ms) return;
    if (!caught_up) log_write(LOG_WARNING, "Replicas lag behind, and the shutdown-timeout is over.");
    dispatch_begin_exclusive(dispatcher);
    if (stage == SHUTDOWN_WAITS_FOR_REPLICAS) go_on(); // unless it was aborted meanwhile
    dispatch_end_exclusive(dispatcher);
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
    bool interrupt = info.ssi_signo == SIGINT, pending = shutdown_pending();
    if (pending && interrupt) {
        log_write(LOG_WARNING, "You insist... exiting now.");
        process_remove_pid_file();
        _exit(1);
    }
    log_write(LOG_WARNING, "Received %s scheduling shutdown...", interrupt ? "SIGINT" : "SIGTERM");
    dispatch_begin_exclusive(main_dispatcher);
    int flags = interrupt ? config.shutdown_on_sigint : config.shutdown_on_sigterm;
    // The one that was under way may be aborted by now, and this signal with it.
    if (!pending && !shutdown_pending()) begin(flags == SHUTDOWN_DEFAULT ? SHUTDOWN_FAILOVER : flags);
    dispatch_end_exclusive(main_dispatcher);
}

void shutdown_watch_signals(struct loop *loop, struct dispatcher *dispatcher) {
    static struct source source;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    main_dispatcher = dispatcher;
    main_loop = loop;
    timer_init(&retry, try_again);
    timer_init(&linger, lingered);
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
        else if (bytes_is(word, "failover")) *flags |= SHUTDOWN_FAILOVER;
        else if (bytes_is(word, "abort")) *abort_it = true;
        else return false;
    }
    if (*abort_it && *flags) return false;
    if (*flags & SHUTDOWN_NOW && *flags & SHUTDOWN_FAILOVER) return false; // it would have to wait
    return !(*flags & SHUTDOWN_SAVE && *flags & SHUTDOWN_NOSAVE);
}

static void abort_shutdown(struct call *call) {
    if (!shutdown_pending()) {
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
    if (flags & SHUTDOWN_FAILOVER && !settings.cluster_enabled) {
        reply_error(call->reply, "ERR SHUTDOWN FAILOVER is only supported in cluster mode");
        return;
    }
    if (waiter_count == WAITERS_MAX) {
        reply_error(call->reply, "ERR Errors trying to SHUTDOWN. Check logs.");
        return;
    }
    if (!shutdown_pending()) begin(flags | SHUTDOWN_FAILOVER);
    waiters[waiter_count++] = call_defer(call, 0, wait_ran_out);
}

const struct command shutdown_commands[] = {
    {.name = "shutdown",
     .run = shutdown_command,
     .arity = -1,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_NO_MULTI | CMD_ALLOW_BUSY,
     .admission = ADMIT_EXCLUSIVE},
    {.name = NULL},
};
