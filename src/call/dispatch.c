#include "call/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "base/counter.h"
#include "base/crc16.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "call/effects.h"
#include "call/pause.h"
#include "call/route_check.h"
#include "call/watches.h"
#include "keyspace/slot_lock.h"
#include "os/ticks.h"

enum {
    SLOTS_ON_STACK = 64,    // a command of more keys takes its list of slots from the heap
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
    *dispatcher =
        (struct dispatcher){.worker = worker, .keyspace = keyspace, .journal = journal, .gate = gate};
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

void dispatch_prepare(struct dispatcher *dispatcher, const struct session *session, struct prepared *prepared) {
    const struct resp_command *parsed = &prepared->parsed;
    prepared->key = 0;
    prepared->command = command_lookup(parsed->argv, parsed->argc, NULL);
    const struct command *command = prepared->command;
    if (!command || command->keys[0].begin != KEY_BEGIN_INDEX || command->keys[0].index >= parsed->argc) return;
    prepared->key = command->keys[0].index;
    struct bytes key = parsed->argv[prepared->key];
    prepared->slot = hash_slot(key);
    prepared->hash = hash_bytes(key.data, key.size);
    keyspace_prefetch_slot(dispatcher->keyspace, session->db, prepared->slot);
}

void dispatch_prefetch_bucket(struct dispatcher *dispatcher, const struct session *session,
                              const struct prepared *prepared) {
    if (prepared->key) keyspace_prefetch_bucket(dispatcher->keyspace, session->db, prepared->slot, prepared->hash);
}

void dispatch_prefetch_entry(struct dispatcher *dispatcher, const struct session *session,
                             const struct prepared *prepared) {
    if (prepared->key) keyspace_prefetch_entry(dispatcher->keyspace, session->db, prepared->slot, prepared->hash);
}

// --- Admission: which slots, or exclusive.

// The slots that must be locked. `slots` points to `room`, or to the heap.
struct admitted {
    uint16_t *slots;
    unsigned count, capacity;
    unsigned keyed;      // of them, how many hold keys of the command: what it watches is not routed
    uint16_t first_keyed;
    bool exclusive;
    bool bad_keys; // the arguments name fewer keys than they announce
    uint16_t room[SLOTS_ON_STACK];
};

static void add_slot(struct admitted *admitted, unsigned slot) {
    if (admitted->count == admitted->capacity) {
        admitted->capacity *= 2;
        uint16_t *wider = mem_alloc(admitted->capacity * sizeof *wider);
        memcpy(wider, admitted->slots, admitted->count * sizeof *wider);
        if (admitted->slots != admitted->room) mem_free(admitted->slots);
        admitted->slots = wider;
    }
    admitted->slots[admitted->count++] = (uint16_t)slot;
}

static void add_keys(struct admitted *admitted, const struct command *command, const struct bytes *argv, int argc) {
    enum { POSITIONS_ON_STACK = 128 };
    int room[POSITIONS_ON_STACK];
    int *positions = argc <= POSITIONS_ON_STACK ? room : mem_alloc((size_t)argc * sizeof *positions);
    int found = command_keys(command, argv, argc, positions, false);
    if (found < 0) admitted->bad_keys = true;
    for (int i = 0; i < found; i++)
        add_slot(admitted, hash_slot(argv[positions[i]]));
    if (positions != room) mem_free(positions);
}

static int compare_slots(const void *a, const void *b) {
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

static void sort_slots(struct admitted *admitted) {
    if (admitted->count < 2) return;
    qsort(admitted->slots, admitted->count, sizeof *admitted->slots, compare_slots);
    unsigned kept = 1;
    for (unsigned i = 1; i < admitted->count; i++)
        if (admitted->slots[i] != admitted->slots[kept - 1]) admitted->slots[kept++] = admitted->slots[i];
    admitted->count = kept;
}

static bool names_keys(const struct command *command) {
    return command->keys[0].begin != KEY_BEGIN_NONE || command->find_keys;
}

// EXEC needs what its queue needs, all at once; a queued command that looks for keys by itself wants everything.
static void add_queue(struct admitted *admitted, const struct session *session) {
    const struct transaction *transaction = &session->transaction;
    for (int i = 0; i < transaction->count; i++) {
        const struct queued_command *queued = &transaction->queue[i];
        if (queued->command->admission == ADMIT_EXCLUSIVE) admitted->exclusive = true;
        if (names_keys(queued->command))
            add_keys(admitted, queued->command, queued->argv, queued->argc);
        else if (queued->command->flags & (CMD_READONLY | CMD_WRITE))
            admitted->exclusive = true;
    }
}

static void add_watched(struct admitted *admitted, const struct session *session) {
    LIST_EACH(node, (struct list_node *)&session->watches)
        add_slot(admitted, watches_slot(node));
}

static bool is_run_by(const struct command *command, const char *name) {
    return command->name[0] == name[0] && strcmp(command->full_name, name) == 0;
}

// Commands that end a transaction or its watches.
static bool ends_watches(const struct command *command) {
    return command->categories & CAT_TRANSACTION || is_run_by(command, "reset") || is_run_by(command, "quit");
}

static void work_out(struct admitted *admitted, const struct session *session, const struct prepared *prepared) {
    const struct command *command = prepared->command;
    admitted->slots = admitted->room;
    admitted->capacity = SLOTS_ON_STACK;
    admitted->count = 0;
    admitted->bad_keys = false;
    admitted->exclusive = command->admission == ADMIT_EXCLUSIVE;
    const struct key_spec *spec = &command->keys[0];
    if (prepared->key && spec->last == 0 && command->keys[1].begin == KEY_BEGIN_NONE) {
        admitted->room[0] = (uint16_t)prepared->slot;
        admitted->count = 1;
    } else if (names_keys(command)) {
        add_keys(admitted, command, prepared->parsed.argv, prepared->parsed.argc);
    }
    if (__builtin_expect(session->transaction.open, 0) && is_run_by(command, "exec")) add_queue(admitted, session);
    sort_slots(admitted);
    admitted->keyed = admitted->count;
    if (admitted->count) admitted->first_keyed = admitted->slots[0];
    if (__builtin_expect(!list_empty(&session->watches), 0) && ends_watches(command)) {
        add_watched(admitted, session);
        sort_slots(admitted);
    }
}

static void let_in(struct dispatcher *dispatcher, struct admitted *admitted) {
    if (admitted->exclusive)
        dispatch_begin_exclusive(dispatcher);
    else if (admitted->count)
        slot_lock_many(dispatcher->keyspace, admitted->slots, admitted->count);
    dispatcher->held = true; // whatever it nests locks nothing of its own
}

static void let_out(struct dispatcher *dispatcher, struct admitted *admitted) {
    dispatcher->held = false;
    if (admitted->exclusive)
        dispatch_end_exclusive(dispatcher);
    else if (admitted->count)
        slot_unlock_many(dispatcher->keyspace, admitted->slots, admitted->count);
}

static void free_admitted(struct admitted *admitted) {
    if (admitted->slots != admitted->room) mem_free(admitted->slots);
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

// Does the command, or EXEC's queue, have a command with one of these flags?
static bool has_flag(const struct session *session, const struct command *command, uint32_t flags) {
    if (command->flags & flags) return true;
    if (!session->transaction.open || !is_run_by(command, "exec")) return false;
    for (int i = 0; i < session->transaction.count; i++)
        if (session->transaction.queue[i].command->flags & flags) return true;
    return false;
}

static const char *check_writes(const struct session *session, const struct command *command) {
    if (!has_flag(session, command, CMD_WRITE)) return NULL;
    if (role.save_failed && settings.stop_writes_on_bgsave_error && !role.replica)
        return "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. "
               "Commands that may modify the data set are disabled, because this instance is configured to report "
               "errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the "
               "Redis logs for details about the RDB error.";
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
    if (role.replica && !__atomic_load_n(&role.primary_link_up, __ATOMIC_RELAXED) && !settings.replica_serve_stale_data && !(command->flags & CMD_STALE))
        return "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    if (role.loading && !(command->flags & CMD_LOADING)) return "LOADING Redis is loading the dataset in memory";
    return NULL;
}

// --- Running.

// An error was replied; its text stands at `at` in the output.
static void count_error(struct dispatcher *dispatcher, const struct buffer *output, size_t at) {
    counter_add(&counters[dispatcher->worker].errors, 1);
    if (!sinks.error || at >= output->size || output->data[at] != '-') return;
    const char *code = output->data + at + 1;
    unsigned size = 0;
    while (code[size] != ' ' && code[size] != '\r') // the line's end is there
        size++;
    sinks.error(code, size);
}

static void count_time(struct command_counter *counter, uint64_t ns) {
    if (__builtin_expect(!counter->times, 0)) counter->times = mem_calloc(DISPATCH_TIME_BUCKETS, sizeof *counter->times);
    counter->times[dispatch_time_bucket(ns)]++;
}

static void after_reply_mode(struct session *session, size_t output_before) {
    if (session->reply_mode == REPLY_OFF || session->reply_mode == REPLY_SKIP || session->kind == SESSION_PRIMARY)
        session->output.size = output_before;
    if (session->reply_mode == REPLY_SKIP)
        session->reply_mode = REPLY_ON;
    else if (session->reply_mode == REPLY_SKIP_NEXT)
        session->reply_mode = REPLY_SKIP;
}

static bool is_monitored(const struct call *call) {
    return !(call->command->flags & (CMD_SKIP_MONITOR | CMD_ADMIN)) && call->session->kind != SESSION_LOADER;
}

// Runs the command's function and collects its effect.
static void run(struct dispatcher *dispatcher, struct call *call) {
    const struct command *command = call->command;
    bool monitored = __builtin_expect(dispatch_monitors != 0, 0) && is_monitored(call);
    bool ends_queue = monitored && is_run_by(command, "exec"); // monitors see EXEC after what it runs
    if (monitored && !ends_queue) sinks.monitor(dispatcher, call->session, call->argv, call->argc);
    size_t reply_at = call->session->output.size;
    command->run(call);
    if (ends_queue) sinks.monitor(dispatcher, call->session, call->argv, call->argc);
    if (call->changes) {
        counter_add(&counters[dispatcher->worker].changes, call->changes);
        effects_finish(call);
    }
    uint64_t ticks = ticks_now();
    int64_t ns = ticks_to_ns(ticks - dispatcher->ticks);
    dispatcher->ticks = ticks;
    struct command_counter *counter = &counters[dispatcher->worker].by_command[command->number];
    counter_add(&counters[dispatcher->worker].commands, 1);
    counter->calls++;
    counter->nanoseconds += (uint64_t)ns;
    if (call->reply->failed) {
        counter->failed++;
        count_error(dispatcher, &call->session->output, reply_at);
        call->reply->failed = false;
    }
    if (dispatch_track_times) count_time(counter, (uint64_t)ns);
    bool slow = settings.slowlog_log_slower_than >= 0 && ns / 1000 >= settings.slowlog_log_slower_than;
    if (__builtin_expect(slow || settings.latency_monitor_threshold, 0))
        sinks.slow(call->session, command, call->argv, call->argc, ns / 1000);
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
    call->changes = 0;
    call->effect_replaced = false;
    call->hashed_key = (struct bytes){NULL, 0};
}

void dispatch_trusted(struct dispatcher *dispatcher, struct session *session, const struct command *command,
                      const struct bytes *argv, int argc, struct bytes raw) {
    struct reply reply;
    struct call call;
    start_call(&call, dispatcher, session, &reply);
    call.command = command;
    call.argv = argv;
    call.argc = argc;
    call.raw = raw;
    call.in_exec = dispatcher->held;
    if (dispatcher->held) { // EXEC's queue: locks are held, effects are gathered by the outer call
        run(dispatcher, &call);
        return;
    }
    struct prepared prepared = {.parsed = {.argv = (struct bytes *)argv, .argc = argc}, .command = command};
    struct admitted admitted;
    work_out(&admitted, session, &prepared);
    let_in(dispatcher, &admitted);
    call.exclusive = dispatcher->exclusive;
    dispatcher->ticks = ticks_now();
    size_t before = session->output.size;
    run(dispatcher, &call);
    effects_journal(dispatcher, session);
    let_out(dispatcher, &admitted);
    after_reply_mode(session, before);
    free_admitted(&admitted);
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
        if (is_run_by(command, at_once[i])) return false;
    return true;
}

// The last checks, with the slots locked. True: the command runs; else an error was replied, or it must wait.
static bool check_admitted(struct dispatcher *dispatcher, struct session *session, const struct prepared *prepared,
                           const struct admitted *admitted, struct reply *reply, bool *parked) {
    const struct command *command = prepared->command;
    if (admitted->bad_keys) {
        reply_error(reply, "ERR syntax error");
        return false;
    }
    const struct routes *routes = keyspace_routes(dispatcher->keyspace);
    if (routes && admitted->keyed &&
        !route_check(dispatcher, session, prepared, admitted->first_keyed, admitted->keyed, reply))
        return false;
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
    for (unsigned i = 0; i < admitted->count; i++) {
        if (!keyspace_slot_busy(dispatcher->keyspace, admitted->slots[i])) continue;
        session->waiting = WAIT_SLOT;
        session->wait_slot = admitted->slots[i];
        *parked = true;
        return false;
    }
    return true;
}

static bool is_paused(const struct dispatcher *dispatcher, const struct session *session,
                      const struct command *command) {
    if (session->kind != SESSION_NORMAL || is_queued(session, command)) return false;
    return pause_applies(dispatcher->mono_ms, has_flag(session, command, CMD_WRITE | CMD_MAY_REPLICATE));
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
    if (command && is_run_by(command, "exec"))
        abort_exec(dispatcher, session, reply, error_at);
    else if (session->transaction.open)
        session->transaction.failed = true;
    if (command) counters[dispatcher->worker].by_command[command->number].rejected++;
    count_error(dispatcher, reply->out, error_at);
}

static bool make_room(struct dispatcher *dispatcher, struct session *session, const struct command *command,
                      struct reply *reply) {
    if (!settings.maxmemory || session->kind == SESSION_PRIMARY) return true;
    if (role.replica && settings.replica_ignore_maxmemory) return true;
    if (sinks.make_room(dispatcher)) return true;
    if (!has_flag(session, command, CMD_DENYOOM)) return true;
    reply_error(reply, "OOM command not allowed when used memory > 'maxmemory'.");
    return false;
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

// ASKING holds for the next command, or for the whole of the transaction that it opens.
static void forget_asking(struct session *session, const struct command *command) {
    if (__builtin_expect(!session->asking, 1) || session->transaction.open) return;
    if (!command || !is_run_by(command, "asking")) session->asking = false;
}

enum dispatch_result dispatch(struct dispatcher *dispatcher, struct session *session, struct prepared *prepared) {
    struct reply reply = {.out = &session->output, .protocol = session->protocol};
    size_t before = session->output.size;
    const struct command *command = prepared->command;
    if (!check_shape(session, prepared, &reply)) {
        reject(dispatcher, session, command, &reply, before);
        pass_on(dispatcher, session, prepared);
        forget_asking(session, command);
        after_reply_mode(session, before);
        return DISPATCH_DONE;
    }
    if (is_paused(dispatcher, session, command)) {
        session->waiting = WAIT_PAUSED;
        return DISPATCH_PARKED;
    }
    bool parked = false, queued = false, rejected = false;
    if (!make_room(dispatcher, session, command, &reply)) {
        reject(dispatcher, session, command, &reply, before);
    } else {
        struct admitted admitted;
        struct call call;
        work_out(&admitted, session, prepared);
        if (is_queued(session, command)) admitted.exclusive = false;
        let_in(dispatcher, &admitted);
        if (session->kind == SESSION_PRIMARY && session->closing) {
            // Whoever was exclusive before us has ended the link that this came from.
            let_out(dispatcher, &admitted);
            free_admitted(&admitted);
            return DISPATCH_DONE;
        }
        if (!check_admitted(dispatcher, session, prepared, &admitted, &reply, &parked)) {
            rejected = !parked;
        } else if (is_queued(session, command)) {
            enqueue(session, prepared);
            queued = true;
        } else {
            session->last_command = command;
            session->active_ms = dispatcher->mono_ms;
            start_call(&call, dispatcher, session, &reply);
            call.command = command;
            call.argv = prepared->parsed.argv;
            call.argc = prepared->parsed.argc;
            call.raw = prepared->parsed.is_inline ? (struct bytes){NULL, 0} : prepared->parsed.raw;
            if (prepared->key) {
                call.hashed_key = prepared->parsed.argv[prepared->key];
                call.hash = prepared->hash;
                call.slot = prepared->slot;
            }
            run(dispatcher, &call);
            effects_journal(dispatcher, session);
        }
        if (!parked) pass_on(dispatcher, session, prepared);
        let_out(dispatcher, &admitted);
        free_admitted(&admitted);
        if (rejected) reject(dispatcher, session, command, &reply, before);
    }
    if (parked) return DISPATCH_PARKED;
    forget_asking(session, command);
    if (queued) reply_simple(&reply, "QUEUED");
    after_reply_mode(session, before);
    return DISPATCH_DONE;
}

// --- Keys that go by themselves.

static void remove_silently(struct dispatcher *dispatcher, unsigned db, unsigned slot, struct bytes key) {
    struct bytes name = BYTES("DEL");
    struct bytes copy = key; // the entry's own bytes: read them before they are freed
    effects_add(dispatcher, db, 2, (struct bytes[]){name, copy});
    keyspace_touched(dispatcher->keyspace, db, slot, key);
    keyspace_remove(dispatcher->keyspace, db, slot, hash_bytes(key.data, key.size), key);
    counter_add(&counters[dispatcher->worker].changes, 1);
}

void dispatch_expire(struct dispatcher *dispatcher, unsigned db, unsigned slot, struct bytes key) {
    counter_add(&counters[dispatcher->worker].expired, 1);
    remove_silently(dispatcher, db, slot, key);
}

void dispatch_evict(struct dispatcher *dispatcher, unsigned db, unsigned slot, struct bytes key) {
    counter_add(&counters[dispatcher->worker].evicted, 1);
    remove_silently(dispatcher, db, slot, key);
}

void dispatch_drop(struct dispatcher *dispatcher, unsigned db, unsigned slot, struct bytes key) {
    remove_silently(dispatcher, db, slot, key);
}

void dispatch_flush_effects(struct dispatcher *dispatcher) {
    effects_journal(dispatcher, NULL);
}
