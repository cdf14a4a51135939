#include "sim/run.h"

#include <inttypes.h>

#include "base/memory.h"
#include "sim/admin.h"
#include "sim/faults.h"
#include "sim/sim.h"

enum {
    FRESH_NODES_MAX = 16,    // clusters up to this size are made by an administrator in every other seed
    SETTLE_TIMEOUTS = 30,    // a healed cluster must be well after this many node timeouts
    SETTLE_MORE_MS = 60000,  // and this
    SETTLE_LOOK_MS = 500,    // looked at so often
    REPAIR_EVERY_MS = 10000, // the administrator looks so often
    QUIET_MS = 5000,         // and well it must stay
    WARM_UP_MS = 3000,       // before the first trouble
    TAIL_LINES = 200,        // of the trace, with a failure
    REASON_MAX = 300,
};

static void settle(struct sim *sim, struct run_result *result, const char *after) {
    char why[REASON_MAX] = "";
    uint64_t begin = world_ms(&sim->world), patience = sim->timeout_ms * SETTLE_TIMEOUTS + SETTLE_MORE_MS;
    uint64_t repaired = begin;
    while (!sim->failed && !check_settled(sim, why, sizeof why)) {
        uint64_t now = world_ms(&sim->world);
        if (now - begin > patience) {
            sim_fail(sim, "%s the cluster settles: after %" PRIu64 " ms %s", after, now - begin, why);
            return;
        }
        if (now - repaired >= REPAIR_EVERY_MS) {
            admin_repair(sim);
            repaired = now;
        }
        sim_run(sim, SETTLE_LOOK_MS);
    }
    uint64_t took = world_ms(&sim->world) - begin;
    sim_say(sim, "%s the cluster settled in %" PRIu64 " ms", after, took);
    if (took > result->settle_ms) result->settle_ms = took;
    sim_run(sim, QUIET_MS);
    if (sim->failed || check_settled(sim, why, sizeof why)) return;
    // We may have met a replica on its way to an orphaned primary, which is how it should be: look once more.
    sim_run(sim, SETTLE_LOOK_MS);
    if (!sim->failed && !check_settled(sim, why, sizeof why))
        sim_fail(sim, "%s the cluster stays settled: %s", after, why);
}

// Is there a living replica that can take over at once?
static bool has_heir(const struct sim *sim, const struct node *primary) {
    for (uint32_t i = 0; i < sim->count; i++) {
        const struct node *node = &sim->nodes[i];
        if (node->core && node->replication.source == (int)primary->index && node->replication.linked)
            return true;
    }
    return false;
}

// The last act: less than half of the primaries die in one moment; each that has a replica must be replaced,
// then come back.
static void kill_some_primaries(struct sim *sim, struct run_result *result) {
    uint32_t primaries = 0, killed = 0;
    for (uint32_t i = 0; i < sim->count; i++) {
        struct cluster_view_node myself;
        cluster_view_myself(sim->nodes[i].core, &myself);
        primaries += myself.slots > 0;
    }
    uint32_t most = primaries ? (primaries - 1) / 2 : 0;
    uint32_t wanted = (uint32_t)prng_below(&sim->world.prng, most + 1);
    for (uint32_t i = 0; i < sim->count && killed < wanted; i++) {
        struct node *node = &sim->nodes[i];
        if (!node->is_primary || !has_heir(sim, node) || !world_chance(&sim->world, 60)) continue;
        node_kill(node, world_chance(&sim->world, 50));
        killed++;
    }
    if (!killed) return;
    result->faults[FAULT_CRASH] += killed;
    settle(sim, result, "with some primaries dead");
    for (uint32_t i = 0; i < sim->count; i++)
        node_start(&sim->nodes[i]);
    settle(sim, result, "after their return");
}

static void play(struct sim *sim, const struct options *options, struct faults *faults,
                 struct run_result *result) {
    bool fresh = options->nodes <= FRESH_NODES_MAX && world_chance(&sim->world, 50);
    if (fresh)
        sim_start_fresh(sim, options->replicas);
    else
        sim_start_grown(sim, options->replicas);
    sim_run(sim, WARM_UP_MS);
    settle(sim, result, "in the beginning");
    result->settle_ms = 0;
    faults_start(faults, sim, options->faults);
    sim_run(sim, (uint64_t)options->minutes * 60000);
    for (int i = 0; i < FAULT_KINDS; i++)
        result->faults[i] = faults->tried[i];
    if (!sim->failed) {
        faults_heal(faults);
        if (options->broken == BROKEN_STAYS_DEAF) sim->deaf = sim->count;
        settle(sim, result, "after all troubles");
    }
    if (!sim->failed && options->faults >> FAULT_CRASH & 1) kill_some_primaries(sim, result);
    faults->active = false;
}

static void report_failure(const struct sim *sim, const struct options *options, uint64_t seed,
                           FILE *report) {
    if (!options->trace) trace_print_tail(&sim->trace, report, TAIL_LINES);
    fprintf(report, "seed %" PRIu64 " failed at %" PRIu64 ".%03" PRIu64 " s: %s\n", seed,
            world_ms(&sim->world) / 1000, world_ms(&sim->world) % 1000, sim->failure);
    fprintf(report, "replay: ");
    options_print_replay(report, options, seed);
}

void run_seed(const struct options *options, uint64_t seed, struct run_result *result, FILE *report) {
    struct sim sim;
    struct faults faults;
    *result = (struct run_result){.seed = seed};
    sim_init(&sim, options, options->nodes, options->timeout_ms, seed, options->trace ? report : NULL);
    play(&sim, options, &faults, result);
    result->steps = sim.world.steps;
    result->virtual_ms = world_ms(&sim.world);
    result->messages = sim.messages;
    result->bytes = sim.bytes;
    result->elections = sim.checks.elections;
    result->hash = sim.trace.hash;
    result->failed = sim.failed;
    for (uint32_t i = 0; i < sim.count; i++)
        result->saves += sim.nodes[i].disk.writes;
    if (sim.failed) report_failure(&sim, options, seed, report);
    sim_free(&sim);
}
