#include "cluster/manual.h"

#include <string.h>

#include "cluster/actions.h"
#include "cluster/peers.h"
#include "cluster/speak.h"

enum { CLOCK_MARGIN_DIVISOR = 10 }; // so much of its time may a clock be wrong

// Does the primary still hold its writes for us? Whoever has lost its role meanwhile and got it back takes
// writes again, and what it wrote since would be lost with our election.
static bool primary_waits(const struct cluster *cluster) {
    const struct manual_failover *manual = &cluster->manual;
    const struct peer *head = peer_at(cluster, cluster->myself->primary);
    return !manual->offset_known || head == NULL || head->config_epoch == manual->primary_epoch;
}

// Its time counts even when no tick came in time (we slept).
bool manual_may_start(const struct cluster *cluster) {
    return cluster->manual.until && cluster->manual.can_start && cluster->now <= cluster->manual.until &&
           primary_waits(cluster);
}

void manual_stop(struct cluster *cluster) {
    if (cluster->manual.pause_wanted) action_add(cluster, CLUSTER_ACTION_RESUME_WRITES);
    memset(&cluster->manual, 0, sizeof(cluster->manual));
    cluster->manual.replica = NO_PEER;
}

static bool waits_for_offset(const struct manual_failover *manual) {
    // FORCE does not wait
    return manual->until && !manual->pause_wanted && !manual->offset_known && !manual->can_start;
}

static void ask_primary_to_pause(struct cluster *cluster, struct peer *primary) {
    cluster->manual.pings_before = primary->pings_out;
    speak_mfstart(cluster, primary);
}

void manual_start(struct cluster *cluster, bool force) {
    manual_stop(cluster);
    cluster->manual.until = cluster->now + cluster->config.manual_failover_timeout;
    cluster->manual.can_start = force;
    cluster->election.at = 0;
    cluster->election.asked = false;
    cluster->todo |= TODO_ELECTION;
    struct peer *primary = peer_shard_head(cluster, cluster->myself);
    if (!force && primary) ask_primary_to_pause(cluster, primary);
}

void manual_link_up(struct cluster *cluster, struct peer *peer) {
    bool wanted = waits_for_offset(&cluster->manual) && peer == peer_shard_head(cluster, cluster->myself);
    if (wanted) ask_primary_to_pause(cluster, peer);
}

// Cluster spec, "Manual failover": the primary stops its clients and tells the replica the offset at which it
// stopped.
// The replica's time began earlier, but its clock may be slower: we wait a little longer than it does. Asked
// again, we stay as we are.
void manual_begin_as_primary(struct cluster *cluster, struct peer *replica) {
    if (!cluster->manual.pause_wanted) manual_stop(cluster);
    uint64_t timeout = cluster->config.manual_failover_timeout;
    cluster->manual.until = cluster->now + timeout + timeout / CLOCK_MARGIN_DIVISOR;
    cluster->manual.replica = replica->index;
    cluster->manual.paused = false;
    cluster->manual.pause_wanted = true;
    action_note(cluster, LOG_WARNING, "Manual failover requested by replica %.40s.", replica->id);
    action_add(cluster, CLUSTER_ACTION_PAUSE_WRITES)->until = cluster->now + 2 * timeout - CLOCK_BASE;
}

static void learn_offset(struct cluster *cluster, const struct peer *primary) {
    struct manual_failover *manual = &cluster->manual;
    manual->offset_known = true;
    manual->primary_epoch = primary->config_epoch;
    manual->primary_offset = primary->replication_offset;
    action_note(cluster, LOG_NOTICE, "Received replication offset for paused master manual failover: %llu",
                (unsigned long long)manual->primary_offset);
}

// That it has paused may have been on its way since an earlier failover, held up by a partition, and the
// primary may have taken writes again since. Only the answer to a ping that followed our MFSTART over the
// same link tells what holds now. Whatever else says so is a reason to ask at once.
void manual_hear(struct cluster *cluster, const struct received *in) {
    struct manual_failover *manual = &cluster->manual;
    bool answer = in->linked && in->packet.type == PACKET_PONG;
    if (!waits_for_offset(manual) || in->sender != peer_shard_head(cluster, cluster->myself)) return;
    if (answer && manual->pings_before > 0) {
        manual->pings_before--;
        return;
    }
    if (in->late || !(in->packet.message_flags[0] & PACKET_PAUSED)) return;
    if (answer)
        learn_offset(cluster, in->sender);
    else
        speak_ping(cluster, in->sender, PACKET_PING);
}

static void manual_update_replica(struct cluster *cluster) {
    struct manual_failover *manual = &cluster->manual;
    const struct peer *head = peer_shard_head(cluster, cluster->myself);
    if (!manual->offset_known) return;
    if (!primary_waits(cluster) || (head && head->replication_offset > manual->primary_offset)) {
        action_note(cluster, LOG_WARNING,
                    "Manual failover given up: the master does not wait for it any more.");
        manual_stop(cluster);
        return;
    }
    if (manual->can_start) return;
    if (cluster->myself->replication_offset != manual->primary_offset) return;
    manual->can_start = true;
    cluster->todo |= TODO_ELECTION;
    action_note(cluster, LOG_NOTICE, "All master replication stream processed, manual failover can start.");
}

static void manual_update_primary(struct cluster *cluster) {
    struct manual_failover *manual = &cluster->manual;
    struct peer *replica = peer_at(cluster, manual->replica);
    if (replica == NULL || manual->paused || !cluster->writes_paused) return;
    manual->paused = true;
    speak_ping(cluster, replica, PACKET_PING);
}

void manual_update(struct cluster *cluster) {
    if (cluster->manual.until == 0) return;
    if (cluster->now > cluster->manual.until) {
        action_note(cluster, LOG_WARNING, "Manual failover timed out.");
        manual_stop(cluster);
        return;
    }
    if (cluster->manual.pause_wanted)
        manual_update_primary(cluster);
    else
        manual_update_replica(cluster);
}
