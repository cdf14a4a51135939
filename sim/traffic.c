#include "sim/traffic.h"

#include <inttypes.h>
#include <string.h>

#include "sim/sim.h"

enum {
    CALM_TIMEOUTS = 2, // what is sent is counted over so many node timeouts,
    CALM_MIN_MS = 5000,
    LOOK_MS = 10, // what is timed is looked at so often
    PATIENCE_TIMEOUTS = 20,
    PATIENCE_MS = 300000,
    SETTLED_WHY_MAX = 300,
    HEADER_SIZE = 2256, // of a packet,
    SLOTS_SIZE = 2048,  // the bitmap in it,
    GOSSIP_SIZE = 104,  // and an entry of gossip
};

// One row: a cluster of so many nodes. Rates are of one node, in a virtual second.
struct measured {
    uint32_t nodes;
    uint64_t calm_ms;
    double messages, bytes;
    double slots_share, gossip_share; // of the bytes
    double gossip_entries;            // in a heartbeat
    uint64_t known_ms;                // from the MEETs until all know all
    uint64_t crash_ms;                // from a primary's crash until all views are equal
    uint64_t death_ms;                // the same where its machine dies and nothing answers
};

typedef bool reached(struct sim *sim, char *why);

static bool all_know_all(struct sim *sim, char *why) {
    snprintf(why, SETTLED_WHY_MAX, "some nodes never met");
    return sim_all_know_all(sim);
}

static bool settled(struct sim *sim, char *why) {
    return check_settled(sim, why, SETTLED_WHY_MAX);
}

// Virtual milliseconds from `since` until it is so.
static uint64_t wait_until(struct sim *sim, uint64_t since, reached *is_so) {
    char why[SETTLED_WHY_MAX] = "";
    uint64_t last = world_ms(&sim->world) + sim->timeout_ms * PATIENCE_TIMEOUTS + PATIENCE_MS;
    while (!sim->failed && !is_so(sim, why)) {
        if (world_ms(&sim->world) > last) sim_fail(sim, "the cluster agrees in time: %s", why);
        sim_run(sim, LOOK_MS);
    }
    return world_ms(&sim->world) - since;
}

// -- measuring
// ------------------------------------------------------------------------------------------------------

static void measure_calm(struct sim *sim, struct measured *measured) {
    uint64_t messages = sim->messages, bytes = sim->bytes, heartbeats = sim->heartbeats, gossip = sim->gossip;
    uint64_t ms = sim->timeout_ms * CALM_TIMEOUTS;
    if (ms < CALM_MIN_MS) ms = CALM_MIN_MS;
    sim_run(sim, ms);
    double node_seconds = (double)ms / 1000 * sim->count;
    measured->calm_ms = ms;
    messages = sim->messages - messages;
    bytes = sim->bytes - bytes;
    heartbeats = sim->heartbeats - heartbeats;
    gossip = sim->gossip - gossip;
    measured->messages = (double)messages / node_seconds;
    measured->bytes = (double)bytes / node_seconds;
    if (!bytes || !heartbeats) return;
    measured->slots_share = (double)messages * SLOTS_SIZE / (double)bytes;
    measured->gossip_share = (double)gossip * GOSSIP_SIZE / (double)bytes;
    measured->gossip_entries = (double)gossip / (double)heartbeats;
}

static uint64_t measure_death(struct sim *sim, uint32_t primary, bool machine_too) {
    uint64_t since = world_ms(&sim->world);
    node_kill(&sim->nodes[primary], machine_too);
    return wait_until(sim, since, settled);
}

// A cluster that has been up, is calm, and loses a primary and then another one.
static void measure_grown(struct sim *sim, uint32_t replicas, struct measured *measured) {
    sim_start_grown(sim, replicas);
    wait_until(sim, 0, settled);
    sim_run(sim, sim->timeout_ms); // until the greetings of the start are forgotten
    measure_calm(sim, measured);
    measured->crash_ms = measure_death(sim, 0, false);
    if (sim_primaries(sim->count, replicas) < 5) node_start(&sim->nodes[0]); // else there is no majority soon
    wait_until(sim, 0, settled);
    measured->death_ms = measure_death(sim, 1, true);
}

// A cluster of nodes that know nobody, of which one meets all others.
static void measure_fresh(struct sim *sim, uint32_t replicas, struct measured *measured) {
    sim_start_strangers(sim, replicas);
    measured->known_ms = wait_until(sim, world_ms(&sim->world), all_know_all);
}

typedef void measure_function(struct sim *sim, uint32_t replicas, struct measured *measured);

static bool measure_with(const struct options *options, struct measured *measured, measure_function *measure,
                         FILE *to) {
    struct sim sim;
    sim_init(&sim, options, measured->nodes, options->timeout_ms, options->seed, NULL);
    measure(&sim, options->replicas, measured);
    if (sim.failed) fprintf(to, "%u nodes: %s\n", measured->nodes, sim.failure);
    bool good = !sim.failed;
    sim_free(&sim);
    return good;
}

// -- telling
// --------------------------------------------------------------------------------------------------------

static void write_row(const struct measured *measured, FILE *to) {
    fprintf(to, "%6u %11.1f %12.0f %7.1f %5.1f %% %5.1f %% %13.2f %16.2f %16.2f\n", measured->nodes,
            measured->messages, measured->bytes, measured->gossip_entries, 100 * measured->slots_share,
            100 * measured->gossip_share, (double)measured->known_ms / 1000,
            (double)measured->crash_ms / 1000, (double)measured->death_ms / 1000);
    fflush(to);
}

static void write_heading(const struct options *options, FILE *to) {
    fprintf(to,
            "cluster-node-timeout %u ms, %u replicas of each primary, seed %" PRIu64 "\n"
            "A node of a calm cluster sends, each second; seconds until all agree\n"
            "%6s %11s %12s %7s %7s %7s %13s %16s %16s\n",
            options->timeout_ms, options->replicas, options->seed, "nodes", "messages", "bytes", "gossip",
            "bitmap", "gossip", "all met", "process died", "machine died");
}

static void write_json_row(const struct measured *measured, bool first, FILE *to) {
    fprintf(to,
            "%s\n  {\"nodes\": %u, \"calm_ms\": %" PRIu64 ", \"messages_per_second\": %.2f, "
            "\"bytes_per_second\": %.1f, \"gossip_entries\": %.2f, \"bitmap_share\": %.4f, "
            "\"gossip_share\": %.4f, \"all_met_ms\": %" PRIu64 ", \"process_died_ms\": %" PRIu64
            ", \"machine_died_ms\": %" PRIu64 "}",
            first ? "" : ",", measured->nodes, measured->calm_ms, measured->messages, measured->bytes,
            measured->gossip_entries, measured->slots_share, measured->gossip_share, measured->known_ms,
            measured->crash_ms, measured->death_ms);
    fflush(to);
}

bool traffic_report(const struct options *options, FILE *to) {
    bool good = true;
    if (options->json)
        fprintf(to, "{\"node_timeout\": %u, \"replicas\": %u, \"seed\": %" PRIu64 ", \"clusters\": [",
                options->timeout_ms, options->replicas, options->seed);
    else
        write_heading(options, to);
    for (uint32_t i = 0; i < options->size_count && good; i++) {
        struct measured measured = {.nodes = options->sizes[i]};
        good = measure_with(options, &measured, measure_grown, stderr) &&
               measure_with(options, &measured, measure_fresh, stderr);
        if (good && options->json)
            write_json_row(&measured, i == 0, to);
        else if (good)
            write_row(&measured, to);
    }
    if (options->json) fprintf(to, "]}\n");
    return good;
}
