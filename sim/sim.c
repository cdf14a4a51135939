#include "sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bitset.h"
#include "base/hash.h"
#include "base/memory.h"

enum {
    FRESH_PATIENCE_MS = 120000, // a cluster must have formed after this
    FRESH_LOOK_MS = 500,
    NAMES_A_NODE_MAX = 16, // places in the table of names
    LINE_SIZE = 64,        // of the processor's memory
    NODE_LINES = 4,
    CORE_LINES = 12,
    START_US = 100000, // all processes of a cluster start within this
};

// -- the cluster as a whole
// ------------------------------------------------------------------------------------------

// The first lines of a node and of its core are what each step of it looks at.
static void fetch_node(void *context, uint32_t index) {
    const struct sim *sim = context;
    const struct node *node = &sim->nodes[index];
    const char *core = (const char *)node->core, *lines = (const char *)node;
    for (int i = 0; i < NODE_LINES; i++)
        __builtin_prefetch(lines + (size_t)i * LINE_SIZE);
    for (int i = 0; core && i < CORE_LINES; i++)
        __builtin_prefetch(core + (size_t)i * LINE_SIZE);
}

void sim_init(struct sim *sim, const struct options *options, uint32_t count, uint64_t timeout_ms,
              uint64_t seed, FILE *echo) {
    *sim = (struct sim){.options = options, .count = count, .timeout_ms = timeout_ms};
    world_init(&sim->world, seed);
    sim->world.ahead = fetch_node;
    sim->world.ahead_context = sim;
    trace_init(&sim->trace, echo);
    network_init(&sim->network, &sim->world, count, &node_network_sink, sim);
    checks_init(&sim->checks, count);
    sim->commons = cluster_commons_create();
    sim->names_size = 16;
    while (sim->names_size < count * NAMES_A_NODE_MAX)
        sim->names_size *= 2;
    sim->names = mem_calloc(sim->names_size, sizeof *sim->names);
    sim->nodes = mem_calloc(count, sizeof *sim->nodes);
    for (uint32_t i = 0; i < count; i++)
        node_init(&sim->nodes[i], sim, i);
}

// Some events hold memory that nobody else knows of, so all that is planned still happens, to the dead.
void sim_free(struct sim *sim) {
    for (uint32_t i = 0; i < sim->count; i++)
        node_stop(&sim->nodes[i]);
    sim->over = true;
    network_close_all(&sim->network);
    while (world_step(&sim->world, UINT64_MAX)) {
    }
    network_free(&sim->network);
    for (uint32_t i = 0; i < sim->count; i++)
        node_free(&sim->nodes[i]);
    checks_free(&sim->checks);
    trace_free(&sim->trace);
    world_free(&sim->world);
    mem_free(sim->nodes);
    mem_free(sim->names);
    cluster_commons_release(sim->commons);
}

void sim_fail(struct sim *sim, const char *format, ...) {
    if (sim->failed) return;
    sim->failed = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sim->failure, sizeof sim->failure, format, arguments);
    va_end(arguments);
    sim_say(sim, "FAILED: %s", sim->failure);
}

