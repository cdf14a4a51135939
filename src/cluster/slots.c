#include "cluster/slots.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/bitset.h"
#include "cluster/actions.h"
#include "cluster/election.h"
#include "cluster/epoch.h"
#include "cluster/peers.h"

// ---- One slot ----

void slot_give(struct cluster *cluster, unsigned slot, struct peer *peer) {
    struct peer *old = slot_owner(cluster, slot);
    bitset_clear(cluster->not_claimed, slot);
    if (old == peer) return;
    if (old) {
        if (--old->slots == 0) cluster->size--;
        cluster->assigned--;
        if (old == cluster->myself) {
            slot_set_migrating(cluster, slot, NULL);
            slot_set_taken(cluster, slot, NULL);
        }
    }
    if (peer) {
        if (peer->slots++ == 0) cluster->size++;
        cluster->assigned++;
    }
    cluster->owner[slot] = peer ? peer->index : NO_PEER;
    cluster->slots_version++;
    if (old) old->slots_changed = cluster->slots_version;
    if (peer) peer->slots_changed = cluster->slots_version;
    cluster->todo |= TODO_SAVE | TODO_STATE | TODO_ROUTES;
    if (old == cluster->myself || peer == cluster->myself) promise(cluster);
}

static void set_move(struct cluster *cluster, uint16_t *moves, unsigned slot, const struct peer *peer) {
    uint16_t index = peer ? peer->index : NO_PEER;
    if (moves[slot] == index) return;
    if (moves[slot] == NO_PEER) cluster->moving++;
    if (index == NO_PEER) cluster->moving--;
    moves[slot] = index;
    cluster->todo |= TODO_SAVE | TODO_SAVE_SYNC | TODO_ROUTES;
}

void slot_set_migrating(struct cluster *cluster, unsigned slot, const struct peer *to) {
    set_move(cluster, cluster->migrating, slot, to);
}

void slot_set_importing(struct cluster *cluster, unsigned slot, const struct peer *from) {
    set_move(cluster, cluster->importing, slot, from);
}

void slot_set_taken(struct cluster *cluster, unsigned slot, const struct peer *from) {
    uint16_t index = from ? from->index : NO_PEER;
    if (cluster->taken_from[slot] == NO_PEER && index != NO_PEER) cluster->taken++;
    if (cluster->taken_from[slot] != NO_PEER && index == NO_PEER) cluster->taken--;
    cluster->taken_from[slot] = index;
}

// ---- Many slots ----

void slots_abandon(struct cluster *cluster, struct peer *peer) {
    for (unsigned slot = 0; slot < CLUSTER_SLOTS && peer->slots; slot++)
        if (cluster->owner[slot] == peer->index) slot_give(cluster, slot, NULL);
}

void slots_forget_moves(struct cluster *cluster, uint16_t index) {
    for (unsigned slot = 0; slot < CLUSTER_SLOTS && cluster->moving; slot++) {
        if (cluster->migrating[slot] == index) slot_set_migrating(cluster, slot, NULL);
        if (cluster->importing[slot] == index) slot_set_importing(cluster, slot, NULL);
    }
    for (unsigned slot = 0; slot < CLUSTER_SLOTS && cluster->taken; slot++)
        if (cluster->taken_from[slot] == index) slot_set_taken(cluster, slot, NULL);
}

// The bitmap of where `index` stands in owner[]. Asked for with nearly every packet while slots change hands,
// so it takes 16 slots at a time where the machine can.
static void collect(const uint16_t *owner, uint16_t index, uint8_t *bits) {
#ifdef __SSE2__
    const __m128i wanted = _mm_set1_epi16((short)index);
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot += 16) {
        __m128i low = _mm_cmpeq_epi16(_mm_loadu_si128((const __m128i *)(owner + slot)), wanted);
        __m128i high = _mm_cmpeq_epi16(_mm_loadu_si128((const __m128i *)(owner + slot + 8)), wanted);
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_packs_epi16(low, high));
        bits[slot / 8] = (uint8_t)mask;
        bits[slot / 8 + 1] = (uint8_t)(mask >> 8);
    }
#else
    memset(bits, 0, PACKET_SLOTS_SIZE);
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot++)
        if (owner[slot] == index) bitset_set(bits, slot);
#endif
}

const uint8_t *slots_bitmap(struct cluster *cluster, const struct peer *peer) {
    if (cluster->claims_of == peer->index && cluster->claims_version >= peer->slots_changed)
        return cluster->claims;
    cluster->claims_of = peer->index;
    cluster->claims_version = cluster->slots_version;
    collect(cluster->owner, peer->index, cluster->claims);
    return cluster->claims;
}

