#include "bus/bus.h"

#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "bus/bus_private.h"
#include "call/pause.h"
#include "os/clock.h"
#include "os/random.h"
#include "os/thread.h"
#include "replication/replication.h"

struct bus bus;
static struct thread thread;
static bool running;       // the thread was started
static atomic_bool stopping;

uint64_t bus_now(void) {
    return (uint64_t)clock_mono_ms();
}

// --- One step.

static void pause_writes(uint64_t until) {
    pause_start(PAUSE_BY_FAILOVER, (int64_t)bus_now(), (int64_t)until, true);
    // Once every worker has been out of the gate since, no write that began before is still running.
    gate_mark(bus.gate, &bus.pause_mark);
    bus.pausing = true;
}

static void resume_writes(void) {
    pause_end(PAUSE_BY_FAILOVER);
    bus.pausing = false;
}

// Writes once for all the saves that were asked for in this turn: the last covers the others.
static void save_what_is_due(void) {
    if (!bus.save_due) return;
    struct buffer text = BUFFER_EMPTY;
    cluster_nodes_conf(bus.cluster, &text);
    nodes_file_save(bus.save_due, buffer_bytes(&text));
    buffer_free(&text);
    bus.save_due = 0;
}

static void act(const struct cluster_action *action) {
    switch (action->kind) {
    case CLUSTER_ACTION_SEND: links_send(action->send.link, action->send.message, action->send.save); break;
    case CLUSTER_ACTION_CONNECT: links_connect(action->connect.node, action->connect.ip, action->connect.port); break;
    case CLUSTER_ACTION_DISCONNECT: links_disconnect(action->disconnect); break;
    case CLUSTER_ACTION_SAVE: bus.save_due = action->save.number; break;
    case CLUSTER_ACTION_PUBLISH_ROUTES: bus.publish_due = true; break;
    case CLUSTER_ACTION_BECOME_PRIMARY: roles_become_primary(); break;
    // Who lost its slots must say MOVED before a write can meet the new role (READONLY), or the old one without its pause
    // (it would be taken, and lost).
    case CLUSTER_ACTION_BECOME_REPLICA:
        routes_publish();
        roles_become_replica(action->primary.ip, action->primary.port);
        break;
    case CLUSTER_ACTION_DROP_SLOT: roles_drop_slot(action->slot); break;
    case CLUSTER_ACTION_DROP_ALL: roles_drop_all(); break;
    case CLUSTER_ACTION_PAUSE_WRITES: pause_writes(action->until); break;
    case CLUSTER_ACTION_RESUME_WRITES:
        routes_publish();
        resume_writes();
        break;
    case CLUSTER_ACTION_NOTE: log_write(action->note.level, "%s", action->note.text); break;
    case CLUSTER_ACTION_OUTCOME: orders_outcome(action); break;
    }
}

void bus_step(struct cluster_event *event) {
    event->now = bus_now();
    event->unix_now = (uint64_t)clock_wall_ms();
    const struct cluster_actions *actions = cluster_step(bus.cluster, event);
    for (size_t i = 0; i < actions->count; i++)
        act(&actions->items[i]);
}

void bus_note_replication(void) {
    bool up, ever;
    int64_t age;
    replication_link_state(&up, &age, &ever);
    struct cluster_event event = {.kind = CLUSTER_EVENT_REPLICATION};
    event.replication.offset = replication_offset();
    event.replication.data_age = age > 0 ? (uint64_t)age : 0;
    event.replication.primary_link_up = up;
    event.replication.writes_paused = bus.pausing && gate_passed(bus.gate, &bus.pause_mark);
    event.replication.ever_synchronised = ever;
    bus_step(&event);
}

// --- Workers that stand still.

static uint64_t stall_timeout(void) {
    if (bus.config.stall_timeout) return bus.config.stall_timeout;
    uint64_t standard = BUS_STALL_NODE_TIMEOUTS * bus.config.cluster.node_timeout;
    return standard > BUS_STALL_MIN_MS ? standard : BUS_STALL_MIN_MS;
}

