#include "call/dispatch.h"

#include <string.h>

#include "base/counter.h"
#include "base/crc16.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "call/admission.h"
#include "call/effects.h"
#include "call/invalidation.h"
#include "call/pause.h"
#include "call/route_check.h"
#include "call/slot_stats.h"
#include "call/tracking.h"
#include "call/watches.h"
#include "keyspace/slot_lock.h"
#include "os/ticks.h"

enum {
    UNKNOWN_ARGUMENTS = 128 // bytes of arguments that the "unknown command" error repeats
};

unsigned dispatch_monitors;
bool dispatch_track_times;
static struct dispatch_sinks sinks;
static _Atomic uint64_t exclusive_count;
static struct dispatch_counters counters[DISPATCHERS_MAX];

void dispatch_set_sinks(const struct dispatch_sinks *chosen) {
    sinks = *chosen;
}

struct dispatch_counters *dispatch_counters(unsigned worker) {
    return &counters[worker];
}

void dispatcher_init(struct dispatcher *dispatcher, unsigned worker, struct keyspace *keyspace, struct journal *journal,
                     struct gate *gate) {
    *dispatcher = (struct dispatcher){
        .worker = worker, .keyspace = keyspace, .journal = journal, .gate = gate, .counters = &counters[worker]};
    if (!counters[worker].by_command)
        counters[worker].by_command = mem_calloc(command_count(), sizeof *counters[worker].by_command);
}

void dispatcher_free(struct dispatcher *dispatcher) {
    buffer_free(&dispatcher->effects);
    buffer_free(&dispatcher->passing);
}

struct dispatcher *call_dispatcher(struct call *call) {
    return call->dispatcher;
}

void dispatch_begin_exclusive(struct dispatcher *dispatcher) {
    gate_close(dispatcher->gate, (int)dispatcher->worker);
    dispatcher->exclusive = dispatcher->held = true;
}

uint64_t dispatch_exclusive_count(void) {
    return atomic_load_explicit(&exclusive_count, memory_order_relaxed);
}

void dispatch_end_exclusive(struct dispatcher *dispatcher) {
    dispatcher->exclusive = dispatcher->held = false;
    atomic_fetch_add_explicit(&exclusive_count, 1, memory_order_relaxed);
    if (sinks.exclusive_ended) sinks.exclusive_ended(dispatcher);
    gate_open(dispatcher->gate, (int)dispatcher->worker);
}

// --- Looking ahead.

static inline void prepare(struct keyspace *keyspace, unsigned db, struct prepared *prepared) {
    const struct resp_command *parsed = &prepared->parsed;
    prepared->key = (struct bytes){NULL, 0};
    const struct command *command = command_recall(parsed->note, parsed->argv, parsed->argc);
    prepared->command = command;
    if (!command || command->first_key == 0 || command->first_key >= parsed->argc) return;
    struct bytes key = parsed->argv[command->first_key];
    prepared->key = key;
    prepared->slot = hash_slot(key);
    prepared->hash = hash_bytes(key.data, key.size);
    keyspace_prefetch_slot(keyspace, db, prepared->slot);
}

void dispatch_prepare_all(struct dispatcher *dispatcher, const struct session *session,
                          struct prepared *prepared, unsigned count) {
    for (struct prepared *at = prepared; at < prepared + count; at++)
        prepare(dispatcher->keyspace, session->db, at);
}

void dispatch_prepare(struct dispatcher *dispatcher, const struct session *session,
                      struct prepared *prepared) {
    prepare(dispatcher->keyspace, session->db, prepared);
}

void dispatch_prefetch_buckets(struct dispatcher *dispatcher, const struct session *session,
                               const struct prepared *prepared, unsigned count) {
    for (const struct prepared *at = prepared; at < prepared + count; at++)
        if (at->key.data) keyspace_prefetch_bucket(dispatcher->keyspace, session->db, at->slot, at->hash);
}

void dispatch_prefetch_entries(struct dispatcher *dispatcher, const struct session *session,
                               const struct prepared *prepared, unsigned count) {
    for (const struct prepared *at = prepared; at < prepared + count; at++)
        if (at->key.data) keyspace_prefetch_entry(dispatcher->keyspace, session->db, at->slot, at->hash);
}

// --- Checks.

