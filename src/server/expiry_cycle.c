#include "server/expiry_cycle.h"

#include "call/settings.h"
#include "keyspace/slot_lock.h"
#include "os/clock.h"

enum {
    BUCKETS_A_STEP = 16,
    SAMPLE = 128,              // keys looked at before asking whether it is worth going on
    TURN_US = 20 * 1000,       // of each 100 ms, at effort 1
    TURN_US_EACH_EFFORT = 2 * 1000,
    WORTH_PERCENT = 10,        // at effort 1: fewer expired keys than this among those with an expiry, and the turn ends
};

struct step {
    struct dispatcher *dispatcher;
    unsigned db, slot;
    unsigned looked, removed;
};

static void look(void *context, struct entry *entry) {
    struct step *step = context;
    step->looked++;
    if (entry_expiry(entry) > step->dispatcher->now_ms) return;
    step->removed++;
    dispatch_expire(step->dispatcher, step->db, step->slot, entry_key(entry));
}

// Moves to the next place that has keys with an expiry. False: a whole round has none.
static bool find_place(struct expiry_walk *walk, const struct keyspace *keyspace, unsigned worker, unsigned workers) {
    unsigned databases = keyspace_databases(keyspace);
    unsigned share = HASH_SLOTS / workers + 1;
    for (unsigned i = 0; i <= share * databases; i++) {
        if (walk->slot % workers == worker && walk->slot < HASH_SLOTS &&
            keyspace_slot_count_expiring_in(keyspace, walk->db, walk->slot))
            return true;
        walk->bucket = 0;
        if (walk->slot % workers != worker) {
            walk->slot = worker;
            continue;
        }
        walk->slot += workers;
        if (walk->slot < HASH_SLOTS) continue;
        walk->slot = worker;
        walk->db = (walk->db + 1) % databases;
    }
    return false;
}

static void take_step(struct expiry_walk *walk, struct step *step, unsigned workers) {
    struct keyspace *keyspace = step->dispatcher->keyspace;
    step->db = walk->db;
    step->slot = walk->slot;
    slot_lock(keyspace, walk->slot);
    // A busy slot's keys are on their way to another node: they are left as they were sent.
    bool done = keyspace_slot_busy(keyspace, walk->slot) ||
                keyspace_slot_walk(keyspace, walk->db, walk->slot, &walk->bucket, BUCKETS_A_STEP, true, look, step);
    dispatch_flush_effects(step->dispatcher);
    slot_unlock(keyspace, walk->slot);
    if (!done) return;
    walk->bucket = 0;
    walk->slot += workers; // find_place goes on to the next database from beyond the end
    if (walk->slot < HASH_SLOTS) return;
    walk->slot = walk->slot % workers;
    walk->db = (walk->db + 1) % keyspace_databases(keyspace);
}

void expiry_cycle_turn(struct expiry_walk *walk, struct dispatcher *dispatcher, unsigned workers) {
    if (role.replica || role.loading || !role.active_expire) return;
    unsigned effort = settings.active_expire_effort ? settings.active_expire_effort - 1 : 0;
    int64_t end_us = clock_mono_us() + TURN_US + effort * TURN_US_EACH_EFFORT;
    unsigned worth = WORTH_PERCENT - (effort < WORTH_PERCENT ? effort : WORTH_PERCENT - 1);
    struct step step = {.dispatcher = dispatcher};
    while (find_place(walk, dispatcher->keyspace, dispatcher->worker, workers)) {
        take_step(walk, &step, workers);
        if (step.looked < SAMPLE) {
            if (clock_mono_us() >= end_us) return;
            if (step.looked == 0) continue;
        }
        if (step.looked >= SAMPLE) {
            if (step.removed * 100 < step.looked * worth || clock_mono_us() >= end_us) return;
            step.looked = step.removed = 0;
        } else if (walk->bucket == 0 && walk->slot == dispatcher->worker && walk->db == 0) {
            return; // a whole round is done
        }
    }
}
