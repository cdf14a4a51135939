// sim: a virtual cluster: the world, its network, its nodes, what is checked and what is told.
// Thread: belongs to its run's thread.
#ifndef SHOAL_SIM_SIM_H
#define SHOAL_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/checks.h"
#include "sim/network.h"
#include "sim/node.h"
#include "sim/options.h"
#include "sim/trace.h"
#include "sim/world.h"

enum { SIM_FAILURE_MAX = 400 };

struct sim {
    const struct options *options;
    struct world world;
    struct network network;
    struct trace trace;
    struct checks checks;
    uint32_t count;
    struct node *nodes;
    struct cluster_commons *commons; // of all nodes
    uint64_t timeout_ms;
    uint32_t deaf;     // BROKEN_STAYS_DEAF: one more than the index of the node, 0 = none
    uint64_t messages; // sent
    uint64_t bytes;
    uint64_t heartbeats; // of the messages: PING, PONG and MEET,
    uint64_t gossip;     // and the entries of gossip in them
    uint64_t serials;    // numbers given to links and orders
    uint32_t *names;     // node indices plus one by the hash of the name
    uint32_t names_size;
    struct buffer *transcript; // of a scenario, or NULL
    bool over;                 // nobody starts any more
    bool failed;
    char failure[SIM_FAILURE_MAX]; // the checker that failed and why
};

// A cluster of `count` nodes; none runs yet. `echo`: where trace lines go at once, or NULL.
void sim_init(struct sim *sim, const struct options *options, uint32_t count, uint64_t timeout_ms,
              uint64_t seed, FILE *echo);
void sim_free(struct sim *sim);

// A checker failed: keeps the first reason; the run stops after this step.
void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Lets `ms` virtual milliseconds pass, or less when a checker fails.
void sim_run(struct sim *sim, uint64_t ms);

// Writes the nodes.conf of every node as if a cluster of this layout had been up before, and starts them all:
// the first count / (replicas + 1) are primaries that share the slots, the others their replicas in turn.
void sim_start_grown(struct sim *sim, uint32_t replicas);

// Starts every node anew; an administrator lets them meet, gives epochs, slots and primaries, over 20 to 30
// virtual seconds. Does the same layout.
void sim_start_fresh(struct sim *sim, uint32_t replicas);

// The first half of that: every node runs, with slots and epochs, and node 0 has been ordered to MEET each.
void sim_start_strangers(struct sim *sim, uint32_t replicas);

// Does every node know every other, greetings done?
bool sim_all_know_all(const struct sim *sim);

// The node has (another) name.
void sim_rename(struct sim *sim, struct node *node, const char *id);

// How many of `count` nodes are primaries at the start.
uint32_t sim_primaries(uint32_t count, uint32_t replicas);

// The node of this name, or NULL.
struct node *sim_find(const struct sim *sim, const char id[40]);

// A line that matters to an operator: it goes to the transcript, if there is one, and to the trace.
void sim_tell(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Adds a line to the trace.
#define sim_say(sim, ...) trace_line(&(sim)->trace, (sim)->world.now, __VA_ARGS__)

#endif
