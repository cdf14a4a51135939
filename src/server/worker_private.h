// What worker.c (turns, waves, output) and worker_clients.c (connections come, go and move) share. Everything
// here belongs to the worker's thread, inside the gate, where nothing else is said.
#ifndef SHOAL_SERVER_WORKER_PRIVATE_H
#define SHOAL_SERVER_WORKER_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "call/dispatch.h"
#include "net/loop.h"
#include "os/lock.h"
#include "os/thread.h"
#include "resp/parser.h"
#include "server/connection.h"
#include "server/expiry_cycle.h"
#include "server/gather.h"
#include "server/worker.h"

enum {
    WAVE_MAX = 64,        // commands that are looked ahead at once
    WAVE_PER_CLIENT = 32, // of them, from one client
    WORKER_IDS = 1024,    // chains of the index by session id
};

// What the wave has of one client: so many of its commands. `connection` NULL: it is done with, and may be
// elsewhere.
struct wave_part {
    struct connection *connection;
    struct prepared *commands;
    unsigned count;
};

// Connections on their way to a worker. While it is detained it takes none: they would wait there.
struct inbox {
    struct lock lock; // guards the two below
    struct list_node connections;
    bool closed;
};

struct worker {
    unsigned index;
    struct loop *loop;
    struct thread thread;
    struct dispatcher dispatcher;
    struct resp_batch batch;
    struct prepared wave[WAVE_MAX];
    struct wave_part parts[WAVE_MAX];
    unsigned filled, part_count; // of the wave
    unsigned executing;          // of the parts: the one whose turn it is
    struct list_node connections, ready, dirty, hungry, still_hungry, parked, unsettled, dead;
    int64_t wait_us; // how long the next turn may wait for events
    struct gather gather;
    int64_t gather_us;     // how long it lets requests gather before
    bool detained;         // by a command of this turn: see worker_lingers
    uint64_t idle_ticks;   // waited for events, altogether; read by anybody (counter.h)
    uint64_t rested_since; // when the last turn ended, in ticks; likewise
    atomic_int thread_id;  // the kernel's number of its thread, 0: it has not begun
    struct inbox inbox;
    struct connection *by_id[WORKER_IDS];
    struct timer cron;
    struct expiry_walk expiry;
    struct network_counters network;
    _Atomic unsigned clients, blocked, replicas;
    _Atomic int64_t heartbeat_ms;
    atomic_bool busy;
    uint64_t seen_exclusive; // dispatch_exclusive_count when the connections were last looked over
    uint64_t journal_seen;
    size_t largest_input, largest_output;
};

extern struct worker_hooks worker_hooks;

// --- Lists.

// Into the list, if it is not in it.
static inline void enlist(struct list_node *list, struct list_node *node) {
    if (list_empty(node)) list_append(list, node);
}

// Moves all of `from` to the new list `to`.
static inline void move_list(struct list_node *to, struct list_node *from) {
    list_init(to);
    while (!list_empty(from)) {
        struct list_node *node = from->next;
        list_remove(node);
        list_append(to, node);
    }
}

static inline void mark_dirty(struct connection *connection) {
    enlist(&connection->worker->dirty, &connection->dirty);
}

// --- worker_clients.c

struct connection *worker_find(struct worker *worker, uint64_t session_id); // or NULL
void worker_close(struct connection *connection);

// Takes whoever has been put into the inbox.
void worker_receive(struct worker *worker);

// Frees those that were closed in this turn: the wave names them no more.
void worker_free_dead(struct worker *worker);

// After somebody was exclusive: clients may have been killed, paused or set free.
void worker_look_over(struct worker *worker);

// At the end of a turn: clients that were at work in it and whose place is elsewhere go there, unless
// something ties them to this worker (an answer that they wait for, what others know of them by their
// worker).
void worker_settle(struct worker *worker);

// The worker is detained: it takes no more clients, and those that it has go where their places are now, as
// far as they can. `except` has a command that is running.
void worker_give_away(struct worker *worker, const struct connection *except);

// It takes clients again.
void worker_take_again(struct worker *worker);

// --- worker.c

// A connection's socket is ready: the `ready` of its source.
void worker_connection_ready(struct source *source, uint32_t events);

#endif
