#include "server/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/counter.h"
#include "base/log.h"
#include "base/memory.h"
#include "call/pause.h"
#include "call/invalidation.h"
#include "os/clock.h"
#include "os/cores.h"
#include "os/thread.h"
#include "os/ticks.h"
#include "server/crew.h"
#include "server/worker_private.h"

enum {
    MOVE_NS = 5000,             // about what it takes to hand a client to another worker, on both sides
    EARLY_READS = 16,           // so many reads a client has only just come
    REPLICA_CHUNK = 256 * 1024, // bytes sent to a replica in one turn, at most
    CRON_PERIOD_US = 100 * 1000,
    PARKED_WAIT_MS = 60 * 1000, // a worker with waiting clients looks at them at least this often
    BUFFER_IDLE_MS = 2000,  // an empty input buffer is given back after this
};

static struct worker *workers[WORKERS_MAX];
static unsigned worker_total;
static atomic_bool stopping;
struct worker_hooks worker_hooks;
struct connection_limits connection_limits;

static struct connection *connection_of(struct source *source) {
    return LIST_ENTRY(source, struct connection, source);
}

void worker_set_hooks(const struct worker_hooks *chosen) {
    worker_hooks = *chosen;
}

unsigned workers_count(void) {
    return worker_total;
}

struct worker *worker_at(unsigned index) {
    return workers[index];
}

struct loop *worker_loop(struct worker *worker) {
    return worker->loop;
}

struct dispatcher *worker_dispatcher(struct worker *worker) {
    return &worker->dispatcher;
}

// --- Connections come and go.

// Its place may be elsewhere by now: looked for when the turn ends. Not while it has only just come: what it says first
// may tie it to its worker, and all would be tied to the few that serve at that moment.
static void note_unsettled(struct connection *connection) {
    if (connection->crew == crew_now()) return;
    if (connection->early_reads < EARLY_READS)
        connection->early_reads++;
    else
        enlist(&connection->worker->unsettled, &connection->unsettled);
}

static void read_connection(struct connection *connection) {
    struct worker *worker = connection->worker;
    size_t count;
    enum read_result result = connection_read(connection, connection_limits.query_buffer, &count);
    counter_add(&worker->network.reads, 1);
    gather_count(&worker->gather, connection->session.active_ms != worker->dispatcher.mono_ms);
    if (count) connection->session.active_ms = worker->dispatcher.mono_ms; // a long command that comes slowly is no idleness
    counter_add(&worker->network.bytes_in, count);
    if (connection->input.size > worker->largest_input) worker->largest_input = connection->input.size;
    list_remove(&connection->hungry);
    if (result == READ_CLOSED) {
        worker_close(connection);
    } else if (result == READ_OVER_LIMIT) {
        struct buffer line = BUFFER_EMPTY;
        session_describe(&connection->session, worker->dispatcher.mono_ms, &line);
        log_write(LOG_WARNING, "Closing client that reached max query buffer length: %s", buffer_string(&line));
        buffer_free(&line);
        counter_add(&worker->network.query_buffer_kills, 1);
        worker_close(connection);
    } else {
        if (connection->readable) enlist(&worker->hungry, &connection->hungry);
        if (result == READ_SOME && list_empty(&connection->parked)) enlist(&worker->ready, &connection->ready);
        note_unsettled(connection);
    }
}

void worker_connection_ready(struct source *source, uint32_t events) {
    struct connection *connection = connection_of(source);
    // Closed when this turn began (look_over): its event had been fetched before, and its socket is another's by now.
    if (connection->session.closing) return;
    if (events & POLLER_WRITE && connection->blocked) {
        connection->blocked = false;
        mark_dirty(connection);
    }
    if (events & POLLER_READ) read_connection(connection);
    // The peer has closed: a short read was not the end, which must be fetched after what was read is executed.
    if (events & POLLER_HANGUP && !connection->session.closing)
        enlist(&connection->worker->hungry, &connection->hungry);
}

// --- Commands.

static void fail_protocol(struct connection *connection) {
    struct reply reply = {.out = &connection->session.output, .protocol = connection->session.protocol};
    reply_errorf(&reply, "ERR Protocol error: %s", connection->protocol_error);
    log_write(LOG_VERBOSE, "Protocol error (%s) from client %s", connection->protocol_error,
              connection->session.address);
    connection->protocol_error = NULL;
    connection->session.close_after_reply = true;
    mark_dirty(connection);
}

