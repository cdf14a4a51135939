#include "cluster/failure.h"

#include "base/memory.h"
#include "cluster/actions.h"
#include "cluster/peers.h"
#include "cluster/speak.h"

enum { REPORT_VALIDITY_FACTOR = 2, FAIL_UNDO_FACTOR = 2, REPORTS_FIRST = 4 };

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

// Where the reporter's report is, or would be.
static uint32_t report_place(const struct cluster *cluster, const struct peer *peer, uint16_t reporter) {
    const struct report *reports = cluster->reports[peer->index];
    uint32_t low = 0, high = peer->report_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (reports[middle].reporter < reporter)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool accuses(const struct cluster *cluster, uint16_t reporter, const struct peer *peer) {
    const uint64_t *accused = cluster->accused[reporter].set;
    return accused && peer_set_has(accused, peer->index);
}

static void set_accused(struct cluster *cluster, uint16_t reporter, const struct peer *peer, bool accused) {
    uint64_t **set = &cluster->accused[reporter].set;
    if (*set == NULL) *set = mem_calloc(cluster->peers_capacity / PEER_WORD, sizeof(**set));
    peer_set_put(*set, peer->index, accused);
}

// Room is made in powers of two, from REPORTS_FIRST on.
static void insert_report(struct cluster *cluster, struct peer *peer, uint32_t place, uint16_t reporter) {
    struct report **reports = &cluster->reports[peer->index];
    uint32_t count = peer->report_count++;
    if (*reports == NULL) *reports = mem_alloc(REPORTS_FIRST * sizeof(**reports));
    if (count >= REPORTS_FIRST && (count & (count - 1)) == 0)
        *reports = mem_realloc(*reports, (size_t)count * 2 * sizeof(**reports));
    memmove(*reports + place + 1, *reports + place, (count - place) * sizeof(**reports));
    (*reports)[place].reporter = reporter;
    set_accused(cluster, reporter, peer, true);
}

static void remove_report(struct cluster *cluster, struct peer *peer, uint16_t reporter) {
    uint32_t place = report_place(cluster, peer, reporter);
    struct report *report = cluster->reports[peer->index] + place;
    memmove(report, report + 1, (--peer->report_count - place) * sizeof(*report));
    set_accused(cluster, reporter, peer, false);
}

void failure_report(struct cluster *cluster, struct peer *peer, const struct peer *reporter) {
    uint32_t place = report_place(cluster, peer, reporter->index);
    if (!accuses(cluster, reporter->index, peer)) {
        insert_report(cluster, peer, place, reporter->index);
        action_note(cluster, LOG_VERBOSE, "Node %.40s reported node %.40s as not reachable.", reporter->id,
                    peer->id);
    }
    cluster->reports[peer->index][place].time = cluster->now;
    consider(cluster, peer);
}

void failure_forget(struct cluster *cluster, struct peer *peer) {
    PEERS_EACH(cluster, other) {
        if (accuses(cluster, peer->index, other)) remove_report(cluster, other, peer->index);
        if (accuses(cluster, other->index, peer)) remove_report(cluster, peer, other->index);
    }
}

void failure_withdraw(struct cluster *cluster, struct peer *peer, const struct peer *reporter) {
    if (!accuses(cluster, reporter->index, peer)) return;
    remove_report(cluster, peer, reporter->index);
    action_note(cluster, LOG_VERBOSE, "Node %.40s reported node %.40s is back online.", reporter->id,
                peer->id);
}

// Reports of nodes that don't vote any more count for nothing.
uint32_t failure_count(struct cluster *cluster, struct peer *peer) {
    uint64_t validity = cluster->config.node_timeout * REPORT_VALIDITY_FACTOR;
    struct report *reports = cluster->reports[peer->index];
    uint32_t count = 0, kept = 0;
    for (uint32_t i = 0; i < peer->report_count; i++) {
        if (elapsed(cluster, reports[i].time) > validity) {
            set_accused(cluster, reports[i].reporter, peer, false);
            continue;
        }
        if (peer_votes(cluster->peers[reports[i].reporter])) count++;
        reports[kept++] = reports[i];
    }
    peer->report_count = kept;
    return count;
}

// Cluster spec, "Failure detection": the FAIL message forces every receiving node to mark the node in FAIL
// state.
void failure_take_word(struct cluster *cluster, struct peer *peer, const struct peer *sender) {
    if (peer == cluster->myself || peer_is(peer, CLUSTER_NODE_FAIL)) return;
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
    if (!peer_is(peer, CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL)) return;
    if (peer_is(peer, CLUSTER_NODE_FAIL) && !may_be_pardoned(cluster, peer)) return;
    if (peer_is(peer, CLUSTER_NODE_FAIL))
        action_note(cluster, LOG_NOTICE, "Clear FAIL state for node %.40s: it is reachable again.", peer->id);
    peer_set_suspect(cluster, peer, false);
    peer->flags = (uint16_t)(peer->flags & ~CLUSTER_NODE_FAIL);
    cluster->todo |= TODO_SAVE | TODO_STATE | TODO_ROUTES | TODO_ELECTION;
}