static void reject_unknown(struct reply *reply, const struct bytes *argv, int argc) {
    const struct command *container = NULL;
    command_lookup(argv, argc, &container);
    if (container) {
        char *upper = mem_strdup(container->name);
        for (char *at = upper; *at; at++)
            if (*at >= 'a' && *at <= 'z') *at = (char)(*at - 32);
        int shown = argv[1].size > UNKNOWN_ARGUMENTS ? UNKNOWN_ARGUMENTS : (int)argv[1].size;
        reply_errorf(reply, "ERR unknown subcommand '%.*s'. Try %s HELP.", shown, argv[1].data, upper);
        mem_free(upper);
        return;
    }
    struct buffer shown = BUFFER_EMPTY;
    for (int i = 1; i < argc && shown.size < UNKNOWN_ARGUMENTS; i++) {
        size_t room = UNKNOWN_ARGUMENTS - shown.size;
        int size = argv[i].size > room ? (int)room : (int)argv[i].size;
        buffer_appendf(&shown, "'%.*s' ", size, argv[i].data);
    }
    int size = argv[0].size > UNKNOWN_ARGUMENTS ? UNKNOWN_ARGUMENTS : (int)argv[0].size;
    reply_errorf(reply, "ERR unknown command '%.*s', with args beginning with: %s", size, argv[0].data,
                 shown.size ? buffer_string(&shown) : "");
    buffer_free(&shown);
}

// A browser that was tricked into talking to us: it is not even answered.
static bool speaks_http(struct bytes name) {
    return bytes_is(name, "post") || bytes_is(name, "host:");
}

// What can be told without any lock: name, shape, user. False: an error was replied.
static bool check_shape(struct session *session, const struct prepared *prepared, struct reply *reply) {
    const struct command *command = prepared->command;
    const struct resp_command *parsed = &prepared->parsed;
    if (!command && speaks_http(parsed->argv[0])) {
        log_write(LOG_WARNING, "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: "
                               "commands to Redis. This is likely due to an attacker attempting to use Cross Protocol "
                               "Scripting to compromise your Redis instance. Connection from %s aborted.",
                  session->address);
        session->close_after_reply = true;
        return false;
    }
    if (!command) {
        reject_unknown(reply, parsed->argv, parsed->argc);
        return false;
    }
    if (!command_arity_fits(command, parsed->argc) || !command->run) {
        reply_errorf(reply, "ERR wrong number of arguments for '%s' command", command->full_name);
        return false;
    }
    if (command->flags & CMD_PROTECTED && !settings.enable_debug) {
        reply_error(reply, "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", "
                           "you can run it from a local connection, otherwise you need to set this option in the "
                           "configuration file, and then restart the server.");
        return false;
    }
    if (!session->authenticated && !(command->flags & CMD_NO_AUTH)) {
        reply_error(reply, "NOAUTH Authentication required.");
        return false;
    }
    return true;
}

// Is there a command, be it in EXEC's queue, that has one of these flags (`has`), or that has none of them?
static bool some_command(const struct session *session, const struct command *command, uint32_t flags, bool has) {
    if (((command->flags & flags) != 0) == has) return true;
    if (!session->transaction.open || !command_is(command, "exec")) return false;
    for (int i = 0; i < session->transaction.count; i++)
        if (((session->transaction.queue[i].command->flags & flags) != 0) == has) return true;
    return false;
}

static bool has_flag(const struct session *session, const struct command *command, uint32_t flags) {
    return some_command(session, command, flags, true);
}

static bool lacks_flag(const struct session *session, const struct command *command, uint32_t flag) {
    return some_command(session, command, flag, false);
}

static bool is_unable_to_save(void) {
    return role.save_failed && settings.saves_by_itself && settings.stop_writes_on_bgsave_error &&
           !role.replica;
}

static const char *check_writes(const struct session *session, const struct command *command) {
    bool writes = has_flag(session, command, CMD_WRITE);
    bool asks_how_we_are = command_is(command, "ping");
    if ((writes || asks_how_we_are) && is_unable_to_save())
        return "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. "
               "Commands that may modify the data set are disabled, because this instance is configured to report "
               "errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the "
               "Redis logs for details about the RDB error.";
    if (!writes) return NULL;
    if (!role.replica && settings.min_replicas_to_write && settings.min_replicas_max_lag &&
        __atomic_load_n(&role.good_replicas, __ATOMIC_RELAXED) < settings.min_replicas_to_write)
        return "NOREPLICAS Not enough good replicas to write.";
    if (role.replica && settings.replica_read_only) return "READONLY You can't write against a read only replica.";
    return NULL;
}