void slots_claimed(struct cluster *cluster, const struct peer *peer, uint8_t *slots) {
    memcpy(slots, slots_bitmap(cluster, peer), PACKET_SLOTS_SIZE);
    for (unsigned byte = 0; byte < PACKET_SLOTS_SIZE; byte++)
        slots[byte] = (uint8_t)(slots[byte] & ~cluster->not_claimed[byte]);
}

struct losses {
    uint32_t claimed; // by the sender
    uint32_t ours;    // of those, what our primary or we have lost
    uint32_t mine;    // of those, what we have lost ourselves, and which
    uint8_t slots[PACKET_SLOTS_SIZE];
    uint32_t disputed; // what we have taken from somebody, and the sender claims with a newer configuration,
    uint8_t disputed_slots[PACKET_SLOTS_SIZE];
    bool defended; // and from its shard
};

static bool same_shard(const struct peer *a, const struct peer *b) {
    return a == b || a->primary == b->index || b->primary == a->index ||
           memcmp(a->shard_id, b->shard_id, CLUSTER_ID_SIZE) == 0;
}

// Did we take this slot from the claimer's shard? SETSLOT NODE gave our claim a new epoch without agreement.
// The old owner may have taken a newer one at the same time (it imports other slots; or a replica has been
// elected that never heard of us) and goes on claiming, until it is told, what the administrator has given to
// us: then it lets go, and if we had yielded, nobody would own the slot, and its keys would be lost with us.
static bool taken_from_shard_of(const struct cluster *cluster, unsigned slot, const struct peer *claimer) {
    if (cluster->taken == 0 || cluster->taken_from[slot] == NO_PEER) return false;
    return same_shard(cluster->peers[cluster->taken_from[slot]], claimer);
}

static void yield(struct cluster *cluster, unsigned slot, struct peer *sender, struct peer *head,
                  struct losses *losses) {
    const struct peer *owner = slot_owner(cluster, slot);
    if (owner && owner == head) losses->ours++;
    if (owner == cluster->myself) losses->mine++, bitset_set(losses->slots, slot);
    slot_give(cluster, slot, sender);
    // The slot that we import has a new owner (a replica was elected, say): from now on it comes from there.
    if (cluster->importing[slot] != NO_PEER) slot_set_importing(cluster, slot, sender);
}

// One slot that the sender claims.
// Cluster spec, "How hash slots configuration propagates": an unassigned slot goes to whoever claims it (rule
// 1); an assigned one to a claimer with a greater configEpoch than its owner's (rule 2).
static void learn_claim(struct cluster *cluster, unsigned slot, struct peer *sender, uint64_t config_epoch,
                        struct peer *head, struct losses *losses) {
    struct peer *owner = slot_owner(cluster, slot);
    if (owner == sender) return;
    bool free = owner == NULL || bitset_test(cluster->not_claimed, slot);
    if (!free && owner->config_epoch >= config_epoch) return;
    if (owner == cluster->myself && cluster->taken_from[slot] != NO_PEER) {
        losses->disputed++, bitset_set(losses->disputed_slots, slot);
        return;
    }
    yield(cluster, slot, sender, head, losses);
}

// Has what the sender claims left nothing of what the peer had when slots_version was `before`? Then it is
// the peer's successor, of whatever shard we think it.
static bool has_succeeded(const struct peer *peer, uint64_t before) {
    return peer->slots == 0 && peer->slots_changed > before;
}

// After all other claims of the sender's have been taken in.
static void decide_disputed(struct cluster *cluster, struct peer *sender, struct peer *head, uint64_t before,
                            struct losses *losses) {
    for (unsigned slot = 0; slot < CLUSTER_SLOTS && losses->disputed; slot++) {
        if (!bitset_test(losses->disputed_slots, slot)) continue;
        const struct peer *former = cluster->peers[cluster->taken_from[slot]];
        if (has_succeeded(former, before)) slot_set_taken(cluster, slot, sender);
        if (taken_from_shard_of(cluster, slot, sender))
            losses->defended = true;
        else
            yield(cluster, slot, sender, head, losses);
    }
}

// The claims among the 64 slots from `first` on.
static void learn_claims(struct cluster *cluster, unsigned first, const uint8_t *slots, struct peer *sender,
                         uint64_t config_epoch, struct peer *head, struct losses *losses) {
    for (unsigned slot = first; slot < first + 64; slot++)
        if (bitset_test(slots, slot)) learn_claim(cluster, slot, sender, config_epoch, head, losses);
}

static uint64_t bits_at(const uint8_t *bits, unsigned byte) {
    uint64_t word;
    memcpy(&word, bits + byte, sizeof(word));
    return word;
}

