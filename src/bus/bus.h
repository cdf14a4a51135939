// bus: drives the cluster's state machine (cluster/) over real links, files and the clock, on a thread of its
// own. It publishes the routes that the workers go by, and answers the CLUSTER commands. It never touches a
// key and never waits for a worker: what must happen to keys or roles is posted to worker 0.
#ifndef SHOAL_BUS_BUS_H
#define SHOAL_BUS_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "call/dispatch.h"
#include "cluster/cluster_config.h"
#include "net/loop.h"

enum bus_endpoint {
    BUS_ENDPOINT_IP,
    BUS_ENDPOINT_HOSTNAME,
    BUS_ENDPOINT_UNKNOWN
}; // cluster-preferred-endpoint-type

// The default of cluster-stall-timeout, and what that is at least: a cluster with a very short node timeout
// may have commands of a few seconds all the same.
enum { BUS_STALL_NODE_TIMEOUTS = 10, BUS_STALL_MIN_MS = 10000 };

struct bus_config {
    struct cluster_config cluster;
    enum bus_endpoint endpoint;
    bool reads_when_down;       // cluster-allow-reads-when-down
    uint64_t link_buffer_limit; // cluster-link-sendbuf-limit, 0: none
    uint64_t stall_timeout;     // cluster-stall-timeout, ms; 0: the default
};

struct bus_options {
    struct bus_config config;
    const char *nodes_path;       // cluster-config-file, in `dir`
    const char *const *addresses; // to listen on; ends with NULL
    uint16_t listen_port;         // of the bus
    const char *source_address;   // bind-source-addr, "" for any
    struct keyspace *keyspace;
    struct gate *gate;
    // Worker 0: role changes are posted to its loop and done in exclusive mode by its dispatcher.
    struct loop *worker_loop;
    struct dispatcher *dispatcher;
    // How far the workers have come, a number that changes with each command and each turn of a loop; and
    // whether one of them is at work. Called on the bus thread.
    uint64_t (*progress)(bool *at_work);
};

// Reads (and locks) nodes.conf, listens, publishes the first routes and starts the thread. False: `error`
// says why (a terminated text); the server must not start.
bool bus_start(const struct bus_options *options, struct buffer *error);

// The bus's own connections, ours to others and theirs to us. Thread: any.
unsigned bus_connections(void);

// Changes the configuration while it runs. Thread: any.
void bus_configure(const struct bus_config *config);

// The snapshot of the start is loaded: slots with keys that nobody serves are taken by this node; keys of
// slots that others serve are dropped. Thread: worker 0.
void bus_keys_loaded(void);

// --- Before a shutdown: a replica takes this node's slots.

enum { BUS_HEIRS_MAX = 32 };

// Where a replica that is in sync listens for clients.
struct bus_heir {
    char ip[CLUSTER_IP_SIZE];
    uint16_t port;
};

struct bus_handover {
    uint64_t number; // the caller's, told again in `ended`
    struct bus_heir
        heirs[BUS_HEIRS_MAX];    // the best first; those that the bus does not know as replicas, or as
    unsigned heir_count;         // failing, or that may not fail over by themselves, are passed over
    const char *user, *password; // for the heirs' client ports; "" for none. Copied
    int64_t until_ms;            // monotonic: it is given up then
    void (*ended)(uint64_t number,
                  bool handed_over); // on worker 0, once: slots are another's, and the routes say so; or not
};

// Has the first heir that can do so take this node's place by CLUSTER FAILOVER, a manual failover: writes are
// held from the replica's request on until the routes name it. One at a time. Thread: a worker.
void bus_hand_over(const struct bus_handover *handover);

// Forgets the one that runs, and does not tell how it ended. A failover that a replica has begun goes on.
// Thread: a worker.
void bus_hand_over_stop(void);

// Saves once more, closes the links, ends the threads, frees what they had. After bus_start, whatever that
// said, once the workers have ended; in a server without a cluster nothing happens.
void bus_stop(void);

// CLUSTER, to be installed whether the server is in cluster mode or not; ends with a NULL name.
extern const struct command bus_commands[];

#endif
