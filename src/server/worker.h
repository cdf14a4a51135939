// worker: a thread with an event loop and its connections. It reads all ready connections first, parses what came,
// asks the cache for what the commands will touch, executes them under slot locks, and writes each connection once.
//
// A turn of its loop happens inside the gate as a reader; between two turns (while it waits) it is outside.
// A connection belongs to one worker at a time, which alone may hand it to another (server/crew.h says to which). Other
// threads reach it by worker_post only.
#ifndef SHOAL_SERVER_WORKER_H
#define SHOAL_SERVER_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "call/dispatch.h"
#include "net/loop.h"

enum { WORKERS_MAX = 16 };

struct worker;

// What connections are subject to; changed in exclusive mode.
struct connection_limits {
    uint64_t query_buffer;       // client-query-buffer-limit, bytes
    unsigned idle_seconds;       // timeout, 0: none
    unsigned keepalive_seconds;  // tcp-keepalive
    struct output_limit {        // client-output-buffer-limit of a class; 0: none
        uint64_t hard, soft;
        unsigned soft_seconds;
    } normal, replica;
};
extern struct connection_limits connection_limits;

// What others want to be told of; on the worker's thread.
struct worker_hooks {
    // A connection closes whose session is a replica's, a monitor's: whoever knows it forgets it. Inside the gate.
    void (*closing)(struct session *session);
    // The next bytes that a replica's connection should send, an empty view when there are none; and that they were sent.
    struct bytes (*replica_peek)(struct session *session);
    void (*replica_sent)(struct session *session, size_t count);
    // The bytes that wait for a replica beyond its socket, for the output limits.
    uint64_t (*replica_backlog)(struct session *session);
    // A command holds this worker up: what else it does, another one must do meanwhile.
    void (*detained)(unsigned worker);
};
void worker_set_hooks(const struct worker_hooks *hooks);

// Creates the workers (their threads do not run yet); worker 0 will run on the calling thread.
void workers_create(unsigned count, struct keyspace *keyspace, struct journal *journal, struct gate *gate);
unsigned workers_count(void);
struct worker *worker_at(unsigned index);
struct loop *worker_loop(struct worker *worker);
struct dispatcher *worker_dispatcher(struct worker *worker);

// Starts the others and runs worker 0 until workers_stop. Returns when all have ended.
void workers_run(void);
void workers_stop(void);           // any thread, signal handlers too
bool workers_stopping(void);

// A new client: hands the socket to a worker, in turn. Thread: the one that accepts, which is worker number `here`.
void workers_adopt(unsigned here, int fd, bool unix_socket);

// The command that this worker is executing will take long: the other clients of the worker are answered and handed to
// other workers, as far as they can be. The sink of call_lingers. Thread: the worker, with no slot locked.
void worker_lingers(struct dispatcher *dispatcher);

// run(argument) on the worker's thread, inside the gate. Thread: any.
void worker_post(struct worker *worker, void (*run)(void *argument), void *argument);
void workers_wake(void);

// Appends bytes to a session's output if it still exists on this worker (monitor lines ...). Thread: that worker.
void worker_send(struct worker *worker, uint64_t session_id, struct bytes bytes);
struct session *worker_session(struct worker *worker, uint64_t session_id);

// This worker has a replica's connection from now on.
void worker_count_replica(struct worker *worker);

// Counters over all workers, for INFO; a little blurred while they run.
struct network_counters {
    uint64_t connections, rejected, bytes_in, bytes_out, reads, writes, query_buffer_kills, output_buffer_kills;
    uint64_t replica_bytes_out;
};
void workers_network(struct network_counters *sum);
unsigned workers_clients(void);
unsigned workers_blocked(void);
void workers_largest_buffers(size_t *input, size_t *output);

// When the worker last finished a command or a turn (monotonic ms), and whether work waits for it. Thread: any.
int64_t worker_heartbeat_ms(struct worker *worker, bool *busy);

// How long the worker has waited for events since it began, and its thread as the kernel numbers it (0: it has none yet).
// Thread: any.
int64_t worker_idle_ns(struct worker *worker);
int worker_thread_id(struct worker *worker);

// Writes what is left in the connections' buffers, as far as they take it, and closes them. At shutdown.
void workers_flush_and_close(void);

#endif