// What depends on the state of the server: role, loading, saving. NULL: fine.
static const char *check_state(const struct session *session, const struct command *command) {
    if (session->kind == SESSION_PRIMARY) return NULL;
    const char *error = check_writes(session, command);
    if (error) return error;
    bool stale = role.replica && !__atomic_load_n(&role.primary_link_up, __ATOMIC_RELAXED);
    if (stale && !settings.replica_serve_stale_data && lacks_flag(session, command, CMD_STALE))
        return "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    if (role.loading && lacks_flag(session, command, CMD_LOADING))
        return "LOADING Redis is loading the dataset in memory";
    return NULL;
}

// --- Running.

// An error was replied; its text stands at `at` in the output.
static void count_error(struct dispatcher *dispatcher, const struct buffer *output, size_t at) {
    counter_add(&dispatcher->counters->errors, 1);
    if (!sinks.error || at >= output->size || output->data[at] != '-') return;
    const char *code = output->data + at + 1;
    unsigned size = 0;
    while (code[size] != ' ' && code[size] != '\r') // the line's end is there
        size++;
    sinks.error(code, size);
}

__attribute__((noinline)) static void make_times(struct command_counter *counter) {
    counter->times = mem_calloc(DISPATCH_TIME_BUCKETS, sizeof *counter->times);
}

static inline void count_time(struct command_counter *counter, uint64_t ticks) {
    if (__builtin_expect(!counter->times, 0)) make_times(counter);
    counter->times[dispatch_time_bucket(ticks)]++;
}

static void after_reply_mode(struct session *session, size_t output_before) {
    if (session->reply_mode == REPLY_OFF || session->reply_mode == REPLY_SKIP ||
        session->kind == SESSION_PRIMARY) {
        session->output.size = output_before;
        attachments_cut(&session->attachments, output_before);
    }
    if (session->reply_mode == REPLY_SKIP)
        session->reply_mode = REPLY_ON;
    else if (session->reply_mode == REPLY_SKIP_NEXT)
        session->reply_mode = REPLY_SKIP;
}

static bool is_monitored(const struct call *call) {
    return !(call->command->flags & (CMD_SKIP_MONITOR | CMD_ADMIN)) && call->session->kind != SESSION_LOADER;
}

// Counts a call that has ended, and how long it took.
static inline void count_call(struct dispatcher *dispatcher, const struct call *call) {
    uint64_t now = ticks_now(), ticks = now - dispatcher->ticks;
    dispatcher->ticks = now;
    struct dispatch_counters *mine = dispatcher->counters;
    struct command_counter *counter = &mine->by_command[call->command->number];
    counter_add(&mine->commands, 1);
    counter->calls++;
    counter->ticks += ticks;
    if (dispatch_track_times) count_time(counter, ticks);
    if (__builtin_expect(ticks >= dispatcher->slow_ticks, 0))
        sinks.slow(call->session, call->command, call->argv, call->argc, ticks_to_ns(ticks) / 1000);
}

static const int64_t FOR_EVER_US = 1000 * 1000 * (int64_t)1000 * 1000; // eleven days: nothing is slower than that

static void look_at_slow_limit(struct dispatcher *dispatcher) {
    dispatcher->slow_ticks = UINT64_MAX;
    int64_t slower_than_us = settings.slowlog_log_slower_than;
    if (slower_than_us >= 0 && slower_than_us < FOR_EVER_US)
        dispatcher->slow_ticks = ticks_of_ns((uint64_t)slower_than_us * 1000);
    if (settings.latency_monitor_threshold)
        dispatcher->slow_ticks = 0; // whoever gets them all judges by himself
}

// Runs the command's function and collects its effect.
static inline void run_quietly(struct dispatcher *dispatcher, struct call *call) {
    size_t reply_at = call->session->output.size;
    call->command->run(call);
    if (call->changes) {
        counter_add(&dispatcher->counters->changes, call->changes);
        effects_finish(call);
    }
    if (__builtin_expect(call->reply->failed, 0)) {
        dispatcher->counters->by_command[call->command->number].failed++;
        count_error(dispatcher, &call->session->output, reply_at);
        call->reply->failed = false;
    }
}