static void look_at_workers(void) {
    bool at_work;
    uint64_t progress = bus.progress(&at_work);
    if (!stall_look(&bus.stall, bus_now(), progress, at_work, stall_timeout())) return;
    if (bus.stall.stalled)
        log_write(LOG_WARNING, "No worker has finished a command for %llu milliseconds while work waits: I say no more to "
                               "the cluster, so that I am failed over.", (unsigned long long)stall_timeout());
    else
        log_write(LOG_WARNING, "The workers go on: I speak to the cluster again.");
    struct cluster_event event = {.kind = CLUSTER_EVENT_STALL, .stalled = bus.stall.stalled};
    bus_step(&event);
}

// --- The thread.

static void set_tick(void) {
    uint64_t now = bus_now(), deadline = cluster_deadline(bus.cluster);
    uint64_t left_ms = deadline > now ? deadline - now : 0;
    struct cluster_view_status status;
    cluster_view_status(bus.cluster, &status);
    if (status.manual_failover && left_ms > 1) left_ms = 1; // the offset changes meanwhile: look often
    loop_timer_set(bus.loop, &bus.tick, clock_mono_us() + (int64_t)left_ms * 1000);
}

static void tick(struct timer *timer) {
    struct cluster_event event = {.kind = CLUSTER_EVENT_TICK};
    bus_step(&event);
    links_drop_quiet();
}

// What comes in this turn may start an election, which ranks by the offset as it is now.
static void look_at_replication(void *context) {
    bus_note_replication();
}

static void run(void *argument) {
    while (!atomic_load(&stopping)) {
        set_tick();
        loop_turn(bus.loop, -1, look_at_replication, NULL);
        look_at_workers();
        save_what_is_due();
        if (bus.publish_due && !bus.becoming_primary) routes_publish();
        handover_look();
        orders_release();
        routes_free_retired();
        links_free_dead();
    }
}

static bool create_core(const struct bus_options *options, struct buffer *error) {
    struct buffer text = BUFFER_EMPTY;
    if (!nodes_file_open(options->nodes_path, &text, error)) {
        buffer_free(&text);
        return false;
    }
    bus.cluster = cluster_create(&bus.config.cluster, buffer_bytes(&text), random_u64(), bus_now(),
                                 (uint64_t)clock_wall_ms(), error);
    buffer_free(&text);
    if (bus.cluster) return true;
    struct buffer reason = *error;
    *error = BUFFER_EMPTY;
    buffer_appendf(error, "Unrecoverable error: corrupted cluster config file \"%s\": %s", options->nodes_path,
                   buffer_string(&reason));
    buffer_string(error);
    buffer_free(&reason);
    return false;
}

bool bus_start(const struct bus_options *options, struct buffer *error) {
    bus = (struct bus){.config = options->config,
                       .keyspace = options->keyspace,
                       .gate = options->gate,
                       .worker_loop = options->worker_loop,
                       .dispatcher = options->dispatcher,
                       .progress = options->progress};
    strncpy(bus.source_address, options->source_address ? options->source_address : "", sizeof bus.source_address - 1);
    bus.loop = loop_create();
    timer_init(&bus.tick, tick);
    links_init();
    orders_init();
    if (!create_core(options, error)) return false;
    if (!links_listen(options->addresses, options->listen_port, error)) return false;
    bus_note_replication();
    tick(&bus.tick); // what the start needs: the first save, the role, the routes
    save_what_is_due();
    routes_publish();
    int failed = thread_start(&thread, "bus", run, NULL);
    if (failed) buffer_appendf(error, "can't start the bus thread: %s", strerror(failed));
    buffer_string(error);
    running = failed == 0;
    return running;
}

static void configure(void *argument) {
    struct bus_config *config = argument;
    bus.config = *config;
    cluster_set_config(bus.cluster, &config->cluster);
    bus.publish_due = true;
    mem_free(config);
}

void bus_configure(const struct bus_config *config) {
    struct bus_config *copy = mem_alloc(sizeof *copy);
    *copy = *config;
    loop_post(bus.loop, configure, copy);
}

void bus_stop(void) {
    if (!bus.loop) return;
    if (running) {
        running = false;
        atomic_store(&stopping, true);
        loop_wake(bus.loop);
        thread_join(&thread);
        save_what_is_due();
    }
    handover_end();
    links_close_all();
    nodes_file_close();
    routes_free_all();
    if (bus.cluster) cluster_destroy(bus.cluster);
    bus.cluster = NULL;
}