static void limits_of(const struct session *session, struct resp_limits *limits) {
    limits->bulk_max = settings.proto_max_bulk_len;
    limits->arguments_max = INT32_MAX;
    limits->unauthenticated = !session->authenticated;
}

static struct bytes unparsed(const struct connection *connection) {
    return bytes_of(connection->input.data + connection->parsed, connection->input.size - connection->parsed);
}

// Parses the everyday commands that come next.
static void parse_known(struct worker *worker, struct wave_part *part, const struct resp_limits *limits,
                        unsigned most) {
    struct connection *connection = part->connection;
    struct prepared *first = &part->commands[part->count];
    struct bytes input = unparsed(connection);
    unsigned count = resp_parse_known(&connection->parser, &worker->batch, &input, limits, &first->parsed,
                                      sizeof *first, most - part->count);
    connection->parsed = connection->input.size - input.size;
    dispatch_prepare_all(&worker->dispatcher, &connection->session, first, count);
    part->count += count;
}

// Parses whatever comes next.
static enum resp_result parse_one(struct worker *worker, struct wave_part *part,
                                  const struct resp_limits *limits) {
    struct connection *connection = part->connection;
    struct prepared *prepared = &part->commands[part->count];
    enum resp_result result =
        resp_parse(&connection->parser, &worker->batch, unparsed(connection), limits, &prepared->parsed);
    if (result == RESP_PROTOCOL_ERROR) connection->protocol_error = connection->parser.error;
    if (result != RESP_COMMAND) return result;
    connection->parsed += prepared->parsed.raw.size;
    if (prepared->parsed.argc) {
        dispatch_prepare(&worker->dispatcher, &connection->session, prepared);
        part->count++;
    } else if (part->count == 0) {
        connection->executed = connection->parsed;
    }
    return result;
}

// What follows an inline command shares its memory.
static bool ends_inline(const struct wave_part *part) {
    return part->count && part->commands[part->count - 1].parsed.is_inline;
}

// Parses commands of one client into its part of the wave. True: there may be more of it for a later wave.
static bool parse_some(struct worker *worker, struct wave_part *part) {
    struct resp_limits limits;
    limits_of(&part->connection->session, &limits);
    unsigned room = WAVE_MAX - worker->filled, most = room < WAVE_PER_CLIENT ? room : WAVE_PER_CLIENT;
    if (limits.unauthenticated) most = 1; // what follows AUTH has other limits
    for (;;) {
        parse_known(worker, part, &limits, most);
        if (part->count == most) return true;
        enum resp_result result = parse_one(worker, part, &limits);
        if (result != RESP_COMMAND) return result == RESP_BATCH_FULL;
        if (part->count == most || ends_inline(part)) return true;
    }
}

// Gives the client, which is ready, a part of the wave if it has a whole command; else it is ready no more.
static void add_part(struct worker *worker, struct connection *connection) {
    struct wave_part *part = &worker->parts[worker->part_count];
    *part = (struct wave_part){.connection = connection, .commands = &worker->wave[worker->filled]};
    bool more = parse_some(worker, part);
    if (!more) list_remove(&connection->ready);
    connection->held_back = false;
    if (part->count == 0) {
        if (connection->protocol_error) fail_protocol(connection);
        if (!more) connection_compact(connection);
        return;
    }
    worker->filled += part->count;
    worker->part_count++;
}

// Fills the wave from the ready clients, and forgets those that have no whole command left.
static void fill_wave(struct worker *worker) {
    worker->filled = worker->part_count = 0;
    resp_batch_reset(&worker->batch);
    LIST_EACH(node, &worker->ready) {
        struct connection *connection = LIST_ENTRY(node, struct connection, ready);
        if (connection->session.close_after_reply) // what it sent after its last command is not looked at
            list_remove(node);
        else
            add_part(worker, connection);
        if (worker->filled == WAVE_MAX) break;
    }
}

static void park(struct connection *connection) {
    struct worker *worker = connection->worker;
    list_remove(&connection->ready);
    if (list_empty(&connection->parked)) worker->blocked++;
    enlist(&worker->parked, &connection->parked);
}

