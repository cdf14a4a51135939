// node: one virtual node: the driver of a cluster core over the virtual network, disk and clock. Keeps the
// driver's law of cluster/cluster.h, except where --break says not to.
//
// Invariant: core is NULL exactly while the process is dead. A step is never begun inside another one of the
// same node. Thread: belongs to its run's thread.
#ifndef SHOAL_SIM_NODE_H
#define SHOAL_SIM_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "cluster/cluster.h"
#include "cluster/cluster_view.h"
#include "sim/disk.h"
#include "sim/links.h"

enum {
    NODE_PORT = 6379,
    NODE_BUS_PORT = 16379,
    NODE_ORDERS_MAX = 4096,       // orders that wait for their outcome
    NODE_WRITES_PER_MS = 100,     // bytes that a primary's stream grows by
    NODE_REPL_TIMEOUT_MS = 60000, // a silent replication link breaks after this
};

struct sim;
struct node;

// Told once: what the node answered to an order, or ok = false and "dead" when it died before it could.
typedef void order_outcome(void *context, struct node *node, bool ok, const char *text);

struct held_send;
struct pending_order;

// A clock that may run fast or slow (both times) and jump (the time of day).
struct node_clock {
    uint64_t since_us; // the world's time at which the drift was set
    uint64_t base_us;  // this clock's time then
    int64_t drift_ppm;
    int64_t wall_jump_ms;
};

enum no_source {
    SOURCE_NONE = -1,    // it is a primary
    SOURCE_NOWHERE = -2, // its primary is said to be where nobody is
};

// The stream of writes, as a primary makes it and a replica follows.
struct replication {
    int source; // index of the node it follows, or one of enum no_source
    bool linked;
    bool synchronised;        // its data came from this source at some time
    uint64_t paused_until_ms; // a manual failover holds clients' writes, by this node's clock
    uint64_t offset;
    uint64_t advanced_us;    // the world's time of `offset`
    uint64_t heard_us;       // the world's time when the source was last heard
    uint64_t connectable_us; // since when the source can be reached, 0 = it can't
    uint64_t poll_until_us;  // a manual failover is under way: look at the offset often
};

// What every step looks at comes first.
struct node {
    struct sim *sim;
    struct cluster *core;
    uint32_t index;
    uint32_t lives; // how often it was started
    uint32_t terms; // how often it became primary
    struct node_clock clock;
    uint64_t tick_us; // when the next tick is planned, 0 = none
    struct links outgoing;
    struct links inbound;
    uint64_t saved; // number of the last save that completed
    struct held_send *first_held, *last_held;
    struct replication replication;
    bool is_primary;   // as the core said last
    bool asked_kindly; // the last FAILOVER order was without FORCE or TAKEOVER
    bool taken_over;   // the last promotion was a TAKEOVER
    uint32_t seat;     // whose voice it has as a primary, or will have if it takes its primary's place: the
                       // shard's, by the node that had it in the beginning
    int followed;      // the source that gave it its seat; -1: it is, or was last, a primary
    uint32_t asked_in_life, asked_in_term; // of the primary
    uint32_t order_count;
    struct pending_order *orders;
    char id[CLUSTER_ID_SIZE + 1]; // empty until its first start
    struct disk disk;
    struct buffer first_file; // BROKEN_RESTORES_OLD_FILE
    struct cluster_config config;
    uint8_t keys[CLUSTER_SLOTS / 8]; // the slots that have keys here
};

void node_init(struct node *node, struct sim *sim, uint32_t index);

// Lets go of the core and its links, without a trace: the run is over.
void node_stop(struct node *node);
void node_free(struct node *node);

// Starts the process from its file. False, with the run failed, when the core refuses its own file.
bool node_start(struct node *node);

// Ends the process at once: what was not saved is lost.
void node_kill(struct node *node, bool machine_too);

// Hands an event to the core (its times are filled in) and carries out what it wants done. Not from inside a
// step.
void node_step(struct node *node, struct cluster_event *event);

// The process sees nothing for `ms`.
void node_freeze(struct node *node, uint64_t ms);

// The node's clocks, in milliseconds.
uint64_t node_now(const struct node *node);
uint64_t node_unix_now(const struct node *node);
void node_set_drift(struct node *node, int64_t ppm);

// Gives the words (with spaces between them) as CLUSTER words; `outcome` may be NULL. Happens as an event of
// its own.
void node_order(struct node *node, const char *words, order_outcome *outcome, void *context);

// Is it alive and awake?
bool node_awake(const struct node *node);

// What network.h tells, for all nodes of the simulator given as context.
extern const struct network_sink node_network_sink;

#endif