// We stay a primary: keys of slots that are not ours any more must not come to light again.
static void drop_lost_slots(struct cluster *cluster, const struct losses *losses) {
    for (unsigned slot = 0; slot < CLUSTER_SLOTS && losses->mine; slot++)
        if (bitset_test(losses->slots, slot))
            action_add(cluster, CLUSTER_ACTION_DROP_SLOT)->slot = (uint16_t)slot;
}

// Does what the sender claims tell what has become of a slot that we took? Whoever had it does; and whoever
// took that one's place once it has heard of that itself, for until then it may go on claiming with epochs
// that nobody else knows.
static bool speaks_for_former_owner(const struct cluster *cluster, unsigned slot, const struct peer *sender) {
    if (!taken_from_shard_of(cluster, slot, sender)) return false;
    const struct peer *former = cluster->peers[cluster->taken_from[slot]];
    return sender == former || peer_is(former, CLUSTER_NODE_REPLICA);
}

// What we took from the sender's shard and it does not claim (any more) is ours for good, if nothing that it
// has said before and that is still on its way can beat us. Returns whether that needs a newer epoch than
// ours.
static bool settle_taken(struct cluster *cluster, const struct peer *sender, uint64_t config_epoch,
                         const uint8_t *slots) {
    bool beaten = false;
    for (unsigned slot = 0; slot < CLUSTER_SLOTS && cluster->taken; slot++) {
        if (bitset_test(slots, slot) || !speaks_for_former_owner(cluster, slot, sender)) continue;
        slot_set_taken(cluster, slot, NULL);
        beaten |= config_epoch >= cluster->myself->config_epoch;
    }
    return beaten;
}

// Do slots of ours go elsewhere just now? A newer epoch of ours would then be a claim to them, too: were it
// to cross the SETSLOT NODE by which the target has got one, the target would give it back, while we are told
// that it is gone, and nobody would claim it. (Of our kind the target would insist. A redis-server does not.)
static bool gives_slots_away(const struct cluster *cluster) {
    for (unsigned slot = 0; slot < CLUSTER_SLOTS && cluster->moving; slot++)
        if (cluster->migrating[slot] != NO_PEER) return true;
    return false;
}

// We keep what we have taken: the others will hear of it with an epoch that is newer than any other's.
static void defend(struct cluster *cluster) {
    action_note(cluster, LOG_NOTICE,
                "Slots that were imported are claimed by their former owner: moving on.");
    epoch_take_new(cluster);
    cluster->todo |= TODO_ANNOUNCE;
}

// Whom to follow when our shard has lost its last slot to `taker`. Where a move was under way while the shard
// got a new primary, the last one may go elsewhere: our place is in our shard all the same.
static struct peer *heir(struct cluster *cluster, struct peer *taker) {
    struct peer *myself = cluster->myself, *head = peer_shard_head(cluster, myself);
    PEERS_EACH(cluster, peer) {
        if (peer == myself || peer == head || !peer_votes(peer) || peer_is(peer, CLUSTER_NODE_FAIL)) continue;
        if (memcmp(peer->shard_id, myself->shard_id, CLUSTER_ID_SIZE) == 0) return peer;
    }
    return taker;
}

void slots_learn(struct cluster *cluster, struct peer *sender, uint64_t config_epoch, const uint8_t *slots) {
    struct peer *myself = cluster->myself, *head = peer_shard_head(cluster, myself);
    if (sender == myself) return;
    sender->claims_epoch = config_epoch;
    struct losses losses = {0};
    uint64_t version = cluster->slots_version;
    bool fell_silent = false;
    uint8_t own[PACKET_SLOTS_SIZE]; // before the claims change it
    memcpy(own, slots_bitmap(cluster, sender), sizeof(own));
    for (unsigned byte = 0; byte < PACKET_SLOTS_SIZE; byte += sizeof(uint64_t)) {
        uint64_t claimed = bits_at(slots, byte), owned = bits_at(own, byte),
                 silent = bits_at(cluster->not_claimed, byte);
        losses.claimed += (uint32_t)__builtin_popcountll(claimed);
        // It does not claim what we think is its: leave it there until somebody else claims it.
        uint64_t before = silent;
        silent = (silent & ~(owned & claimed)) | (owned & ~claimed);
        fell_silent |= silent != before;
        memcpy(cluster->not_claimed + byte, &silent, sizeof(silent));
        if (claimed & ~owned) learn_claims(cluster, byte * 8, slots, sender, config_epoch, head, &losses);
    }
    decide_disputed(cluster, sender, head, version, &losses);
    if (fell_silent) sender->slots_changed = ++cluster->slots_version; // what we say of it changes
    bool giving = cluster->taken && gives_slots_away(cluster);         // then it has to wait; the marks stay
    if (!giving && cluster->taken && settle_taken(cluster, sender, config_epoch, slots))
        losses.defended = true;
    if (!giving && losses.defended) defend(cluster);
    // Cluster spec, "How hash slots configuration propagates": a primary whose last slot was taken becomes a
    // replica of the node that took it; and its replicas follow.
    bool wanted = cluster->config.allow_replica_migration || losses.claimed == losses.ours;
    if (losses.ours == 0 || head->slots || !wanted) {
        drop_lost_slots(cluster, &losses);
        return;
    }
    struct peer *primary = heir(cluster, sender);
    action_note(cluster, LOG_NOTICE,
                "Configuration change detected. Reconfiguring myself as a replica of %.40s", primary->id);
    follow(cluster, primary);
}