// While answers are awaited, only commands whose answers come in the same order may follow.
static bool must_wait(const struct session *session, const struct command *command) {
    if (session->waiting == WAIT_NOTHING) return false;
    bool pipelines = session->last_command && session->last_command->flags & CMD_PIPELINES;
    return session->waiting != WAIT_DEFERRED || !pipelines || !command || !(command->flags & CMD_PIPELINES);
}

// Offset in the input after a command of the wave.
static size_t end_of(const struct connection *connection, const struct prepared *prepared) {
    struct bytes raw = prepared->parsed.raw;
    return (size_t)(raw.data + raw.size - connection->input.data);
}

// Executes the next commands of a part, at least one; their number. 0: what is left of it has to wait.
static unsigned execute_some(struct worker *worker, struct connection *connection,
                             const struct prepared *next, unsigned left) {
    struct session *session = &connection->session;
    if (must_wait(session, next->command)) {
        connection->held_back = true;
        return 0;
    }
    unsigned taken;
    bool waits = session->waiting != WAIT_NOTHING;
    if (dispatch_some(&worker->dispatcher, session, next, waits ? 1 : left, &taken) == DISPATCH_PARKED)
        connection->held_back = true;
    if (connection->held_back || session->waiting != WAIT_NOTHING) park(connection);
    return taken;
}

static void execute(struct worker *worker, const struct wave_part *part) {
    struct connection *connection = part->connection;
    struct session *session = &connection->session;
    unsigned done = 0;
    while (done < part->count && !connection->held_back && !session->closing && !session->close_after_reply)
        done += execute_some(worker, connection, &part->commands[done], part->count - done);
    if (done == 0) return;
    connection->executed = end_of(connection, &part->commands[done - 1]);
    if (session->output.size || session->close_after_reply) mark_dirty(connection);
}

// After a wave: what it did not execute is parsed again later, and nothing points into the inputs any more.
static void end_part(struct wave_part *part) {
    struct connection *connection = part->connection;
    part->connection = NULL;
    if (!connection || connection->session.closing) return;
    if (connection->executed < connection->parsed || connection->held_back) {
        connection->parsed = connection->executed;
        resp_parser_restart(&connection->parser);
    }
    if (connection->held_back) {
        connection->protocol_error = NULL; // it will be found again
    } else if (connection->protocol_error) {
        fail_protocol(connection);
    }
    connection_compact(connection);
}

static void prefetch_wave(struct worker *worker) {
    struct dispatcher *dispatcher = &worker->dispatcher;
    for (unsigned i = 0; i < worker->part_count; i++)
        dispatch_prefetch_buckets(dispatcher, &worker->parts[i].connection->session,
                                  worker->parts[i].commands, worker->parts[i].count);
    for (unsigned i = 0; i < worker->part_count; i++)
        dispatch_prefetch_entries(dispatcher, &worker->parts[i].connection->session,
                                  worker->parts[i].commands, worker->parts[i].count);
}

static void run_ready(struct worker *worker) {
    while (!list_empty(&worker->ready)) {
        fill_wave(worker);
        if (worker->filled > 1) prefetch_wave(worker);
        dispatch_look_around(&worker->dispatcher);
        worker->dispatcher.ticks = ticks_now();
        for (worker->executing = 0; worker->executing < worker->part_count; worker->executing++)
            execute(worker, &worker->parts[worker->executing]);
        for (unsigned i = 0; i < worker->part_count; i++)
            end_part(&worker->parts[i]);
    }
}

// --- Waiting clients.

static void unpark(struct connection *connection) {
    connection->session.waiting = WAIT_NOTHING;
    if (list_empty(&connection->parked)) return;
    connection->worker->blocked--;
    list_remove(&connection->parked);
    if (connection->input.size) enlist(&connection->worker->ready, &connection->ready);
}

static bool may_go_on(struct worker *worker, struct session *session) {
    switch (session->waiting) {
    case WAIT_NOTHING: return true;
    case WAIT_PAUSED: return !pause_applies(worker->dispatcher.mono_ms, true);
    case WAIT_SLOT: return !keyspace_slot_busy(worker->dispatcher.keyspace, session->wait_slot);
    case WAIT_DEFERRED: break;
    }
    if (!session->wait_until_ms || session->wait_until_ms > worker->dispatcher.mono_ms) return false;
    session->wait_pending = 0; // an answer that comes too late is not expected any more
    session->wait_timed_out(session);
    mark_dirty(session->connection);
    return true;
}

