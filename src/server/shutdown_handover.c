#include "server/shutdown_handover.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/bus.h"
#include "call/settings.h"
#include "keyspace/keyspace.h"
#include "os/clock.h"
#include "replication/replication.h"

enum {
    FOLLOWERS_MAX = 256, // replicas of ours that are looked at
    IN_SYNC_MS = 1000,   // a replica that has not acknowledged by then is not in sync
    LOOK_US = 2000,
};

static enum { IDLE, BEGINS, WAITS_FOR_ACKNOWLEDGEMENT, WAITS_FOR_BUS } stage;
static struct loop *loop;
static struct keyspace *keyspace;
static void look(struct timer *timer);
static struct timer look_timer = {.node = {&look_timer.node, &look_timer.node}, .run = look}; // worker 0's
static void (*tell_ended)(bool handed_over);
static uint64_t number; // of this handover, so that the end of one that was aborted is not taken for it
static uint64_t wanted_offset;
static int64_t patience_until_ms, until_ms;

static bool owns_slots(const struct routes *routes) {
    for (unsigned slot = 0; slot < HASH_SLOTS && routes->primary; slot++)
        if (routes->owner[slot] == routes->myself) return true;
    return false;
}

static void end(bool handed_over) {
    stage = IDLE;
    tell_ended(handed_over);
}

static void bus_has_ended(uint64_t of_number, bool handed_over) {
    if (stage != WAITS_FOR_BUS || of_number != number) return;
    if (handed_over) log_write(LOG_NOTICE, "My slots are handed over.");
    end(handed_over);
}

static int more_acknowledged_first(const void *a, const void *b) {
    const struct replication_follower *one = a, *other = b;
    return (one->acknowledged < other->acknowledged) - (one->acknowledged > other->acknowledged);
}

// Those that are in sync, the best first.
static void choose_heirs(struct bus_handover *order) {
    static struct replication_follower followers[FOLLOWERS_MAX];
    unsigned count = replication_followers(followers, FOLLOWERS_MAX);
    qsort(followers, count, sizeof *followers, more_acknowledged_first);
    for (unsigned i = 0; i < count && order->heir_count < BUS_HEIRS_MAX; i++) {
        if (followers[i].acknowledged < wanted_offset) continue;
        struct bus_heir *heir = &order->heirs[order->heir_count++];
        heir->port = followers[i].port;
        strncpy(heir->ip, followers[i].address, sizeof heir->ip - 1);
    }
}

// Replicas log in at us as we would at them.
static void choose_login(struct bus_handover *order) {
    bool as_replica = replication_settings.masterauth[0] != '\0';
    order->user = as_replica ? replication_settings.masteruser : "";
    order->password = as_replica ? replication_settings.masterauth : settings.requirepass;
}

static void look(struct timer *timer) {
    if (stage != WAITS_FOR_ACKNOWLEDGEMENT) return; // it was aborted
    struct bus_handover order = {.number = number, .until_ms = until_ms, .ended = bus_has_ended};
    choose_heirs(&order);
    if (order.heir_count) {
        choose_login(&order);
        stage = WAITS_FOR_BUS;
        bus_hand_over(&order);
    } else if (clock_mono_ms() >= patience_until_ms) {
        log_write(LOG_WARNING, "My slots are not handed over before the shutdown: no replica is in sync.");
        end(false);
    } else {
        loop_timer_set(loop, timer, clock_mono_us() + LOOK_US);
    }
}

// NULL: a replica may be asked.
static const char *why_not(void) {
    struct replication_follower one;
    if (!replication_followers(&one, 1)) return "no replica is connected";
    return keyspace_routes(keyspace)->cluster_ok ? NULL : "the cluster is down";
}

// On worker 0, whose timer looks for acknowledgements.
static void begin_to_look(void *nothing) {
    if (stage != BEGINS) return; // it was aborted
    bool owner = owns_slots(keyspace_routes(keyspace));
    const char *reason = owner ? why_not() : NULL;
    if (reason) log_write(LOG_NOTICE, "My slots are not handed over before the shutdown: %s.", reason);
    if (!owner || reason) {
        end(false);
        return;
    }
    int64_t now = clock_mono_ms();
    patience_until_ms = now + IN_SYNC_MS < until_ms ? now + IN_SYNC_MS : until_ms;
    wanted_offset = replication_offset();
    stage = WAITS_FOR_ACKNOWLEDGEMENT;
    replication_ask_acknowledgements();
    loop_timer_set(loop, &look_timer, clock_mono_us() + LOOK_US);
}

bool handover_begin(struct loop *of_worker, struct dispatcher *dispatcher, int64_t deadline_ms,
                    void (*ended)(bool handed_over)) {
    if (!settings.cluster_enabled) return false;
    loop = of_worker;
    keyspace = dispatcher->keyspace;
    tell_ended = ended;
    until_ms = deadline_ms;
    number++;
    stage = BEGINS;
    loop_post(loop, begin_to_look, NULL); // the caller's worker may be another
    return true;
}

void handover_abort(void) {
    if (stage == WAITS_FOR_BUS) bus_hand_over_stop();
    stage = IDLE;
}