enum { LINGER_NS = 1000 * 1000 };

void call_lingers(struct call *call) {
    struct dispatcher *dispatcher = call->dispatcher;
    if (call->exclusive || call->in_exec) return;
    if (call->session->kind == SESSION_PRIMARY) return; // no client's command: the worker has nothing of it to cut off
    if (ticks_to_ns(ticks_now() - dispatcher->ticks) < LINGER_NS) return;
    if (sinks.lingers) sinks.lingers(dispatcher);
    if (gate_make_way(dispatcher->gate, dispatcher->worker)) dispatch_look_around(dispatcher);
}

// Likewise, under the eyes of monitors. They see EXEC after what it runs.
static void run(struct dispatcher *dispatcher, struct call *call) {
    bool monitored = __builtin_expect(dispatch_monitors != 0, 0) && is_monitored(call);
    bool ends_queue = monitored && command_is(call->command, "exec");
    if (monitored && !ends_queue) sinks.monitor(dispatcher, call->session, call->argv, call->argc);
    run_quietly(dispatcher, call);
    if (call->session->tracking) tracking_note_reads(call);
    look_at_slow_limit(dispatcher); // it may have been CONFIG SET, which is judged by what it set
    if (ends_queue) sinks.monitor(dispatcher, call->session, call->argv, call->argc);
    count_call(dispatcher, call);
}

static void start_call(struct call *call, struct dispatcher *dispatcher, struct session *session, struct reply *reply) {
    *reply = (struct reply){.out = &session->output, .protocol = session->protocol};
    call->session = session;
    call->reply = reply;
    call->keyspace = dispatcher->keyspace;
    call->db = session->db;
    call->now_ms = dispatcher->now_ms;
    call->worker = dispatcher->worker;
    call->exclusive = dispatcher->exclusive;
    call->dispatcher = dispatcher;
    call->in_exec = false;
}

// Gives the call a command, its first or its next one.
static inline void take_prepared(struct call *call, const struct prepared *prepared) {
    call->command = prepared->command;
    call->argv = prepared->parsed.argv;
    call->argc = prepared->parsed.argc;
    call->prepared = prepared;
    call->changes = 0;
    call->effect_replaced = false;
}

void dispatch_trusted(struct dispatcher *dispatcher, struct session *session, const struct command *command,
                      const struct bytes *argv, int argc, struct bytes raw) {
    struct reply reply;
    struct call call;
    start_call(&call, dispatcher, session, &reply);
    struct prepared prepared = {.parsed = {.argv = (struct bytes *)argv, .argc = argc, .raw = raw},
                                .command = command};
    take_prepared(&call, &prepared);
    call.in_exec = dispatcher->held;
    if (dispatcher->held) { // EXEC's queue: locks are held, effects are gathered by the outer call
        run(dispatcher, &call);
        return;
    }
    struct admitted admission;
    admission_work_out(&admission, session, &prepared);
    admission_let_in(dispatcher, &admission);
    call.exclusive = dispatcher->exclusive;
    dispatcher->ticks = ticks_now();
    size_t before = session->output.size;
    run(dispatcher, &call);
    effects_journal(dispatcher, session);
    admission_let_out(dispatcher, &admission);
    after_reply_mode(session, before);
    admission_free(&admission);
}

// MULTI's queue: a copy of the arguments in one block.
static void enqueue(struct session *session, const struct prepared *prepared) {
    const struct resp_command *parsed = &prepared->parsed;
    struct transaction *transaction = &session->transaction;
    if (transaction->count == transaction->capacity) {
        transaction->capacity = transaction->capacity ? transaction->capacity * 2 : 8;
        transaction->queue = mem_realloc(transaction->queue, (size_t)transaction->capacity * sizeof *transaction->queue);
    }
    size_t size = (size_t)parsed->argc * sizeof(struct bytes);
    for (int i = 0; i < parsed->argc; i++)
        size += parsed->argv[i].size;
    struct bytes *argv = mem_alloc(size);
    char *at = (char *)(argv + parsed->argc);
    for (int i = 0; i < parsed->argc; i++) {
        argv[i] = bytes_of(at, parsed->argv[i].size);
        if (argv[i].size) memcpy(at, parsed->argv[i].data, argv[i].size);
        at += argv[i].size;
    }
    transaction->queue[transaction->count++] =
        (struct queued_command){.command = prepared->command, .argv = argv, .argc = parsed->argc};
    transaction->memory += size;
}