static void wake_parked(struct worker *worker) {
    LIST_EACH(node, &worker->parked) {
        struct connection *connection = LIST_ENTRY(node, struct connection, parked);
        if (may_go_on(worker, &connection->session)) unpark(connection);
    }
}

// How long the worker may sleep, for the sake of clients that wait for a moment in time.
static int64_t parked_bound_us(struct worker *worker) {
    int64_t bound = -1, now = worker->dispatcher.mono_ms;
    LIST_EACH(node, &worker->parked) {
        const struct session *session = &LIST_ENTRY(node, struct connection, parked)->session;
        int64_t until = session->wait_until_ms;
        if (session->waiting == WAIT_PAUSED) until = pause_until(now, true);
        if (session->waiting == WAIT_SLOT) until = now + 10; // a wake normally comes earlier
        if (!until) continue;
        int64_t left = until > now ? until - now : 0;
        left = left > PARKED_WAIT_MS ? PARKED_WAIT_MS * 1000ll : left * 1000;
        if (bound < 0 || left < bound) bound = left;
    }
    return bound;
}

struct answer {
    struct call_ticket ticket;
    size_t size;
    char resp[];
};

// Answers come in order, so the oldest of those that are pending is the one that may come now.
static bool is_awaited(const struct session *session, uint64_t number) {
    return session->waiting == WAIT_DEFERRED && session->wait_pending &&
           number == session->wait_number - session->wait_pending + 1;
}

static void deliver_answer(void *argument) {
    struct answer *answer = argument;
    struct worker *worker = workers[answer->ticket.worker];
    struct connection *connection = worker_find(worker, answer->ticket.session);
    if (connection && is_awaited(&connection->session, answer->ticket.number)) {
        if (connection->session.reply_mode == REPLY_ON)
            buffer_append(&connection->session.output, answer->resp, answer->size);
        mark_dirty(connection);
        if (--connection->session.wait_pending == 0) unpark(connection);
    }
    mem_free(answer);
}

static void answer_sink(struct call_ticket ticket, struct bytes resp) {
    struct answer *answer = mem_alloc(sizeof *answer + resp.size);
    answer->ticket = ticket;
    answer->size = resp.size;
    memcpy(answer->resp, resp.data, resp.size);
    loop_post(workers[ticket.worker]->loop, deliver_answer, answer);
}

void worker_send(struct worker *worker, uint64_t session_id, struct bytes bytes) {
    struct connection *connection = worker_find(worker, session_id);
    if (!connection) return;
    buffer_append_bytes(&connection->session.output, bytes);
    mark_dirty(connection);
}

// --- Output.

static void over_output_limit(struct connection *connection) {
    struct buffer line = BUFFER_EMPTY;
    session_describe(&connection->session, connection->worker->dispatcher.mono_ms, &line);
    log_write(LOG_WARNING, "Client %s scheduled to be closed ASAP for overcoming of output buffer limits.",
              buffer_string(&line));
    buffer_free(&line);
    counter_add(&connection->worker->network.output_buffer_kills, 1);
    worker_close(connection);
}

// True: the connection was closed, since it does not take what it is sent.
static bool enforce_output_limit(struct connection *connection) {
    struct session *session = &connection->session;
    bool replica = session->kind == SESSION_REPLICA && !session->monitor;
    const struct output_limit *limit = replica ? &connection_limits.replica : &connection_limits.normal;
    uint64_t size = session_output_size(session) - connection->sent;
    if (replica) size += worker_hooks.replica_backlog(session);
    if (size > connection->worker->largest_output) connection->worker->largest_output = size;
    int64_t now = connection->worker->dispatcher.mono_ms;
    bool soft = limit->soft && size > limit->soft;
    if (!soft) connection->soft_limit_since_ms = 0;
    if (soft && !connection->soft_limit_since_ms) connection->soft_limit_since_ms = now;
    bool too_long = soft && now - connection->soft_limit_since_ms > 1000 * (int64_t)limit->soft_seconds;
    if (!too_long && !(limit->hard && size > limit->hard)) return false;
    over_output_limit(connection);
    return true;
}

