#include <string.h>

#include "base/bitset.h"
#include "cluster/actions.h"
#include "cluster/admin.h"
#include "cluster/election.h"
#include "cluster/epoch.h"
#include "cluster/peers.h"
#include "cluster/slots.h"

static bool read_slot(struct admin *admin, size_t index, unsigned *slot) {
    int64_t number;
    if (!admin_number(admin, index, &number) || number < 0 || number >= CLUSTER_SLOTS) {
        admin_reject(admin, "ERR Invalid or out of range slot");
        return false;
    }
    *slot = (unsigned)number;
    return true;
}

// May this slot be added, or deleted? Marks it in `chosen`.
static bool choose(struct admin *admin, unsigned slot, bool add, uint8_t *chosen) {
    bool owned = slot_owner(admin->cluster, slot) != NULL;
    if (add && owned) return admin_reject(admin, "ERR Slot %u is already busy", slot), false;
    if (!add && !owned) return admin_reject(admin, "ERR Slot %u is already unassigned", slot), false;
    if (bitset_test(chosen, slot))
        return admin_reject(admin, "ERR Slot %u specified multiple times", slot), false;
    bitset_set(chosen, slot);
    return true;
}

// Cluster spec, "Manual slots migration": ADDSLOTS and DELSLOTS change the view of this node only, all slots
// or none.
static void apply(struct admin *admin, bool add, const uint8_t *chosen) {
    struct cluster *cluster = admin->cluster;
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot++) {
        if (!bitset_test(chosen, slot)) continue;
        if (add) slot_set_importing(cluster, slot, NULL);
        slot_give(cluster, slot, add ? cluster->myself : NULL);
    }
    admin_accept(admin);
}

// A replica owns no slot. (Redis lets it have what nobody would believe; nodes.conf could not be read again.)
static bool may_own(struct admin *admin) {
    bool primary = peer_is(admin->cluster->myself, CLUSTER_NODE_PRIMARY);
    if (!primary) admin_reject(admin, "ERR Please use ADDSLOTS only with masters.");
    return primary;
}

// Are all words slots? As in Redis that is found out before the first is judged (of ranges, one after the
// other).
static bool are_slots(struct admin *admin) {
    unsigned slot;
    for (size_t i = 1; i < admin->order->count; i++)
        if (!read_slot(admin, i, &slot)) return false;
    return true;
}

static void change_slots(struct admin *admin, bool add) {
    uint8_t chosen[PACKET_SLOTS_SIZE] = {0};
    unsigned slot;
    if ((add && !may_own(admin)) || !are_slots(admin)) return;
    for (size_t i = 1; i < admin->order->count; i++)
        if (!read_slot(admin, i, &slot) || !choose(admin, slot, add, chosen)) return;
    apply(admin, add, chosen);
}

static bool read_range(struct admin *admin, size_t index, unsigned *first, unsigned *last) {
    if (!read_slot(admin, index, first) || !read_slot(admin, index + 1, last)) return false;
    if (*first > *last)
        admin_reject(admin, "ERR start slot number %u is greater than end slot number %u", *first, *last);
    return *first <= *last;
}

static void change_ranges(struct admin *admin, bool add) {
    uint8_t chosen[PACKET_SLOTS_SIZE] = {0};
    unsigned first, last;
    if (add && !may_own(admin)) return;
    for (size_t i = 1; i + 1 < admin->order->count; i += 2) {
        if (!read_range(admin, i, &first, &last)) return;
        for (unsigned slot = first; slot <= last; slot++)
            if (!choose(admin, slot, add, chosen)) return;
    }
    apply(admin, add, chosen);
}

void admin_addslots(struct admin *admin) {
    change_slots(admin, true);
}

void admin_delslots(struct admin *admin) {
    change_slots(admin, false);
}

void admin_addslotsrange(struct admin *admin) {
    change_ranges(admin, true);
}

void admin_delslotsrange(struct admin *admin) {
    change_ranges(admin, false);
}

void admin_flushslots(struct admin *admin) {
    if (admin->order->has_keys) {
        admin_reject(admin, "ERR DB must be empty to perform CLUSTER FLUSHSLOTS.");
        return;
    }
    slots_abandon(admin->cluster, admin->cluster->myself);
    admin_accept(admin);
}

// ---- SETSLOT ----