static bool is_queued(const struct session *session, const struct command *command) {
    if (__builtin_expect(!session->transaction.open, 1)) return false;
    static const char *const at_once[] = {"exec", "discard", "multi", "watch", "quit", "reset"};
    for (size_t i = 0; i < sizeof at_once / sizeof *at_once; i++)
        if (command_is(command, at_once[i])) return false;
    return true;
}

static bool is_paused(const struct dispatcher *dispatcher, const struct session *session,
                      const struct command *command) {
    if (session->kind != SESSION_NORMAL || is_queued(session, command)) return false;
    return pause_applies(dispatcher->mono_ms, has_flag(session, command, CMD_WRITE | CMD_MAY_REPLICATE));
}

// The last checks, with the slots locked. True: the command runs; else an error was replied, or it must wait.
static bool check_admitted(struct dispatcher *dispatcher, struct session *session,
                           const struct prepared *prepared, const struct admitted *admission, bool has_room,
                           struct reply *reply, bool *parked) {
    const struct command *command = prepared->command;
    // On its way to be exclusive it was outside the gate: whoever paused writes then takes them for paused.
    if (admission->exclusive && is_paused(dispatcher, session, command)) {
        session->waiting = WAIT_PAUSED;
        *parked = true;
        return false;
    }
    if (admission->bad_keys) {
        reply_error(reply, "ERR syntax error");
        return false;
    }
    const struct routes *routes = keyspace_routes(dispatcher->keyspace);
    if (routes && admission->keyed &&
        !route_check(dispatcher, session, prepared, admission->first_keyed, admission->keyed, reply))
        return false;
    if (!has_room) { // not sooner: whoever is at the wrong node is told the right one
        reply_error(reply, "OOM command not allowed when used memory > 'maxmemory'.");
        return false;
    }
    const char *error = check_state(session, command);
    if (error) {
        reply_error(reply, error);
        return false;
    }
    if (session->transaction.open && command->flags & CMD_NO_MULTI) {
        reply_error(reply, "ERR Command not allowed inside a transaction");
        return false;
    }
    if (!has_flag(session, command, CMD_WRITE) || is_queued(session, command)) return true;
    if (session->kind == SESSION_PRIMARY) return true; // its stream can't be put off
    for (unsigned i = 0; i < admission->count; i++) {
        if (!keyspace_slot_busy(dispatcher->keyspace, admission->slots[i])) continue;
        session->waiting = WAIT_SLOT;
        session->wait_slot = admission->slots[i];
        *parked = true;
        return false;
    }
    return true;
}

// A redirection says where to go, and nothing else.
static bool is_redirection(const char *error) {
    static const char *const codes[] = {"-MOVED ", "-ASK ", "-CROSSSLOT ", "-CLUSTERDOWN ", "-TRYAGAIN "};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strncmp(error, codes[i], strlen(codes[i])) == 0) return true;
    return false;
}

static void tell_why_aborted(struct reply *reply, size_t error_at) {
    struct buffer *out = reply->out;
    buffer_string(out);
    if (is_redirection(out->data + error_at)) return;
    size_t skip = strncmp(out->data + error_at, "-ERR ", 5) == 0 ? 5 : 1;
    char *reason = bytes_to_string(bytes_of(out->data + error_at + skip, out->size - error_at - skip - 2));
    out->size = error_at;
    reply_errorf(reply, "EXECABORT Transaction discarded because of: %s", reason);
    mem_free(reason);
}

// EXEC that can't run: its error tells why the transaction is gone.
static void abort_exec(struct dispatcher *dispatcher, struct session *session, struct reply *reply, size_t error_at) {
    tell_why_aborted(reply, error_at);
    session_empty_queue(session);
    watches_clear(session, dispatcher->keyspace, false);
}

