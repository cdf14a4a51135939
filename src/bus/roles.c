// What the core decided about this node's role and keys: posted to worker 0 and done in exclusive mode, in order.
#include <stdio.h>

#include "base/bitset.h"
#include "base/log.h"
#include "base/memory.h"
#include "bus/bus_private.h"
#include "replication/replication.h"

enum role_change { CHANGE_PRIMARY, CHANGE_REPLICA, CHANGE_DROP_SLOT, CHANGE_DROP_ALL };

struct change {
    enum role_change kind;
    char ip[CLUSTER_IP_SIZE];
    uint16_t port;
    unsigned slot;
};

static void drop_one(void *context, struct entry *entry) {
    *(struct entry **)context = entry;
}

// Removes a slot's keys, telling the replicas.
static void drop_slot(unsigned slot) {
    for (unsigned db = 0; db < keyspace_databases(bus.keyspace); db++) {
        while (keyspace_slot_count_in(bus.keyspace, db, slot)) {
            struct entry *entry = NULL;
            uint64_t cursor = 0;
            do
                cursor = keyspace_slot_scan(bus.keyspace, db, slot, cursor, drop_one, &entry);
            while (!entry && cursor);
            if (!entry) break;
            dispatch_drop(bus.dispatcher, db, slot, entry_key(entry));
        }
    }
    dispatch_flush_effects(bus.dispatcher);
}

static void drop_all(void) {
    for (unsigned db = 0; db < keyspace_databases(bus.keyspace); db++) {
        keyspace_touched_all(bus.keyspace, db);
        keyspace_clear(bus.keyspace, db);
    }
    keyspace_flushed(bus.keyspace);
}

// On the bus thread.
static void became_primary(void *nothing) {
    bus.becoming_primary--;
}

// On worker 0.
static void apply(void *argument) {
    struct change *change = argument;
    dispatch_begin_exclusive(bus.dispatcher);
    switch (change->kind) {
    case CHANGE_PRIMARY: replication_unfollow(); break;
    case CHANGE_REPLICA: replication_follow(change->ip, change->port); break;
    case CHANGE_DROP_SLOT: drop_slot(change->slot); break;
    case CHANGE_DROP_ALL: drop_all(); break;
    }
    dispatch_end_exclusive(bus.dispatcher);
    if (change->kind == CHANGE_PRIMARY) loop_post(bus.loop, became_primary, NULL);
    mem_free(change);
}

static void post(struct change change) {
    struct change *copy = mem_alloc(sizeof *copy);
    *copy = change;
    loop_post(bus.worker_loop, apply, copy);
}

// Keys of slots that nobody serves make this node their owner; those of others' slots go.
static void settle_slots(void *argument) {
    uint8_t *has_keys = argument;
    const uint16_t *owners = cluster_view_owners(bus.cluster);
    struct cluster_view_node myself;
    cluster_view_myself(bus.cluster, &myself);
    for (unsigned slot = 0; slot < HASH_SLOTS && myself.flags & CLUSTER_NODE_PRIMARY; slot++) {
        if (!bitset_test(has_keys, slot) || owners[slot] == myself.index) continue;
        if (owners[slot] == CLUSTER_NO_INDEX) {
            log_write(LOG_NOTICE, "I have keys for slot %u, but nobody serves it. Taking it.", slot);
            orders_claim_slot(slot);
        } else {
            log_write(LOG_NOTICE, "I have keys for slot %u, but another node serves it. Deleting them.", slot);
            roles_drop_slot(slot);
        }
    }
    mem_free(has_keys);
}

void bus_keys_loaded(void) {
    uint8_t *has_keys = mem_calloc(HASH_SLOTS / 8, 1);
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++)
        if (keyspace_slot_count(bus.keyspace, slot)) bitset_set(has_keys, slot);
    loop_post(bus.loop, settle_slots, has_keys);
}

void roles_become_primary(void) {
    bus.becoming_primary++;
    post((struct change){.kind = CHANGE_PRIMARY});
}

void roles_become_replica(const char *ip, uint16_t port) {
    struct change change = {.kind = CHANGE_REPLICA, .port = port};
    snprintf(change.ip, sizeof change.ip, "%s", ip);
    post(change);
}

void roles_drop_slot(unsigned slot) {
    post((struct change){.kind = CHANGE_DROP_SLOT, .slot = slot});
}

void roles_drop_all(void) {
    post((struct change){.kind = CHANGE_DROP_ALL});
}