// Do we know what the peer claims with its present epoch? Not if we have only heard of the epoch, or read in
// our file what it had when that was written: it may have won an epoch since for other slots than these.
static bool claims_known(const struct cluster *cluster, const struct peer *owner) {
    return owner == cluster->myself || owner->claims_epoch == owner->config_epoch;
}

struct peer *slots_newer_owner(struct cluster *cluster, const struct peer *claimer, uint64_t config_epoch,
                               const uint8_t *slots) {
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot++) {
        if (slot % 64 == 0 && bits_at(slots, slot / 8) == 0) {
            slot += 63;
            continue;
        }
        if (!bitset_test(slots, slot)) continue;
        struct peer *owner = slot_owner(cluster, slot);
        if (owner && owner != claimer && !bitset_test(cluster->not_claimed, slot) &&
            owner->config_epoch > config_epoch && claims_known(cluster, owner))
            return owner;
    }
    return NULL;
}

// ---- Does the cluster work? ----

// Slots without an owner, or with one that the cluster calls failed.
static bool covered(struct cluster *cluster) {
    if (cluster->assigned < CLUSTER_SLOTS) return false;
    PEERS_EACH(cluster, peer) {
        if (peer->slots && peer_is(peer, CLUSTER_NODE_FAIL)) return false;
    }
    return true;
}

// Cluster spec, "Availability"/"The majority": a node that can't reach the majority of primaries stops to
// accept queries.
static bool in_majority(struct cluster *cluster) {
    uint32_t reachable = 0;
    PEERS_EACH(cluster, peer) {
        if (peer_votes(peer) && !peer_is(peer, CLUSTER_NODE_FAIL | CLUSTER_NODE_PFAIL)) reachable++;
    }
    return cluster->size > 0 && reachable >= quorum(cluster);
}

// A primary that comes back must not take writes before others had time to tell it that it was replaced (nor
// one that was cut off).
static bool too_early(struct cluster *cluster) {
    if (!peer_is(cluster->myself, CLUSTER_NODE_PRIMARY)) return false;
    if (elapsed(cluster, cluster->started) < WRITABLE_DELAY_MS && cluster->started) return true;
    uint64_t rejoin = min64(max64(cluster->config.node_timeout, REJOIN_DELAY_MIN_MS), REJOIN_DELAY_MAX_MS);
    return cluster->minority_time && elapsed(cluster, cluster->minority_time) < rejoin;
}

void state_trust_now(struct cluster *cluster) {
    cluster->started = cluster->minority_time = 0;
}

void state_count(struct cluster *cluster) {
    // Not while slots change hands one by one: for that moment there may be a voter too many.
    if (cluster->size >= cluster->full_size || cluster->assigned == CLUSTER_SLOTS) cluster->full_size = 0;
    cluster->covered = covered(cluster);
    cluster->majority = in_majority(cluster);
    cluster->todo |= TODO_CLOCK;
}

void state_update(struct cluster *cluster) {
    bool full = cluster->covered, majority = cluster->majority;
    bool coverage = full || !cluster->config.require_full_coverage;
    if (!majority && cluster->size) cluster->minority_time = cluster->now;
    bool ok = coverage && majority;
    if (ok && !cluster->ok && too_early(cluster)) ok = false;
    bool coverage_only = !ok && majority && !coverage;
    if (ok == cluster->ok && coverage_only == cluster->coverage_only) return;
    if (ok != cluster->ok)
        action_note(cluster, ok ? LOG_NOTICE : LOG_WARNING, "Cluster state changed: %s", ok ? "ok" : "fail");
    cluster->ok = ok;
    cluster->coverage_only = coverage_only;
    cluster->todo |= TODO_ROUTES;
}