// A command that can't run breaks the transaction that it was meant for.
static void reject(struct dispatcher *dispatcher, struct session *session, const struct command *command,
                   struct reply *reply, size_t error_at) {
    if (command && command_is(command, "exec"))
        abort_exec(dispatcher, session, reply, error_at);
    else if (session->transaction.open)
        session->transaction.failed = true;
    if (command) dispatcher->counters->by_command[command->number].rejected++;
    count_error(dispatcher, reply->out, error_at);
}

// The queue of a transaction takes memory, whatever is put into it; so all but what ends it is refused.
static bool grows_queue(const struct session *session, const struct command *command) {
    if (!session->transaction.open) return false;
    static const char *const ends[] = {"exec", "discard", "quit", "reset"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (command_is(command, ends[i])) return false;
    return true;
}

// Makes room where that is needed and possible. False: there is none for this command.
static bool make_room(struct dispatcher *dispatcher, const struct session *session,
                      const struct command *command) {
    if (!settings.maxmemory || session->kind == SESSION_PRIMARY) return true;
    if (role.replica && settings.replica_ignore_maxmemory) return true;
    if (sinks.make_room(dispatcher)) return true;
    return !has_flag(session, command, CMD_DENYOOM) && !grows_queue(session, command);
}

// A replica's journal repeats its primary's bytes, a transaction's all at once: a snapshot never falls into its middle.
static void pass_on(struct dispatcher *dispatcher, struct session *session, const struct prepared *prepared) {
    if (__builtin_expect(session->kind != SESSION_PRIMARY, 1)) return;
    buffer_append_bytes(&dispatcher->passing, prepared->parsed.raw);
    if (session->transaction.open) return;
    if (journal_active(dispatcher->journal))
        journal_append(dispatcher->journal, dispatcher->worker, -1, buffer_bytes(&dispatcher->passing));
    dispatcher->passing.size = 0;
}

// ASKING and CLIENT CACHING hold for the next command, or for the whole of the transaction that it opens.
static void forget_passing(struct session *session, const struct command *command) {
    if (session->tracking) tracking_end_command(session, command);
    if (__builtin_expect(!session->asking, 1) || session->transaction.open) return;
    if (!command || !command_is(command, "asking")) session->asking = false;
}

// Runs or queues a command that nothing stands against.
static void carry_out(struct dispatcher *dispatcher, struct session *session, const struct prepared *prepared,
                      struct reply *reply) {
    if (is_queued(session, prepared->command)) {
        bool in_vain = session->transaction.failed || watches_changed(session); // EXEC will run none of them
        if (!in_vain) enqueue(session, prepared);
        reply_simple(reply, "QUEUED");
        return;
    }
    struct call call;
    start_call(&call, dispatcher, session, reply);
    take_prepared(&call, prepared);
    run(dispatcher, &call);
    effects_journal(dispatcher, session);
}

// --- What slots cost.

// What was so before a command began.
struct cost_mark {
    uint64_t ticks;
    size_t output;
};

static inline struct cost_mark mark_cost(const struct dispatcher *dispatcher, const struct session *session) {
    return (struct cost_mark){.ticks = dispatcher->ticks, .output = session_output_size(session)};
}

static inline void count_cost(const struct dispatcher *dispatcher, const struct session *session,
                              const struct prepared *prepared, unsigned slot, struct cost_mark before) {
    bool is_answered = session->reply_mode == REPLY_ON && session->kind != SESSION_PRIMARY;
    struct slot_stats cost = {.ticks = dispatcher->ticks - before.ticks,
                              .bytes_in = prepared->parsed.raw.size,
                              .bytes_out = is_answered ? session_output_size(session) - before.output : 0};
    slot_stats_count(slot, &cost);
}

// Lets the command in, checks what can be checked only then, and carries it out.
static enum dispatch_result admit(struct dispatcher *dispatcher, struct session *session,
                                  const struct prepared *prepared, bool has_room, struct reply *reply,
                                  size_t before) {
    const struct command *command = prepared->command;
    struct admitted admission;
    bool parked = false, rejected = false;
    admission_work_out(&admission, session, prepared);
    if (is_queued(session, command)) admission.exclusive = false;
    admission_let_in(dispatcher, &admission);
    // Whoever was exclusive before us may have ended the link that this came from.
    bool cut_off = session->kind == SESSION_PRIMARY && session->closing;
    if (!cut_off) {
        struct cost_mark mark = mark_cost(dispatcher, session);
        if (check_admitted(dispatcher, session, prepared, &admission, has_room, reply, &parked)) {
            carry_out(dispatcher, session, prepared, reply);
            if (admission.keyed == 1 && slot_stats_are_on())
                count_cost(dispatcher, session, prepared, admission.first_keyed, mark);
        } else {
            rejected = !parked;
        }
        if (!parked) pass_on(dispatcher, session, prepared);
    }
    admission_let_out(dispatcher, &admission);
    admission_free(&admission);
    if (rejected) reject(dispatcher, session, command, reply, before);
    if (parked) return DISPATCH_PARKED;
    if (cut_off) return DISPATCH_DONE;
    forget_passing(session, command);
    after_reply_mode(session, before);
    return DISPATCH_DONE;
}

// A command in any state of session and server.
__attribute__((noinline)) static enum dispatch_result
dispatch_any(struct dispatcher *dispatcher, struct session *session, const struct prepared *prepared) {
    struct reply reply = {.out = &session->output, .protocol = session->protocol};
    size_t before = session->output.size;
    const struct command *command = prepared->command;
    session->last_command = command; // even if it is refused, or queued
    session->active_ms = dispatcher->mono_ms;
    if (!check_shape(session, prepared, &reply)) {
        reject(dispatcher, session, command, &reply, before);
        pass_on(dispatcher, session, prepared);
    } else if (is_paused(dispatcher, session, command)) {
        session->waiting = WAIT_PAUSED;
        return DISPATCH_PARKED;
    } else {
        bool has_room = make_room(dispatcher, session, command); // with no slot locked
        return admit(dispatcher, session, prepared, has_room, &reply, before);
    }
    forget_passing(session, command);
    after_reply_mode(session, before);
    return DISPATCH_DONE;
}

// --- The short way: a command that needs one slot, from a client in no special state, while the server is in
// none.

void dispatch_look_around(struct dispatcher *dispatcher) {
    const struct routes *routes = keyspace_routes(dispatcher->keyspace);
    bool stale = role.replica && !__atomic_load_n(&role.primary_link_up, __ATOMIC_RELAXED) &&
                 !settings.replica_serve_stale_data;
    bool reads = !role.loading && !stale && !dispatch_monitors && (!routes || routes->cluster_ok) &&
                 !pause_applies(dispatcher->mono_ms, false);
    bool writes = reads && !role.save_failed && !settings.min_replicas_to_write && !role.replica &&
                  !pause_applies(dispatcher->mono_ms, true);
    unsigned plain = (reads ? COMMAND_PLAIN_READ : 0) | (writes ? COMMAND_PLAIN_WRITE : 0);
    bool counted = slot_stats_are_on();
    dispatcher->plain = counted ? 0 : plain;
    dispatcher->plain_counted = counted ? plain : 0;
    look_at_slow_limit(dispatcher);
}

static inline bool is_in_no_special_state(const struct session *session) {
    return session->kind == SESSION_NORMAL && session->reply_mode == REPLY_ON && session->authenticated &&
           !session->transaction.open && !session->asking && !session->closing && !session->tracking;
}

static inline bool is_served_here(const struct routes *routes, unsigned slot) {
    return !routes || (routes->owner[slot] == routes->myself && !routes->state[slot]);
}

// `plain`: those commands that may go this way.
static inline bool is_plain(struct dispatcher *dispatcher, const struct prepared *prepared, unsigned plain) {
    const struct command *command = prepared->command;
    return command && command->plain & plain && command_arity_fits(command, prepared->parsed.argc) &&
           is_served_here(keyspace_routes(dispatcher->keyspace), prepared->slot) &&
           (!settings.maxmemory || sinks.make_room(dispatcher));
}

// A writer may find that its slot is busy.
static inline bool must_wait_for_slot(struct dispatcher *dispatcher, const struct prepared *prepared) {
    return prepared->command->plain == COMMAND_PLAIN_WRITE &&
           __builtin_expect(keyspace_slot_busy(dispatcher->keyspace, prepared->slot), 0);
}

// False: nothing was done, it has to wait.
static inline __attribute__((always_inline)) bool run_plain(struct dispatcher *dispatcher, struct call *call,
                                                            const struct prepared *prepared, bool counted) {
    slot_lock(dispatcher->keyspace, prepared->slot);
    if (must_wait_for_slot(dispatcher, prepared)) {
        slot_unlock(dispatcher->keyspace, prepared->slot);
        return false;
    }
    struct cost_mark mark = mark_cost(dispatcher, call->session);
    dispatcher->held = true;
    take_prepared(call, prepared);
    run_quietly(dispatcher, call);
    count_call(dispatcher, call);
    if (counted) count_cost(dispatcher, call->session, prepared, prepared->slot, mark);
    effects_journal(dispatcher, call->session);
    dispatcher->held = false;
    slot_unlock(dispatcher->keyspace, prepared->slot);
    return true;
}

// Runs those of the session's commands that can go the short way, up to the first that can't; their number. A
// plain command leaves the session's state alone, so that it is looked at once. `counted` is known when this
// is compiled: where nothing is counted, that costs nothing.
static inline __attribute__((always_inline)) unsigned
run_all_plain(struct dispatcher *dispatcher, struct session *session, const struct prepared *prepared,
              unsigned count, unsigned plain, bool counted) {
    if (!is_in_no_special_state(session)) return 0;
    struct reply reply;
    struct call call;
    start_call(&call, dispatcher, session, &reply);
    unsigned done = 0;
    while (done < count && is_plain(dispatcher, &prepared[done], plain) &&
           run_plain(dispatcher, &call, &prepared[done], counted))
        done++;
    if (done == 0) return 0;
    session->last_command = prepared[done - 1].command;
    session->active_ms = dispatcher->mono_ms;
    return done;
}

// The short way with the costs counted; kept apart, so that the other is as short as it can be.
__attribute__((noinline)) static unsigned run_all_plain_counted(struct dispatcher *dispatcher,
                                                                struct session *session,
                                                                const struct prepared *prepared,
                                                                unsigned count) {
    return run_all_plain(dispatcher, session, prepared, count, dispatcher->plain_counted, true);
}

enum dispatch_result dispatch_some(struct dispatcher *dispatcher, struct session *session,
                                   const struct prepared *prepared, unsigned count, unsigned *taken) {
    unsigned plain = run_all_plain(dispatcher, session, prepared, count, dispatcher->plain, false);
    if (dispatcher->plain_counted) plain = run_all_plain_counted(dispatcher, session, prepared, count);
    *taken = plain;
    if (plain == count) return DISPATCH_DONE;
    // What plain commands changed before is told before this one's reply; what this one changes, after it.
    if (invalidation_noted) invalidation_settle(dispatcher, NULL);
    enum dispatch_result result = dispatch_any(dispatcher, session, &prepared[plain]);
    if (invalidation_noted) invalidation_settle(dispatcher, session);
    dispatch_look_around(dispatcher);
    *taken += result == DISPATCH_DONE;
    return result;
}

enum dispatch_result dispatch(struct dispatcher *dispatcher, struct session *session,
                              const struct prepared *prepared) {
    unsigned taken;
    return dispatch_some(dispatcher, session, prepared, 1, &taken);
}

// --- Keys that go by themselves.

static void remove_silently(struct dispatcher *dispatcher, unsigned db, unsigned slot, struct bytes key) {
    struct bytes name = BYTES("DEL");
    struct bytes copy = key; // the entry's own bytes: read them before they are freed
    effects_add(dispatcher, db, 2, (struct bytes[]){name, copy});
    keyspace_vanished(dispatcher->keyspace, db, slot, key);
    keyspace_remove(dispatcher->keyspace, db, slot, hash_bytes(key.data, key.size), key);
    counter_add(&dispatcher->counters->changes, 1);
}

void dispatch_expire(struct dispatcher *dispatcher, unsigned db, unsigned slot, struct bytes key) {
    counter_add(&dispatcher->counters->expired, 1);
    remove_silently(dispatcher, db, slot, key);
}

void dispatch_evict(struct dispatcher *dispatcher, unsigned db, unsigned slot, struct bytes key) {
    counter_add(&dispatcher->counters->evicted, 1);
    remove_silently(dispatcher, db, slot, key);
}

void dispatch_drop(struct dispatcher *dispatcher, unsigned db, unsigned slot, struct bytes key) {
    remove_silently(dispatcher, db, slot, key);
}

void dispatch_flush_effects(struct dispatcher *dispatcher) {
    effects_journal(dispatcher, NULL);
}