// Sends the replica what its follower has for it. False: broken.
static bool feed_replica(struct connection *connection) {
    struct session *session = &connection->session;
    size_t total = 0;
    while (!connection->blocked && total < REPLICA_CHUNK) {
        struct bytes bytes = worker_hooks.replica_peek(session);
        if (bytes.size == 0) break;
        ssize_t put = connection_send(connection, bytes);
        if (put < 0) return false;
        if (put == 0) break;
        worker_hooks.replica_sent(session, (size_t)put);
        total += (size_t)put;
    }
    counter_add(&connection->worker->network.replica_bytes_out, total);
    counter_add(&connection->worker->network.bytes_out, total);
    if (total >= REPLICA_CHUNK) mark_dirty(connection); // goes on in the next turn
    return true;
}

static void flush(struct connection *connection) {
    struct worker *worker = connection->worker;
    struct session *session = &connection->session;
    size_t count = 0;
    list_remove(&connection->dirty);
    if (!connection->blocked && session->output.size) {
        bool fine = connection_flush(connection, &count);
        counter_add(&worker->network.writes, 1);
        counter_add(&worker->network.bytes_out, count);
        if (!fine) {
            worker_close(connection);
            return;
        }
    }
    if (session->output.size && enforce_output_limit(connection)) return;
    if (session->output.size == 0 && session->kind == SESSION_REPLICA && session->replica &&
        !feed_replica(connection)) {
        worker_close(connection);
        return;
    }
    if (session->close_after_reply && session->output.size == 0) worker_close(connection);
}

static void flush_all(struct worker *worker) {
    struct list_node now;
    move_list(&now, &worker->dirty); // taken out first: a replica puts itself back
    while (!list_empty(&now))
        flush(LIST_ENTRY(now.next, struct connection, dirty));
}

// When the journal has grown: replicas here are fed, workers with replicas elsewhere are woken.
static void follow_journal(struct worker *worker) {
    uint64_t end = journal_end(worker->dispatcher.journal);
    if (end == worker->journal_seen) return;
    worker->journal_seen = end;
    for (unsigned i = 0; i < worker_total; i++)
        if (workers[i] != worker && workers[i]->replicas) loop_wake(workers[i]->loop);
    if (!worker->replicas) return;
    LIST_EACH(node, &worker->connections) {
        struct connection *connection = LIST_ENTRY(node, struct connection, all);
        if (connection->session.kind == SESSION_REPLICA && !connection->blocked) mark_dirty(connection);
    }
}

// --- When a command takes long.

// The wave ends with the part that is being executed. Those before it are done with, those after it are parsed again.
static void cut_wave(struct worker *worker) {
    for (unsigned i = 0; i < worker->part_count; i++) {
        struct connection *connection = worker->parts[i].connection;
        if (i == worker->executing) continue;
        if (i > worker->executing && connection && !connection->session.closing) {
            connection->held_back = true;
            enlist(&worker->ready, &connection->ready);
        }
        end_part(&worker->parts[i]);
    }
    worker->part_count = worker->executing + 1;
}

static void flush_others(struct worker *worker, struct connection *except) {
    bool dirty = !list_empty(&except->dirty);
    list_remove(&except->dirty);
    flush_all(worker);
    if (dirty) mark_dirty(except);
}

// To move its clients takes time, too, here and there: it begins when the command has taken as long as that would.
static bool is_worth_moving(const struct worker *worker) {
    int64_t taken_ns = ticks_to_ns(ticks_now() - worker->dispatcher.ticks);
    return taken_ns >= (int64_t)worker->clients * MOVE_NS;
}

void worker_lingers(struct dispatcher *dispatcher) {
    struct worker *worker = workers[dispatcher->worker];
    if (worker->detained || !is_worth_moving(worker) || !crew_detain(worker->index)) return;
    worker->detained = true;
    struct connection *running = worker->parts[worker->executing].connection;
    cut_wave(worker);
    // Its own pushes must not come in the middle of its reply, and may wait for its end.
    if (!running->session.tied) invalidation_end_turn(dispatcher);
    follow_journal(worker);
    flush_others(worker, running);
    worker_give_away(worker, running);
    if (worker_hooks.detained) worker_hooks.detained(worker->index);
}

static void end_lingering(struct worker *worker) {
    if (!worker->detained) return;
    worker->detained = false;
    worker_take_again(worker);
    crew_release(worker->index);
}

// --- Housekeeping.

static bool is_idle_too_long(const struct connection *connection, int64_t now) {
    const struct session *session = &connection->session;
    if (!connection_limits.idle_seconds || session->kind != SESSION_NORMAL || session->waiting != WAIT_NOTHING)
        return false;
    return now - session->active_ms > 1000 * (int64_t)connection_limits.idle_seconds;
}

