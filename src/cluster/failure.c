#include "cluster/failure.h"

#include <string.h>

#include "cluster/actions.h"
#include "cluster/peers.h"
#include "cluster/reports.h"
#include "cluster/speak.h"

enum { FAIL_UNDO_FACTOR = 2 };

static void mark_failed(struct cluster *cluster, struct peer *peer) {
    peer_set_suspect(cluster, peer, false);
    peer->flags |= CLUSTER_NODE_FAIL;
    peer->fail_time = cluster->now;
    cluster->todo |= TODO_SAVE | TODO_STATE | TODO_ROUTES | TODO_ELECTION;
}

// In a large cluster some dozens find the majority in the same moment, and when a room full of nodes dies
// they do so for each of them: who hears of the failure from another is silent. Nobody's failover waits for
// that: a candidate tells of the failure itself before it asks for votes.
static void tell(struct cluster *cluster, struct peer *peer) {
    peer->fail_news_at = cluster->now + speak_news_wait(cluster);
    peer_set_put(cluster->fail_news, peer->index, true);
    cluster->next_fail_news = min64(cluster->next_fail_news, peer->fail_news_at);
}

void failure_tell_news(struct cluster *cluster) {
    if (cluster->now < cluster->next_fail_news) return;
    cluster->next_fail_news = UINT64_MAX;
    PEER_SET_EACH(cluster, fail_news, peer) {
        if (cluster->now < peer->fail_news_at)
            cluster->next_fail_news = min64(cluster->next_fail_news, peer->fail_news_at);
        else
            speak_fail(cluster, peer);
    }
}

// Mostly far fewer accuse than a majority, which a glance at the number of reports tells.
static bool majority_accuses(const struct cluster *cluster, const struct peer *peer) {
    uint32_t own = peer_votes(cluster->myself) ? 1 : 0, needed = quorum(cluster);
    return peer->report_count + own >= needed && reports_count(cluster, peer) + own >= needed;
}

// Cluster spec, "Failure detection": a node turns PFAIL into FAIL when the majority of primaries signalled
// PFAIL or FAIL within NODE_TIMEOUT * 2, and sends a FAIL message to all reachable nodes.
static void consider(struct cluster *cluster, struct peer *peer) {
    if (!peer_is(peer, CLUSTER_NODE_PFAIL) || peer_is(peer, CLUSTER_NODE_FAIL)) return;
    if (!majority_accuses(cluster, peer)) return;
    action_note(cluster, LOG_NOTICE, "Marking node %.40s as failing (quorum reached).", peer->id);
    mark_failed(cluster, peer);
    tell(cluster, peer);
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

void failure_report(struct cluster *cluster, struct peer *peer, const struct peer *reporter) {
    peer->accused = true;
    if (reports_add(cluster, reporter, peer))
        action_note(cluster, LOG_VERBOSE, "Node %.40s reported node %.40s as not reachable.", reporter->id,
                    peer->id);
    consider(cluster, peer);
}

// Two of a thousand nodes may not exchange a heartbeat for longer than a report counts.
void failure_renew(struct cluster *cluster) {
    if (cluster->peers_count <= SMALL_CLUSTER || cluster->now < cluster->next_renewal) return;
    cluster->next_renewal = cluster->now + cluster->config.node_timeout;
    memcpy(cluster->untold, cluster->suspects,
           cluster->peers_capacity / PEER_WORD * sizeof(*cluster->untold));
    if (cluster->suspect_count) cluster->todo |= TODO_SUSPICION;
}

void failure_withdraw(struct cluster *cluster, struct peer *peer, const struct peer *reporter) {
    if (reports_remove(cluster, reporter, peer))
        action_note(cluster, LOG_VERBOSE, "Node %.40s reported node %.40s is back online.", reporter->id,
                    peer->id);
}

// Cluster spec, "Failure detection": the FAIL message forces every receiving node to mark the node in FAIL
// state.
void failure_take_word(struct cluster *cluster, struct peer *peer, const struct peer *sender) {
    if (peer == cluster->myself) return;
    peer_set_put(cluster->fail_news, peer->index, false);
    if (peer_is(peer, CLUSTER_NODE_FAIL)) return;
    action_note(cluster, LOG_NOTICE, "FAIL message received from %.40s about %.40s", sender->id, peer->id);
    bool surprise = !peer_is(peer, CLUSTER_NODE_PFAIL);
    mark_failed(cluster, peer);
    // A partition may have held the message up, and the peer be back for long: whom an answer would pardon is
    // asked for one at once, not with the next ping.
    if (surprise && !peer_votes(peer)) speak_ping(cluster, peer, PACKET_PING);
}

// Cluster spec, "Failure detection": FAIL is cleared when the node is reachable again and is a replica, or a
// primary without slots, or a primary whom nobody has replaced for a long time (NODE_TIMEOUT * 2).
static bool may_be_pardoned(struct cluster *cluster, const struct peer *peer) {
    if (!peer_votes(peer)) return true;
    return elapsed(cluster, peer->fail_time) > cluster->config.node_timeout * FAIL_UNDO_FACTOR;
}

void failure_answered(struct cluster *cluster, struct peer *peer) {
    peer->accused = false;
    if (!peer_is(peer, CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL)) return;
    if (peer_is(peer, CLUSTER_NODE_FAIL) && !may_be_pardoned(cluster, peer)) return;
    if (peer_is(peer, CLUSTER_NODE_FAIL))
        action_note(cluster, LOG_NOTICE, "Clear FAIL state for node %.40s: it is reachable again.", peer->id);
    peer_set_suspect(cluster, peer, false);
    peer_set_put(cluster->fail_news, peer->index, false);
    peer->flags = (uint16_t)(peer->flags & ~CLUSTER_NODE_FAIL);
    cluster->todo |= TODO_SAVE | TODO_STATE | TODO_ROUTES | TODO_ELECTION;
}