void sim_tell(struct sim *sim, const char *format, ...) {
    char line[TRACE_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    sim_say(sim, "%s", line);
    if (sim->transcript) buffer_appendf(sim->transcript, "%s\n", line);
}

static void run_us(struct sim *sim, uint64_t us) {
    uint64_t until = sim->world.now + us;
    while (!sim->failed && world_step(&sim->world, until)) {
    }
}

void sim_run(struct sim *sim, uint64_t ms) {
    run_us(sim, ms * MICROSECONDS_PER_MS);
}

// -- names
// -----------------------------------------------------------------------------------------------------------

static uint32_t name_place(const struct sim *sim, const char *id) {
    uint32_t place = (uint32_t)hash_bytes(id, CLUSTER_ID_SIZE) & (sim->names_size - 1);
    return place;
}

struct node *sim_find(const struct sim *sim, const char id[40]) {
    for (uint32_t at = name_place(sim, id); sim->names[at]; at = (at + 1) & (sim->names_size - 1)) {
        struct node *node = &sim->nodes[sim->names[at] - 1];
        if (memcmp(node->id, id, CLUSTER_ID_SIZE) == 0) return node;
    }
    return NULL;
}

void sim_rename(struct sim *sim, struct node *node, const char *id) {
    if (strcmp(node->id, id) == 0) return;
    memcpy(node->id, id, CLUSTER_ID_SIZE);
    uint32_t at = name_place(sim, id);
    while (sim->names[at])
        at = (at + 1) & (sim->names_size - 1);
    sim->names[at] = node->index + 1;
}

// -- a cluster that has been up before
// -------------------------------------------------------------------------------

uint32_t sim_primaries(uint32_t count, uint32_t replicas) {
    uint32_t primaries = count / (replicas + 1);
    return primaries ? primaries : 1;
}

static uint32_t first_slot(uint32_t primary, uint32_t primaries) {
    return (uint32_t)((uint64_t)CLUSTER_SLOTS * primary / primaries);
}

static void append_node(struct sim *sim, uint32_t index, uint32_t primaries, bool myself,
                        struct buffer *text) {
    const struct node *node = &sim->nodes[index];
    uint32_t primary = index < primaries ? index : (index - primaries) % primaries;
    buffer_appendf(text, "%s %s:%d@%d,,shard-id=%s %s%s %s 0 0 %u connected", node->id,
                   sim->network.hosts[index].address, NODE_PORT, NODE_BUS_PORT, sim->nodes[primary].id,
                   myself ? "myself," : "", index < primaries ? "master" : "slave",
                   index < primaries ? "-" : sim->nodes[primary].id, primary + 1);
    if (index < primaries)
        buffer_appendf(text, " %u-%u", first_slot(index, primaries), first_slot(index + 1, primaries) - 1);
    buffer_append_byte(text, '\n');
}

static void invent_names(struct sim *sim) {
    for (uint32_t i = 0; i < sim->count; i++) {
        char id[CLUSTER_ID_SIZE + 1];
        snprintf(id, sizeof id, "%016" PRIx64 "%016" PRIx64 "%08x", prng_next(&sim->world.prng),
                 prng_next(&sim->world.prng), i);
        sim_rename(sim, &sim->nodes[i], id);
    }
}

static void fill_keys(struct node *node, uint32_t primaries) {
    for (uint32_t slot = first_slot(node->index, primaries); slot < first_slot(node->index + 1, primaries);
         slot++)
        bitset_set(node->keys, slot);
}

void sim_start_grown(struct sim *sim, uint32_t replicas) {
    uint32_t primaries = sim_primaries(sim->count, replicas);
    invent_names(sim);
    for (uint32_t i = 0; i < sim->count && !sim->failed; i++) {
        struct node *node = &sim->nodes[i];
        struct buffer *file = &node->disk.file;
        for (uint32_t j = 0; j < sim->count; j++)
            append_node(sim, j, primaries, i == j, file);
        buffer_appendf(file, "vars currentEpoch %u lastVoteEpoch 0\n", primaries);
        if (i < primaries) fill_keys(node, primaries);
        node_start(node);
        run_us(sim, START_US / sim->count); // nobody's clocks tick together
    }
}

// -- a cluster that an administrator makes
// ---------------------------------------------------------------------------

static void must_work(void *context, struct node *node, bool ok, const char *text) {
    struct sim *sim = context;
    if (!ok) sim_fail(sim, "a new cluster forms: n%u answers %s", node->index, text);
}

bool sim_all_know_all(const struct sim *sim) {
    for (uint32_t i = 0; i < sim->count; i++) {
        struct cluster_view_node seen;
        uint32_t cursor = 0, count = 0;
        while (cluster_view_next(sim->nodes[i].core, &cursor, &seen))
            count += !(seen.flags & CLUSTER_NODE_HANDSHAKE);
        if (count != sim->count) return false;
    }
    return true;
}

static void wait_for_all(struct sim *sim) {
    for (uint64_t waited = 0; !sim->failed && !sim_all_know_all(sim); waited += FRESH_LOOK_MS) {
        if (waited > FRESH_PATIENCE_MS) sim_fail(sim, "a new cluster forms: some nodes never met");
        sim_run(sim, FRESH_LOOK_MS);
    }
}

void sim_start_strangers(struct sim *sim, uint32_t replicas) {
    uint32_t primaries = sim_primaries(sim->count, replicas);
    char words[200];
    for (uint32_t i = 0; i < sim->count && !sim->failed; i++)
        node_start(&sim->nodes[i]);
    sim_run(sim, FRESH_LOOK_MS);
    for (uint32_t i = 0; i < primaries; i++) {
        fill_keys(&sim->nodes[i], primaries);
        snprintf(words, sizeof words, "ADDSLOTSRANGE %u %u", first_slot(i, primaries),
                 first_slot(i + 1, primaries) - 1);
        node_order(&sim->nodes[i], words, must_work, sim);
    }
    for (uint32_t i = 0; i < sim->count; i++) {
        snprintf(words, sizeof words, "SET-CONFIG-EPOCH %u", i + 1);
        node_order(&sim->nodes[i], words, must_work, sim);
    }
    sim_run(sim, FRESH_LOOK_MS);
    for (uint32_t i = 1; i < sim->count; i++) {
        snprintf(words, sizeof words, "MEET %s %d", sim->network.hosts[i].address, NODE_PORT);
        node_order(&sim->nodes[0], words, must_work, sim);
    }
}

void sim_start_fresh(struct sim *sim, uint32_t replicas) {
    uint32_t primaries = sim_primaries(sim->count, replicas);
    char words[200];
    sim_start_strangers(sim, replicas);
    wait_for_all(sim);
    for (uint32_t i = primaries; i < sim->count && !sim->failed; i++) {
        snprintf(words, sizeof words, "REPLICATE %s", sim->nodes[(i - primaries) % primaries].id);
        node_order(&sim->nodes[i], words, must_work, sim);
    }
    sim_run(sim, FRESH_LOOK_MS);
}