static void worker_cron(struct timer *timer) {
    struct worker *worker = LIST_ENTRY(timer, struct worker, cron);
    int64_t now = worker->dispatcher.mono_ms;
    unsigned replicas = 0;
    LIST_EACH(node, &worker->connections) {
        struct connection *connection = LIST_ENTRY(node, struct connection, all);
        struct session *session = &connection->session;
        session->input_size = connection->input.size;
        session->input_free = connection->input.capacity - connection->input.size;
        replicas += session->kind == SESSION_REPLICA;
        if (is_idle_too_long(connection, now)) {
            log_write(LOG_VERBOSE, "Closing idle client");
            worker_close(connection);
            continue;
        }
        if (connection->input.size == 0 && connection->input.capacity && now - session->active_ms > BUFFER_IDLE_MS)
            buffer_free(&connection->input);
        if ((connection->blocked || session->kind == SESSION_REPLICA) && enforce_output_limit(connection)) continue;
        if (session->kind == SESSION_REPLICA) mark_dirty(connection);
    }
    worker->replicas = replicas;
    expiry_cycle_turn(&worker->expiry, &worker->dispatcher, worker_total);
    loop_timer_set(worker->loop, timer, clock_mono_us() + CRON_PERIOD_US);
}

void worker_count_replica(struct worker *worker) {
    worker->replicas++;
}

static void waited(void *context) {
    struct worker *worker = context;
    gate_enter(worker->dispatcher.gate, worker->index);
    int64_t mono_ms = clock_mono_ms();
    uint64_t now = ticks_now();
    counter_add(&worker->idle_ticks, now - worker->rested_since);
    gather_begin_turn(&worker->gather, worker->rested_since, now);
    if (mono_ms != worker->dispatcher.mono_ms) gather_next_window(&worker->gather, now);
    worker->dispatcher.now_ms = clock_wall_ms();
    worker->dispatcher.mono_ms = mono_ms;
    atomic_store_explicit(&worker->busy, true, memory_order_relaxed);
    worker_look_over(worker);
    // Only those of former turns are read again in this one: what others sent before they hung up is executed first.
    move_list(&worker->still_hungry, &worker->hungry);
}

static int64_t next_wait_us(struct worker *worker) {
    bool must_go_on = !list_empty(&worker->hungry) || !list_empty(&worker->dirty) || !list_empty(&worker->ready);
    if (must_go_on) return 0;
    return list_empty(&worker->parked) ? -1 : parked_bound_us(worker);
}

static void turn(struct worker *worker) {
    if (worker->gather_us) clock_sleep_us(worker->gather_us);
    loop_turn(worker->loop, worker->wait_us, waited, worker);
    while (!list_empty(&worker->still_hungry))
        read_connection(LIST_ENTRY(worker->still_hungry.next, struct connection, hungry));
    if (!list_empty(&worker->parked)) wake_parked(worker);
    run_ready(worker);
    invalidation_end_turn(&worker->dispatcher);
    follow_journal(worker);
    flush_all(worker);
    end_lingering(worker);
    worker_settle(worker);
    worker_free_dead(worker);
    // Worked out inside the gate: outside, others may be at our connections and at the settings.
    worker->wait_us = next_wait_us(worker);
    worker->gather_us = worker->wait_us && gather_pays(&worker->gather) ? settings.io_gather_us : 0;
    atomic_store_explicit(&worker->busy, false, memory_order_relaxed);
    atomic_store_explicit(&worker->heartbeat_ms, worker->dispatcher.mono_ms, memory_order_relaxed);
    counter_set(&worker->rested_since, ticks_now());
    gate_leave(worker->dispatcher.gate, worker->index);
}

static void run_worker(void *argument) {
    struct worker *worker = argument;
    thread_sleep_exactly();
    worker->thread_id = cores_thread_id();
    loop_timer_set(worker->loop, &worker->cron, clock_mono_us() + CRON_PERIOD_US);
    while (!atomic_load_explicit(&stopping, memory_order_relaxed))
        turn(worker);
}

