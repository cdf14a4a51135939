#include "sim/faults.h"

#include <inttypes.h>

#include "base/memory.h"
#include "sim/admin.h"

enum {
    PAUSE_MIN_MS = 150,
    DRIFT_MAX_PPM = 30000,
    JUMP_MAX_MS = 3600000,
    LOSS_MAX_PERCENT = 20,
    CUT_MAX = 40, // connections broken at once
};

struct trouble {
    struct list_node node;
    struct faults *faults;
    enum fault_kind kind;
    uint32_t index;
    uint32_t life; // of the node, when it was frozen
    uint32_t amount;
    uint8_t *side;
};

static event_handler next_fault_comes;
static event_handler trouble_ends;

// -- ending
// ----------------------------------------------------------------------------------------------------------

void faults_part(struct sim *sim, const uint8_t *side, bool both, int by) {
    for (uint32_t from = 0; from < sim->count; from++)
        for (uint32_t to = 0; to < sim->count; to++)
            if (side[from] != side[to] && (both || side[from])) network_block(&sim->network, from, to, by);
}

static void undo(struct trouble *trouble) {
    struct sim *sim = trouble->faults->sim;
    struct node *node = &sim->nodes[trouble->index];
    struct host *host = &sim->network.hosts[trouble->index];
    switch (trouble->kind) {
    case FAULT_DELAY: host->slow_us -= trouble->amount; break;
    case FAULT_LOSS: host->loss = (uint8_t)(host->loss - trouble->amount); break;
    case FAULT_PARTITION:
    case FAULT_ONE_WAY:
        sim_say(sim, "the %s ends", trouble->kind == FAULT_PARTITION ? "partition" : "one-way partition");
        faults_part(sim, trouble->side, trouble->kind == FAULT_PARTITION, -1);
        break;
    case FAULT_MOVE:
        if (!node->core) network_move(&sim->network, trouble->index);
        __attribute__((fallthrough));
    case FAULT_CRASH:
    case FAULT_HOST_DEATH:
        trouble->faults->hurt--;
        node_start(node);
        break;
    case FAULT_FREEZE:
        trouble->faults->hurt--;
        if (node->lives == trouble->life) network_thaw(&sim->network, node->index);
        break;
    case FAULT_DRIFT: node_set_drift(node, 0); break;
    case FAULT_SLOW_DISK: node->disk.slow_us -= trouble->amount; break;
    case FAULT_FULL_DISK: node->disk.full = false; break;
    default: break;
    }
    list_remove(&trouble->node);
    mem_free(trouble->side);
    trouble->side = NULL;
}

static void trouble_ends(struct event *event) {
    struct trouble *trouble = event->subject;
    if (!list_empty(&trouble->node)) undo(trouble);
    mem_free(trouble);
}

// -- beginning
// -------------------------------------------------------------------------------------------------------

static uint32_t pick(struct sim *sim) {
    return (uint32_t)prng_below(&sim->world.prng, sim->count);
}

// Mostly short, sometimes some node timeouts.
static uint64_t duration_ms(struct sim *sim) {
    uint64_t timeout = sim->timeout_ms;
    return world_chance(&sim->world, 60) ? world_between(&sim->world, timeout / 20, timeout)
                                         : world_between(&sim->world, timeout, timeout * 4);
}

static struct trouble *begin(struct faults *faults, enum fault_kind kind, uint32_t index, uint64_t ms,
                             uint32_t amount) {
    struct sim *sim = faults->sim;
    struct trouble *trouble = mem_alloc(sizeof *trouble);
    *trouble = (struct trouble){.faults = faults, .kind = kind, .index = index, .amount = amount};
    list_append(&faults->troubles, &trouble->node);
    world_plan(&sim->world, sim->world.now + ms * MICROSECONDS_PER_MS, trouble_ends, trouble, NULL, 0);
    return trouble;
}

