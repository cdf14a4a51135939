// faults: the trouble-maker. From time to time it picks one of the chosen kinds and does it to nodes picked
// at random; most troubles end by themselves after a while, all end with faults_heal.
//
// Invariant: what a trouble did is undone exactly once.
// Thread: belongs to its run's thread.
#ifndef SHOAL_SIM_FAULTS_H
#define SHOAL_SIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "sim/options.h"
#include "sim/sim.h"

struct faults {
    struct sim *sim;
    uint32_t kinds; // bits by enum fault_kind
    bool active;
    uint32_t hurt_max; // nodes that may be dead or frozen at the same time
    uint32_t hurt;
    uint64_t pause_ms; // between two faults, on average
    struct list_node troubles;
    uint32_t tried[FAULT_KINDS];
};

void faults_start(struct faults *faults, struct sim *sim, uint32_t kinds);

// Ends all troubles, starts who is dead, and makes no more.
void faults_heal(struct faults *faults);

// Parts the cluster: messages from nodes with side 1 don't reach nodes with side 0, nor the other way when
// `both`.
void faults_part(struct sim *sim, const uint8_t *side, bool both, int by);

#endif
