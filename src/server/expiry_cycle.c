#include "server/expiry_cycle.h"

#include <stdbool.h>

#include "call/pause.h"
#include "call/settings.h"
#include "keyspace/slot_lock.h"
#include "os/clock.h"
#include "server/latency.h"
#include "server/worker.h"

enum {
    TURN_US = 100 * 1000,   // from one turn to the next
    BUCKETS_A_STEP = 8,     // of a slot's table, under its lock
    EXPIRED_A_STEP = 96,    // keys removed in one step; what is more waits for the next round
    PATROL_US = 500,        // spent each time however few keys are stale, for each point of effort
    BUSY_PERCENT = 25,      // of a worker's time, at most, at effort 1; two more for each point
    STALE_PERCENT = 10,     // of the keys met: with more than that it goes on beyond its patrol
    CLOCK_EVERY_STEPS = 16, // how often it looks at the clock
};

#define NEW_SHARE 0.05 // of the latest turn in the estimate of how many keys are stale

// Whose turns there have been, for the status.
static const struct expiry_walk *walks[WORKERS_MAX];

// What one step found.
struct step {
    int64_t now_ms;
    unsigned met, count;
    struct entry *expired[EXPIRED_A_STEP];
};

static void look_at(void *context, struct entry *entry) {
    struct step *step = context;
    step->met++;
    if (entry_expiry(entry) <= step->now_ms && step->count < EXPIRED_A_STEP) step->expired[step->count++] = entry;
}

// Some buckets of the slot it stands at. True: the slot is done.
static bool step_in_slot(struct expiry_walk *walk, struct dispatcher *dispatcher) {
    struct keyspace *keyspace = dispatcher->keyspace;
    struct step step = {.now_ms = dispatcher->now_ms};
    slot_lock(keyspace, walk->slot);
    bool done = true;
    if (!keyspace_slot_busy(keyspace, walk->slot)) {
        done = keyspace_slot_walk(keyspace, walk->db, walk->slot, &walk->bucket, BUCKETS_A_STEP, true, look_at, &step);
        for (unsigned i = 0; i < step.count; i++)
            dispatch_expire(dispatcher, walk->db, walk->slot, entry_key(step.expired[i]));
        if (step.count) dispatch_flush_effects(dispatcher);
    }
    slot_unlock(keyspace, walk->slot);
    walk->met += step.met;
    walk->stale += step.count;
    return done;
}

// Moves on to the next slot of its share, and at their end to the next database.
static void next_slot(struct expiry_walk *walk, struct keyspace *keyspace, unsigned workers) {
    walk->bucket = 0;
    walk->slot += workers;
    if (walk->slot < HASH_SLOTS) return;
    walk->slot %= workers;
    walk->db = (walk->db + 1) % keyspace_databases(keyspace);
}

static bool has_work(const struct expiry_walk *walk, struct keyspace *keyspace) {
    return keyspace_slot_count_expiring_in(keyspace, walk->db, walk->slot) != 0;
}

static int64_t budget_us(void) {
    int64_t percent = BUSY_PERCENT + 2 * (int64_t)(settings.active_expire_effort - 1);
    return TURN_US * percent / 100;
}

static bool many_are_stale(const struct expiry_walk *walk) {
    int64_t tolerated = STALE_PERCENT - (int64_t)(settings.active_expire_effort - 1);
    return walk->stale * 100 > walk->met * (uint64_t)(tolerated > 0 ? tolerated : 0);
}

// Databases without expiring keys are passed over whole. False: there are none anywhere.
static bool find_database(struct expiry_walk *walk, struct keyspace *keyspace, unsigned workers) {
    unsigned databases = keyspace_databases(keyspace);
    for (unsigned i = 0; i < databases; i++) {
        if (keyspace_count_expiring(keyspace, walk->db)) return true;
        walk->db = (walk->db + 1) % databases;
        walk->slot %= workers;
        walk->bucket = 0;
    }
    return false;
}

static void take_turn(struct expiry_walk *walk, struct dispatcher *dispatcher, unsigned workers, int64_t start_us) {
    struct keyspace *keyspace = dispatcher->keyspace;
    int64_t patrol = PATROL_US * (int64_t)settings.active_expire_effort, budget = budget_us();
    if (patrol > budget) patrol = budget;
    unsigned slots_seen = 0, slots_a_round = HASH_SLOTS / workers + 1, steps = 0;
    unsigned databases = keyspace_databases(keyspace);
    walk->met = walk->stale = 0;
    while (slots_seen <= slots_a_round * databases) {
        if (walk->slot < workers && walk->bucket == 0 && !find_database(walk, keyspace, workers)) break;
        if (!has_work(walk, keyspace) || step_in_slot(walk, dispatcher)) {
            next_slot(walk, keyspace, workers);
            slots_seen++;
        }
        if (++steps % CLOCK_EVERY_STEPS) continue;
        int64_t spent = clock_mono_us() - start_us;
        if (spent > patrol && !many_are_stale(walk)) break;
        if (spent <= budget) continue;
        walk->cut_short++;
        break;
    }
    if (walk->met) {
        double now = 100.0 * (double)walk->stale / (double)walk->met;
        walk->stale_percent = now * NEW_SHARE + walk->stale_percent * (1 - NEW_SHARE);
    }
}

void expiry_cycle_turn(struct expiry_walk *walk, struct dispatcher *dispatcher, unsigned workers) {
    walks[dispatcher->worker] = walk;
    if (role.replica || !role.active_expire || role.loading || pause_applies(dispatcher->mono_ms, true)) return;
    if (walk->slot % workers != dispatcher->worker) walk->slot = dispatcher->worker;
    if (!find_database(walk, dispatcher->keyspace, workers)) {
        walk->stale_percent *= 1 - NEW_SHARE;
        return;
    }
    int64_t start_us = clock_mono_us();
    take_turn(walk, dispatcher, workers, start_us);
    int64_t spent = clock_mono_us() - start_us;
    walk->cpu_us += (uint64_t)spent;
    latency_add(LATENCY_EXPIRE_CYCLE, spent / 1000);
}

void expiry_cycle_status(struct expiry_cycle_status *status) {
    *status = (struct expiry_cycle_status){0};
    for (unsigned i = 0; i < workers_count(); i++) {
        if (!walks[i]) continue;
        status->stale_percent += walks[i]->stale_percent / workers_count();
        status->cut_short += walks[i]->cut_short;
        status->cpu_ms += walks[i]->cpu_us / 1000;
    }
}
