#include "cluster/election.h"

#include <string.h>

#include "base/bitset.h"
#include "cluster/actions.h"
#include "cluster/epoch.h"
#include "cluster/failure.h"
#include "cluster/manual.h"
#include "cluster/peers.h"
#include "cluster/slots.h"
#include "cluster/speak.h"

enum {
    AUTH_TIMEOUT_MIN_MS = 2000,
    // Redis waits 500 ms and a random time of up to as much; ours scales with the node timeout, and is never
    // more than FAIL messages need to get around.
    DELAY_MAX_MS = 100,
    DELAY_DIVISOR = 30,    // of the node timeout
    RANK_STEP_MIN_MS = 50, // time for a vote to be asked for, saved and answered
    RANK_STEP_MAX_MS = 1000,
    RANK_STEP_DIVISOR = 10,
    APART_MIN_MS = 5, // between elections of different shards: time for a request to be heard everywhere
    APART_DIVISOR = 1000,
};

enum refusal { REFUSAL_NONE, REFUSAL_DATA_AGE, REFUSAL_WAITING_VOTES, REFUSAL_EXPIRED };

static uint64_t auth_timeout(const struct cluster *cluster) {
    return max64(cluster->config.node_timeout * 2, AUTH_TIMEOUT_MIN_MS);
}

static uint64_t start_delay(struct cluster *cluster) {
    uint64_t base = min64(DELAY_MAX_MS, cluster->config.node_timeout / DELAY_DIVISOR);
    return base + prng_below(&cluster->prng, base + 1);
}

static uint64_t rank_step(const struct cluster *cluster) {
    return min64(RANK_STEP_MAX_MS, max64(RANK_STEP_MIN_MS, cluster->config.node_timeout / RANK_STEP_DIVISOR));
}

// Between the elections of two shards whose primaries have failed together.
static uint64_t apart(const struct cluster *cluster) {
    return max64(APART_MIN_MS, cluster->config.node_timeout / APART_DIVISOR);
}

// ---- Roles ----

void follow(struct cluster *cluster, struct peer *primary) {
    struct peer *myself = cluster->myself;
    slots_abandon(cluster, myself);
    for (unsigned slot = 0; slot < CLUSTER_SLOTS && cluster->moving; slot++) {
        slot_set_migrating(cluster, slot, NULL);
        slot_set_importing(cluster, slot, NULL);
    }
    if (!peer_is(myself, CLUSTER_NODE_REPLICA) || myself->primary != primary->index) {
        cluster->primary_link_up = cluster->ever_synchronised = false;
        cluster->data_age = 0;
        cluster->data_age_time = cluster->now;
    }
    peer_make_replica(cluster, myself, primary);
    manual_stop(cluster);
    memset(&cluster->election, 0, sizeof(cluster->election));
    cluster->todo |= TODO_ELECTION | TODO_ANNOUNCE;
}

void election_win(struct cluster *cluster) {
    struct peer *myself = cluster->myself, *old = peer_shard_head(cluster, myself);
    peer_make_primary(cluster, myself);
    // What the old primary had given up already belongs to somebody else, of whom we have not heard yet.
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot++)
        if (old && cluster->owner[slot] == old->index)
            slot_give(cluster, slot, bitset_test(cluster->not_claimed, slot) ? NULL : myself);
    memset(&cluster->election, 0, sizeof(cluster->election));
    manual_stop(cluster);
    // A vote is the shard's, and in this epoch it was our own: the old primary may have given it to us, and
    // we, a voter from now on, must not give it once more to somebody else.
    cluster->last_vote_epoch = max64(cluster->last_vote_epoch, myself->config_epoch);
    promise(cluster);
    // Cluster spec, "Replica election and promotion": the winner announces itself with PONGs to speed up the
    // reconfiguration of the others.
    cluster->todo |= TODO_ANNOUNCE;
}

// ---- Candidate ----

static bool may_stand(const struct peer *peer) {
    return peer_is(peer, CLUSTER_NODE_REPLICA) &&
           !peer_is(peer, CLUSTER_NODE_FAIL | CLUSTER_NODE_PFAIL | CLUSTER_NODE_NOFAILOVER);
}

// Cluster spec, "Replica rank": replicas of the failed primary are ordered by how much they have of its
// stream. Equal ones are ordered by name, so that they don't split the votes.
static uint32_t my_rank(struct cluster *cluster) {
    const struct peer *myself = cluster->myself;
    uint32_t rank = 0;
    PEERS_EACH(cluster, peer) {
        if (peer == myself || !may_stand(peer) || peer->primary != myself->primary) continue;
        if (peer->replication_offset > myself->replication_offset ||
            (peer->replication_offset == myself->replication_offset &&
             memcmp(peer->id, myself->id, CLUSTER_ID_SIZE) < 0))
            rank++;
    }
    return rank;
}