static struct worker *create_worker(unsigned index, struct keyspace *keyspace, struct journal *journal,
                                    struct gate *gate) {
    struct worker *worker = mem_aligned_alloc(64, sizeof *worker);
    memset(worker, 0, sizeof *worker);
    worker->index = index;
    worker->loop = loop_create();
    if (!worker->loop) return NULL;
    dispatcher_init(&worker->dispatcher, index, keyspace, journal, gate);
    resp_batch_init(&worker->batch);
    list_init(&worker->connections);
    list_init(&worker->ready);
    list_init(&worker->dirty);
    list_init(&worker->hungry);
    list_init(&worker->still_hungry);
    list_init(&worker->parked);
    list_init(&worker->unsettled);
    list_init(&worker->inbox.connections);
    list_init(&worker->dead);
    worker->seen_exclusive = dispatch_exclusive_count();
    worker->rested_since = ticks_now();
    timer_init(&worker->cron, worker_cron);
    worker->dispatcher.now_ms = clock_wall_ms();
    worker->dispatcher.mono_ms = clock_mono_ms();
    return worker;
}

void workers_create(unsigned count, struct keyspace *keyspace, struct journal *journal, struct gate *gate) {
    worker_total = count;
    for (unsigned i = 0; i < count; i++)
        workers[i] = create_worker(i, keyspace, journal, gate);
    call_set_answer_sink(answer_sink);
}

void workers_run(void) {
    for (unsigned i = 1; i < worker_total; i++) {
        char name[24];
        snprintf(name, sizeof name, "worker-%u", i);
        int error = thread_start(&workers[i]->thread, name, run_worker, workers[i]);
        if (error) {
            log_write(LOG_WARNING, "Fatal: can't start worker %u: %s", i, strerror(error));
            _exit(1);
        }
    }
    run_worker(workers[0]);
    for (unsigned i = 1; i < worker_total; i++)
        thread_join(&workers[i]->thread);
}

void workers_stop(void) {
    atomic_store(&stopping, true);
    workers_wake();
}

bool workers_stopping(void) {
    return atomic_load(&stopping);
}

void workers_wake(void) {
    for (unsigned i = 0; i < worker_total; i++)
        loop_wake(workers[i]->loop);
}

void worker_post(struct worker *worker, void (*run)(void *argument), void *argument) {
    loop_post(worker->loop, run, argument);
}

void workers_network(struct network_counters *sum) {
    *sum = (struct network_counters){0};
    for (unsigned i = 0; i < worker_total; i++) {
        const struct network_counters *one = &workers[i]->network;
        sum->connections += counter_read(&one->connections);
        sum->rejected += counter_read(&one->rejected);
        sum->bytes_in += counter_read(&one->bytes_in);
        sum->bytes_out += counter_read(&one->bytes_out);
        sum->reads += counter_read(&one->reads);
        sum->writes += counter_read(&one->writes);
        sum->query_buffer_kills += counter_read(&one->query_buffer_kills);
        sum->output_buffer_kills += counter_read(&one->output_buffer_kills);
        sum->replica_bytes_out += counter_read(&one->replica_bytes_out);
    }
}

unsigned workers_blocked(void) {
    unsigned sum = 0;
    for (unsigned i = 0; i < worker_total; i++)
        sum += workers[i]->blocked;
    return sum;
}

void workers_largest_buffers(size_t *input, size_t *output) {
    *input = *output = 0;
    for (unsigned i = 0; i < worker_total; i++) {
        if (workers[i]->largest_input > *input) *input = workers[i]->largest_input;
        if (workers[i]->largest_output > *output) *output = workers[i]->largest_output;
    }
}

int64_t worker_heartbeat_ms(struct worker *worker, bool *busy) {
    *busy = atomic_load_explicit(&worker->busy, memory_order_relaxed);
    return atomic_load_explicit(&worker->heartbeat_ms, memory_order_relaxed);
}

int64_t worker_idle_ns(struct worker *worker) {
    uint64_t idle = counter_read(&worker->idle_ticks), since = counter_read(&worker->rested_since), now = ticks_now();
    bool busy = atomic_load_explicit(&worker->busy, memory_order_relaxed);
    return ticks_to_ns(busy || now < since ? idle : idle + (now - since));
}

int worker_thread_id(struct worker *worker) {
    return worker->thread_id;
}

void workers_flush_and_close(void) {
    for (unsigned i = 0; i < worker_total; i++) {
        struct worker *worker = workers[i];
        worker_receive(worker);
        flush_all(worker);
        LIST_EACH(node, &worker->connections)
            worker_close(LIST_ENTRY(node, struct connection, all));
        worker_free_dead(worker);
    }
}
