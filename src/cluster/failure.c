#include "cluster/failure.h"

#include "base/memory.h"
#include "cluster/actions.h"
#include "cluster/peers.h"
#include "cluster/speak.h"

enum { REPORT_VALIDITY_FACTOR = 2, FAIL_UNDO_FACTOR = 2 };

static void mark_failed(struct cluster *cluster, struct peer *peer) {
    peer_set_suspect(cluster, peer, false);
    peer->flags |= CLUSTER_NODE_FAIL;
    peer->fail_time = cluster->now;
    cluster->todo |= TODO_SAVE | TODO_STATE | TODO_ROUTES | TODO_ELECTION;
}

// Cluster spec, "Failure detection": a node turns PFAIL into FAIL when the majority of primaries signalled
// PFAIL or FAIL within NODE_TIMEOUT * 2, and sends a FAIL message to all reachable nodes.
static void consider(struct cluster *cluster, struct peer *peer) {
    if (!peer_is(peer, CLUSTER_NODE_PFAIL) || peer_is(peer, CLUSTER_NODE_FAIL)) return;
    uint32_t accusers = failure_count(cluster, peer) + (peer_votes(cluster->myself) ? 1 : 0);
    if (accusers < quorum(cluster)) return;
    action_note(cluster, LOG_NOTICE, "Marking node %.40s as failing (quorum reached).", peer->id);
    mark_failed(cluster, peer);
    speak_fail(cluster, peer);
}

// Cluster spec, "Failure detection": PFAIL is set on a node that is not reachable for more than NODE_TIMEOUT.
void failure_suspect(struct cluster *cluster, struct peer *peer) {
    if (peer == cluster->myself ||
        peer_is(peer, CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL | CLUSTER_NODE_HANDSHAKE))
        return;
    peer_set_suspect(cluster, peer, true);
    cluster->todo |= TODO_STATE | TODO_ROUTES | TODO_SUSPICION;
    action_note(cluster, LOG_VERBOSE, "*** NODE %.40s possibly failing", peer->id);
    consider(cluster, peer);
}

static struct report *report_of(struct peer *peer, const struct peer *reporter) {
    for (uint32_t i = 0; i < peer->report_count; i++)
        if (peer->reports[i].reporter == reporter->index) return &peer->reports[i];
    return NULL;
}

void failure_report(struct cluster *cluster, struct peer *peer, const struct peer *reporter) {
    struct report *report = report_of(peer, reporter);
    if (report == NULL) {
        if (peer->report_count == peer->report_capacity) {
            peer->report_capacity = peer->report_capacity ? peer->report_capacity * 2 : 4;
            peer->reports = mem_realloc(peer->reports, peer->report_capacity * sizeof(*peer->reports));
        }
        report = &peer->reports[peer->report_count++];
        report->reporter = reporter->index;
        action_note(cluster, LOG_VERBOSE, "Node %.40s reported node %.40s as not reachable.", reporter->id,
                    peer->id);
    }
    report->time = cluster->now;
    consider(cluster, peer);
}

void failure_withdraw(struct cluster *cluster, struct peer *peer, const struct peer *reporter) {
    struct report *report = peer->report_count ? report_of(peer, reporter) : NULL;
    if (report == NULL) return;
    *report = peer->reports[--peer->report_count];
    action_note(cluster, LOG_VERBOSE, "Node %.40s reported node %.40s is back online.", reporter->id,
                peer->id);
}

// Reports of nodes that don't vote any more count for nothing.
uint32_t failure_count(struct cluster *cluster, struct peer *peer) {
    uint64_t validity = cluster->config.node_timeout * REPORT_VALIDITY_FACTOR;
    uint32_t count = 0;
    for (uint32_t i = 0; i < peer->report_count; i++) {
        if (elapsed(cluster, peer->reports[i].time) > validity) {
            peer->reports[i--] = peer->reports[--peer->report_count];
            continue;
        }
        if (peer_votes(cluster->peers[peer->reports[i].reporter])) count++;
    }
    return count;
}

// Cluster spec, "Failure detection": the FAIL message forces every receiving node to mark the node in FAIL
// state.
void failure_take_word(struct cluster *cluster, struct peer *peer, const struct peer *sender) {
    if (peer == cluster->myself || peer_is(peer, CLUSTER_NODE_FAIL)) return;
    action_note(cluster, LOG_NOTICE, "FAIL message received from %.40s about %.40s", sender->id, peer->id);
    mark_failed(cluster, peer);
}

// Cluster spec, "Failure detection": FAIL is cleared when the node is reachable again and is a replica, or a
// primary without slots, or a primary whom nobody has replaced for a long time (NODE_TIMEOUT * 2).
static bool may_be_pardoned(struct cluster *cluster, const struct peer *peer) {
    if (!peer_votes(peer)) return true;
    return elapsed(cluster, peer->fail_time) > cluster->config.node_timeout * FAIL_UNDO_FACTOR;
}

void failure_answered(struct cluster *cluster, struct peer *peer) {
    if (!peer_is(peer, CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL)) return;
    if (peer_is(peer, CLUSTER_NODE_FAIL) && !may_be_pardoned(cluster, peer)) return;
    if (peer_is(peer, CLUSTER_NODE_FAIL))
        action_note(cluster, LOG_NOTICE, "Clear FAIL state for node %.40s: it is reachable again.", peer->id);
    peer_set_suspect(cluster, peer, false);
    peer->flags = (uint16_t)(peer->flags & ~CLUSTER_NODE_FAIL);
    cluster->todo |= TODO_SAVE | TODO_STATE | TODO_ROUTES | TODO_ELECTION;
}