// Where many primaries fail in one moment, candidates that ask at the same time ask in the same epoch, in
// which nobody votes twice: they stand in a queue instead, by the names of their primaries. How many are
// before us.
static uint32_t my_place(struct cluster *cluster) {
    const struct peer *mine = peer_at(cluster, cluster->myself->primary);
    uint32_t place = 0;
    PEERS_EACH(cluster, other) {
        if (!may_stand(other) || other->primary == cluster->myself->primary) continue;
        const struct peer *primary = peer_at(cluster, other->primary);
        if (primary && mine && peer_is(primary, CLUSTER_NODE_FAIL) && primary->slots &&
            memcmp(primary->id, mine->id, CLUSTER_ID_SIZE) < 0)
            place++;
    }
    return place;
}

// Cluster spec, "Replica election and promotion": a replica stands for election when its primary is in FAIL
// state and serves slots; or when the administrator's failover may start.
static bool wanted(struct cluster *cluster) {
    struct peer *myself = cluster->myself, *head = peer_shard_head(cluster, myself);
    if (!peer_is(myself, CLUSTER_NODE_REPLICA) || head == NULL || head->slots == 0) return false;
    if (cluster->stalled) return false; // who can't serve is no successor
    if (manual_may_start(cluster)) return true;
    return peer_is(head, CLUSTER_NODE_FAIL) && !cluster->config.replica_no_failover;
}

// Cluster spec, "Replica election and promotion": the replication link must not have been down longer than a
// limit.
static bool data_is_fresh(struct cluster *cluster) {
    const struct cluster_config *config = &cluster->config;
    if (config->replica_validity_factor == 0 || manual_may_start(cluster)) return true;
    if (!cluster->ever_synchronised) return false;
    uint64_t age = cluster->data_age + elapsed(cluster, cluster->data_age_time);
    // The time that it took to call the primary failed is not held against us.
    if (age > config->node_timeout) age -= config->node_timeout;
    return age <= config->repl_ping_replica_period + config->node_timeout * config->replica_validity_factor;
}

static void log_refusal(struct cluster *cluster, enum refusal refusal, const char *text) {
    if (cluster->election.refusal == refusal) return;
    cluster->election.refusal = (uint8_t)refusal;
    action_note(cluster, LOG_NOTICE, "Currently unable to failover: %s", text);
}

// `again`: rivals have crossed it, and must not do so once more.
static void plan(struct cluster *cluster, bool again) {
    struct election *election = &cluster->election;
    bool manual = manual_may_start(cluster);
    election->primary = cluster->myself->primary;
    election->votes = 0;
    election->asked = false;
    election->rivals = false;
    election->rank = manual ? 0 : my_rank(cluster);
    election->place = manual ? 0 : my_place(cluster);
    election->at = cluster->now + (again ? prng_below(&cluster->prng, rank_step(cluster)) : 0);
    if (!manual)
        election->at +=
            start_delay(cluster) + election->rank * rank_step(cluster) + election->place * apart(cluster);
    action_note(cluster, LOG_NOTICE,
                "Start of election delayed for %llu milliseconds (rank #%u, offset %llu).",
                (unsigned long long)(election->at - cluster->now), election->rank,
                (unsigned long long)cluster->myself->replication_offset);
    // The other replicas of this shard rank themselves by our offset.
    speak_to_shard(cluster);
}

// While it waits: others may turn out to be ahead.
static void adjust_rank(struct cluster *cluster) {
    struct election *election = &cluster->election;
    uint32_t rank = my_rank(cluster), place = my_place(cluster);
    if (rank > election->rank) {
        election->at += (rank - election->rank) * rank_step(cluster);
        election->rank = rank;
    }
    if (place > election->place) {
        election->at += (place - election->place) * apart(cluster);
        election->place = place;
    }
}

static void ask_for_votes(struct cluster *cluster) {
    struct peer *head = peer_shard_head(cluster, cluster->myself);
    bool manual = manual_may_start(cluster);
    epoch_advance(cluster);
    cluster->election.epoch = cluster->current_epoch;
    cluster->election.quorum = quorum(cluster);
    cluster->election.asked = true;
    action_note(cluster, LOG_NOTICE, "Starting a failover election for epoch %llu.",
                (unsigned long long)cluster->current_epoch);
    // Voters must know of the failure before they are asked; on each link this comes first. What was agreed
    // on long ago they know, or know better.
    bool fresh = elapsed(cluster, head->fail_time) < cluster->config.node_timeout * 2;
    if (peer_is(head, CLUSTER_NODE_FAIL) && fresh) speak_fail(cluster, head);
    speak_auth_request(cluster, manual);
}

// Has it asked together with a candidate of another shard, and not won although the votes had time to come?
// Some of them went to the other one, or to nobody.
static bool was_crossed(const struct cluster *cluster) {
    const struct election *election = &cluster->election;
    return election->asked && election->rivals && elapsed(cluster, election->at) > rank_step(cluster);
}

