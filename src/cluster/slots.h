// slots: who owns which slot, and whether that makes a working cluster. Part of the core.
#ifndef SHOAL_CLUSTER_SLOTS_H
#define SHOAL_CLUSTER_SLOTS_H

#include "cluster/state.h"

// Gives the slot to `peer`, or to nobody (NULL). Saves and publishes; a change of what is mine is a promise.
void slot_give(struct cluster *cluster, unsigned slot, struct peer *peer);

static inline struct peer *slot_owner(const struct cluster *cluster, unsigned slot) {
    uint16_t owner = cluster->owner[slot];
    return owner == NO_PEER ? NULL : cluster->peers[owner];
}

// Marks a slot of ours as leaving for, or a slot of others as coming from, the peer; NULL: not on the move.
void slot_set_migrating(struct cluster *cluster, unsigned slot, const struct peer *to);
void slot_set_importing(struct cluster *cluster, unsigned slot, const struct peer *from);

// The slot came to us from `from` by the administrator's word, not by its claim's epoch: until `from`, or
// whoever succeeds it, was heard without it, we hold it against them. NULL: nothing of that kind (any more).
void slot_set_taken(struct cluster *cluster, unsigned slot, const struct peer *from);

// The peer owns nothing any more.
void slots_abandon(struct cluster *cluster, struct peer *peer);

// All that move to or from this peer stand still.
void slots_forget_moves(struct cluster *cluster, uint16_t index);

// The bitmap (PACKET_SLOTS_SIZE bytes) of what the peer owns; valid until the next call or change.
const uint8_t *slots_bitmap(struct cluster *cluster, const struct peer *peer);

// The same without those that it does not claim itself any more, for they may have another owner of whom we
// have not heard yet: what may be said of somebody else.
void slots_claimed(struct cluster *cluster, const struct peer *peer, uint8_t *slots);

// `sender`, a primary, claims `slots` with its epoch: takes over what is right, and turns us into its replica
// where we or our primary have lost our last slot to it.
void slots_learn(struct cluster *cluster, struct peer *sender, uint64_t config_epoch, const uint8_t *slots);

// The owner of a claimed slot who has a newer configuration than the claim, or NULL: somebody has slept.
struct peer *slots_newer_owner(struct cluster *cluster, const struct peer *claimer, uint64_t config_epoch,
                               const uint8_t *slots);

// Decides anew whether the cluster works, as we see it: counts who works, or goes by what was counted.
void state_count(struct cluster *cluster);
void state_update(struct cluster *cluster);

// A majority has just elected us, and so told us all there is to know: we need not listen for a while before
// we serve.
void state_trust_now(struct cluster *cluster);

#endif