static bool part(struct faults *faults, enum fault_kind kind) {
    struct sim *sim = faults->sim;
    uint64_t ms = duration_ms(sim);
    if (sim->count < 2) return false;
    uint32_t most = world_chance(&sim->world, 80) ? sim->count / 4 : sim->count / 2;
    uint32_t wanted = (uint32_t)world_between(&sim->world, 1, most ? most : 1);
    bool inverted = world_chance(&sim->world, 50);
    struct trouble *trouble = begin(faults, kind, 0, ms, 0);
    trouble->side = mem_calloc(sim->count, 1);
    for (uint32_t i = 0; i < wanted; i++)
        trouble->side[pick(sim)] = 1;
    uint32_t first = 0;
    while (!trouble->side[first])
        first++;
    sim_say(sim, "%s for %" PRIu64 " ms around up to %u nodes, n%u among them", fault_names[kind], ms, wanted,
            first);
    if (kind == FAULT_ONE_WAY && inverted)
        for (uint32_t i = 0; i < sim->count; i++)
            trouble->side[i] ^= 1;
    faults_part(sim, trouble->side, kind == FAULT_PARTITION, 1);
    return true;
}

static bool kill_node(struct faults *faults, enum fault_kind kind) {
    struct sim *sim = faults->sim;
    uint32_t index = pick(sim);
    uint64_t ms = duration_ms(sim);
    if (faults->hurt >= faults->hurt_max || !sim->nodes[index].core) return false;
    faults->hurt++;
    node_kill(&sim->nodes[index], kind == FAULT_HOST_DEATH);
    begin(faults, kind, index, ms, 0);
    return true;
}

static bool freeze_node(struct faults *faults) {
    struct sim *sim = faults->sim;
    uint32_t index = pick(sim);
    uint64_t ms = duration_ms(sim);
    if (faults->hurt >= faults->hurt_max || !node_awake(&sim->nodes[index])) return false;
    faults->hurt++;
    node_freeze(&sim->nodes[index], ms);
    begin(faults, FAULT_FREEZE, index, ms, 0)->life = sim->nodes[index].lives;
    return true;
}

static bool cut_links(struct faults *faults) {
    struct sim *sim = faults->sim;
    uint32_t index = pick(sim), cut = 0;
    uint32_t most = (uint32_t)world_between(&sim->world, 1, CUT_MAX);
    for (int side = 0; side < 2; side++) {
        LIST_EACH(entry, &sim->network.hosts[index].connections[side]) {
            if (cut >= most) break;
            if (!world_chance(&sim->world, 50)) continue;
            network_cut(LIST_ENTRY(entry, struct connection, of_node[side]));
            cut++;
        }
    }
    if (cut) sim_say(sim, "%u connections of n%u break", cut, index);
    return cut != 0;
}

static bool hurt_clock(struct faults *faults, enum fault_kind kind) {
    struct sim *sim = faults->sim;
    uint32_t index = pick(sim);
    struct node *node = &sim->nodes[index];
    if (kind == FAULT_JUMP) {
        int64_t jump = (int64_t)world_between(&sim->world, 0, 2 * JUMP_MAX_MS) - JUMP_MAX_MS;
        node->clock.wall_jump_ms += jump;
        sim_say(sim, "n%u's time of day jumps by %" PRId64 " ms", index, jump);
        return true;
    }
    int64_t ppm = (int64_t)world_between(&sim->world, 0, 2 * DRIFT_MAX_PPM) - DRIFT_MAX_PPM;
    node_set_drift(node, ppm);
    sim_say(sim, "n%u's clock drifts by %" PRId64 " ppm", index, ppm);
    begin(faults, kind, index, duration_ms(sim) * 4, 0);
    return true;
}