void election_update(struct cluster *cluster) {
    struct election *election = &cluster->election;
    if (!wanted(cluster)) {
        election->at = 0;
        election->asked = false;
        return;
    }
    if (!data_is_fresh(cluster)) {
        log_refusal(cluster, REFUSAL_DATA_AGE, "Disconnected from master for longer than allowed.");
        election->at = 0;
        return;
    }
    bool expired = election->at && elapsed(cluster, election->at) > 2 * auth_timeout(cluster);
    bool crossed = was_crossed(cluster);
    if (election->at == 0 || expired || crossed || election->primary != cluster->myself->primary)
        plan(cluster, crossed);
    if (!election->asked && !manual_may_start(cluster)) adjust_rank(cluster);
    if (cluster->now < election->at) return;
    if (elapsed(cluster, election->at) > auth_timeout(cluster)) {
        log_refusal(cluster, REFUSAL_EXPIRED, "Failover attempt expired.");
        return;
    }
    if (!election->asked) ask_for_votes(cluster);
    // Who votes may look like fewer for a moment (a shard's old primary is known to have stepped down, its
    // new one is not heard of yet): half of those who were asked are no majority, as the other half may elect
    // another.
    if (election->votes < max64(election->quorum, quorum(cluster))) return;
    struct peer *myself = cluster->myself;
    action_note(cluster, LOG_NOTICE, "Failover election won: I'm the new master.");
    myself->config_epoch = max64(myself->config_epoch, election->epoch);
    state_trust_now(cluster);
    election_win(cluster);
}

uint64_t election_deadline(const struct cluster *cluster) {
    const struct election *election = &cluster->election;
    if (election->at == 0 || election->asked) return UINT64_MAX;
    // We slept through it: nothing is due before a new one is planned.
    if (elapsed(cluster, election->at) > auth_timeout(cluster)) return UINT64_MAX;
    return election->at;
}

// Cluster spec, "Replica election and promotion": votes of an epoch older than the election's are ignored.
void election_count_vote(struct cluster *cluster, struct peer *voter, uint64_t epoch) {
    struct election *election = &cluster->election;
    if (!peer_votes(voter) || !election->asked || epoch < election->epoch) return;
    if (voter->acked_epoch >= election->epoch) return; // counted already
    voter->acked_epoch = election->epoch;
    election->votes++;
    cluster->todo |= TODO_ELECTION;
}

// Another candidate's epochs are no older than ours: its voters don't vote for us, or ours not for it.
void election_meet_rival(struct cluster *cluster, const struct peer *candidate, uint64_t epoch) {
    struct election *election = &cluster->election;
    if (election->asked && epoch >= election->epoch && candidate->primary != cluster->myself->primary)
        election->rivals = true;
}

// ---- Voter ----

static bool refuse(struct cluster *cluster, const struct peer *candidate, const char *why) {
    action_note(cluster, LOG_NOTICE, "Failover auth denied to %.40s: %s", candidate->id, why);
    return false;
}

// Cluster spec, "Masters reply to replica vote request": the conditions, in its order.
static bool may_vote(struct cluster *cluster, struct peer *candidate, const struct packet *packet) {
    struct peer *primary =
        peer_is(candidate, CLUSTER_NODE_REPLICA) ? peer_at(cluster, candidate->primary) : NULL;
    if (packet->current_epoch < cluster->current_epoch) return refuse(cluster, candidate, "its epoch is old");
    // "A master only votes a single time for a given epoch, and refuses to vote for older epochs."
    if (cluster->last_vote_epoch >= cluster->current_epoch)
        return refuse(cluster, candidate, "already voted");
    if (primary == NULL) return refuse(cluster, candidate, "it is a master node or its master is unknown");
    // "Masters vote for a replica only if the replica's master is marked as FAIL", or the administrator
    // forces it.
    if (!peer_is(primary, CLUSTER_NODE_FAIL) && !(packet->message_flags[0] & PACKET_FORCE_ACK))
        return refuse(cluster, candidate, "its master is up");
    // "Masters don't vote a replica of the same master before NODE_TIMEOUT * 2 has elapsed". The same one may
    // ask again: it has not won.
    bool soon =
        primary->voted_time && elapsed(cluster, primary->voted_time) < cluster->config.node_timeout * 2;
    if (soon && primary->voted_for != peer_handle(candidate))
        return refuse(cluster, candidate, "voted for a replica of the same master a moment ago");
    // A candidate whose slots have a newer configuration than it knows must not be elected.
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot++) {
        if (!bitset_test(packet->slots, slot)) continue;
        struct peer *owner = slot_owner(cluster, slot);
        if (owner && owner->config_epoch > packet->config_epoch)
            return refuse(cluster, candidate, "it claims slots with an old configuration");
    }
    return true;
}

void election_vote(struct cluster *cluster, struct peer *candidate, const struct packet *packet) {
    if (!peer_votes(cluster->myself) || candidate->link != LINK_UP || cluster->stalled) return;
    if (!may_vote(cluster, candidate, packet)) return;
    cluster->peers[candidate->primary]->voted_time = cluster->now;
    cluster->peers[candidate->primary]->voted_for = peer_handle(candidate);
    cluster->last_vote_epoch = cluster->current_epoch;
    promise(cluster);
    speak_auth_ack(cluster, candidate);
    action_note(cluster, LOG_NOTICE, "Failover auth granted to %.40s for epoch %llu", candidate->id,
                (unsigned long long)cluster->current_epoch);
}