static void set_migrating(struct admin *admin, unsigned slot) {
    struct cluster *cluster = admin->cluster;
    if (slot_owner(cluster, slot) != cluster->myself) {
        admin_reject(admin, "ERR I'm not the owner of hash slot %u", slot);
        return;
    }
    struct peer *to = admin_peer(admin, 3);
    struct bytes name = admin_argument(admin, 3);
    if (to == NULL) {
        admin_reject(admin, "ERR I don't know about node %.*s", (int)name.size, name.data);
    } else if (!peer_is(to, CLUSTER_NODE_PRIMARY)) {
        admin_reject(admin, "ERR Target node is not a master");
    } else {
        slot_set_migrating(cluster, slot, to);
        slot_set_taken(cluster, slot, NULL); // whoever claims it next may have it from us
        admin_accept(admin);
    }
}

static void set_importing(struct admin *admin, unsigned slot) {
    struct cluster *cluster = admin->cluster;
    if (slot_owner(cluster, slot) == cluster->myself) {
        admin_reject(admin, "ERR I'm already the owner of hash slot %u", slot);
        return;
    }
    struct peer *from = admin_peer(admin, 3);
    struct bytes name = admin_argument(admin, 3);
    if (from == NULL) {
        admin_reject(admin, "ERR I don't know about node %.*s", (int)name.size, name.data);
    } else if (!peer_is(from, CLUSTER_NODE_PRIMARY)) {
        admin_reject(admin, "ERR Target node is not a master");
    } else {
        slot_set_importing(cluster, slot, from);
        admin_accept(admin);
    }
}

// Another's slot is ours now: a new epoch makes our claim the newest of all that we have heard of.
static void take_over_slot(struct cluster *cluster, unsigned slot, const struct peer *from) {
    epoch_bump_alone(cluster);
    slot_set_importing(cluster, slot, NULL);
    slot_set_taken(cluster, slot, from);
    cluster->todo |= TODO_ANNOUNCE;
}

// Cluster spec, "Manual slots migration": SETSLOT NODE ends a migration; the importing node takes a new
// configEpoch without agreement.
static void set_owner(struct admin *admin, unsigned slot) {
    struct cluster *cluster = admin->cluster;
    struct peer *to = admin_peer(admin, 3), *myself = cluster->myself;
    struct bytes name = admin_argument(admin, 3);
    if (to == NULL) {
        admin_reject(admin, "ERR Unknown node %.*s", (int)name.size, name.data);
        return;
    }
    if (!peer_is(to, CLUSTER_NODE_PRIMARY)) {
        admin_reject(admin, "ERR Target node is not a master");
        return;
    }
    const struct peer *owner = slot_owner(cluster, slot);
    bool mine = owner == myself;
    if (mine && to != myself && admin->order->keys_in_slot) {
        admin_reject(
            admin,
            "ERR Can't assign hashslot %u to a different node while I still hold keys for this hash slot.",
            slot);
        return;
    }
    if (admin->order->keys_in_slot == 0) slot_set_migrating(cluster, slot, NULL);
    // We may know nothing of an import any more: whom we imported from was forgotten meanwhile, say. The slot
    // is taken from its owner all the same, who may have a newer epoch than we.
    bool taken = to == myself && (cluster->importing[slot] != NO_PEER || (owner && !mine));
    const struct peer *source = peer_at(cluster, cluster->importing[slot]);
    slot_give(cluster, slot, to);
    if (taken) take_over_slot(cluster, slot, mine ? NULL : source ? source : owner);
    // Our last slot has gone: follow it.
    if (mine && to != myself && myself->slots == 0 && cluster->config.allow_replica_migration) {
        action_note(cluster, LOG_NOTICE,
                    "Lost my last slot during slot migration. Reconfiguring myself as a replica of %.40s",
                    to->id);
        follow(cluster, to);
    }
    admin_accept(admin);
}

void admin_setslot(struct admin *admin) {
    struct cluster *cluster = admin->cluster;
    unsigned slot;
    if (peer_is(cluster->myself, CLUSTER_NODE_REPLICA)) {
        admin_reject(admin, "ERR Please use SETSLOT only with masters.");
        return;
    }
    if (!read_slot(admin, 1, &slot)) return;
    struct bytes action = admin_argument(admin, 2);
    size_t count = admin->order->count;
    if (count == 4 && bytes_is(action, "migrating")) {
        set_migrating(admin, slot);
    } else if (count == 4 && bytes_is(action, "importing")) {
        set_importing(admin, slot);
    } else if (count == 3 && bytes_is(action, "stable")) {
        slot_set_migrating(cluster, slot, NULL);
        slot_set_importing(cluster, slot, NULL);
        admin_accept(admin);
    } else if (count == 4 && bytes_is(action, "node")) {
        set_owner(admin, slot);
    } else {
        admin_reject(admin, "ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP");
    }
}