static bool hurt_host(struct faults *faults, enum fault_kind kind) {
    struct sim *sim = faults->sim;
    uint32_t index = pick(sim), amount = 0;
    struct host *host = &sim->network.hosts[index];
    struct disk *disk = &sim->nodes[index].disk;
    uint64_t ms = duration_ms(sim), timeout_us = sim->timeout_ms * MICROSECONDS_PER_MS;
    if (kind == FAULT_DELAY) {
        amount = (uint32_t)world_between(&sim->world, 1000,
                                         world_chance(&sim->world, 80) ? timeout_us / 10 : timeout_us);
        host->slow_us += amount;
    } else if (kind == FAULT_LOSS) {
        if (host->loss) return false;
        amount = (uint32_t)world_between(&sim->world, 1, LOSS_MAX_PERCENT);
        host->loss = (uint8_t)amount;
    } else if (kind == FAULT_SLOW_DISK) {
        amount = (uint32_t)world_between(&sim->world, 10000,
                                         world_chance(&sim->world, 80) ? timeout_us / 5 : timeout_us * 2);
        disk->slow_us += amount;
    } else {
        if (disk->full) return false;
        disk->full = true;
    }
    sim_say(sim, "%s at n%u for %" PRIu64 " ms (%u)", fault_names[kind], index, ms, amount);
    begin(faults, kind, index, ms, amount);
    return true;
}

static bool make(struct faults *faults, enum fault_kind kind) {
    struct sim *sim = faults->sim;
    switch (kind) {
    case FAULT_DELAY:
    case FAULT_LOSS:
    case FAULT_SLOW_DISK:
    case FAULT_FULL_DISK: return hurt_host(faults, kind);
    case FAULT_CUT: return cut_links(faults);
    case FAULT_PARTITION:
    case FAULT_ONE_WAY: return part(faults, kind);
    case FAULT_CRASH:
    case FAULT_HOST_DEATH:
    case FAULT_MOVE: return kill_node(faults, kind);
    case FAULT_FREEZE: return freeze_node(faults);
    case FAULT_DRIFT:
    case FAULT_JUMP: return hurt_clock(faults, kind);
    case FAULT_FAILOVER: return admin_failover(sim, "");
    case FAULT_FORCE: return admin_failover(sim, "FORCE");
    case FAULT_TAKEOVER: return admin_failover(sim, "TAKEOVER");
    case FAULT_RESHARD: return admin_reshard(sim);
    case FAULT_FORGET: return admin_forget(sim);
    case FAULT_REPLICATE: return admin_replicate(sim);
    case FAULT_KINDS: break;
    }
    return false;
}

static void plan_next(struct faults *faults) {
    struct world *world = &faults->sim->world;
    uint64_t wait = world_between(world, 0, 2 * faults->pause_ms * MICROSECONDS_PER_MS);
    world_plan(world, world->now + wait, next_fault_comes, faults, NULL, 0);
}

static void next_fault_comes(struct event *event) {
    struct faults *faults = event->subject;
    if (!faults->active) return;
    enum fault_kind kind = (enum fault_kind)prng_below(&faults->sim->world.prng, FAULT_KINDS);
    if (faults->kinds >> kind & 1 && make(faults, kind)) faults->tried[kind]++;
    plan_next(faults);
}

void faults_start(struct faults *faults, struct sim *sim, uint32_t kinds) {
    *faults = (struct faults){.sim = sim, .kinds = kinds, .active = true};
    list_init(&faults->troubles);
    // Mostly a third of the nodes at most is gone at a time; in some runs no majority is safe.
    faults->hurt_max = world_chance(&sim->world, 85) ? sim->count / 3 : sim->count * 2 / 3;
    if (faults->hurt_max == 0) faults->hurt_max = 1;
    faults->pause_ms = sim->timeout_ms / 4 / (1 + sim->count / 25);
    if (faults->pause_ms < PAUSE_MIN_MS) faults->pause_ms = PAUSE_MIN_MS;
    if (kinds) plan_next(faults);
}

void faults_heal(struct faults *faults) {
    sim_say(faults->sim, "all troubles end");
    faults->active = false;
    LIST_EACH(entry, &faults->troubles)
    undo(LIST_ENTRY(entry, struct trouble, node));
    for (uint32_t i = 0; i < faults->sim->count; i++)
        node_start(&faults->sim->nodes[i]);
}
