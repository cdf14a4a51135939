#include <string.h>

#include "cluster/cluster_view.h"
#include "cluster/nodes_conf.h"
#include "cluster/peers.h"
#include "cluster/reports.h"
#include "cluster/slots.h"

static void show(const struct cluster *cluster, const struct peer *peer, struct cluster_view_node *node) {
    memset(node, 0, sizeof(*node));
    bool myself = peer == cluster->myself;
    struct peer *primary = peer_is(peer, CLUSTER_NODE_REPLICA) ? peer_at(cluster, peer->primary) : NULL;
    node->handle = peer_handle(peer);
    node->index = peer->index;
    node->primary_index = primary ? primary->index : CLUSTER_NO_INDEX;
    node->flags = peer->flags;
    node->port = peer->port;
    node->other_port = peer->other_port;
    node->bus_port = peer->bus_port;
    node->slots = peer->slots;
    memcpy(node->id, peer->id, CLUSTER_ID_SIZE);
    memcpy(node->shard_id, primary ? primary->shard_id : peer->shard_id, CLUSTER_ID_SIZE);
    node->ip = peer->ip;
    node->hostname = peer->hostname ? peer->hostname : "";
    node->human_nodename = peer->human_nodename ? peer->human_nodename : "";
    node->config_epoch = primary ? primary->config_epoch : peer->config_epoch;
    node->ping_sent = myself ? 0 : unix_time(cluster, peer->ping_sent);
    node->pong_received = myself ? 0 : unix_time(cluster, peer->pong_received);
    node->replication_offset = peer->replication_offset;
    node->created = unix_time(cluster, peer->created);
    node->inbound = cluster->inbound[peer->index];
    node->link_up = myself || peer->link == LINK_UP;
}

bool cluster_view_next(const struct cluster *cluster, uint32_t *cursor, struct cluster_view_node *node) {
    while (*cursor < cluster->peers_end) {
        const struct peer *peer = cluster->peers[(*cursor)++];
        if (peer == NULL) continue;
        show(cluster, peer, node);
        return true;
    }
    return false;
}

bool cluster_view_node_at(const struct cluster *cluster, uint16_t index, struct cluster_view_node *node) {
    const struct peer *peer = peer_at(cluster, index);
    if (peer) show(cluster, peer, node);
    return peer != NULL;
}

bool cluster_view_find(const struct cluster *cluster, struct bytes id, struct cluster_view_node *node) {
    const struct peer *peer = id.size == CLUSTER_ID_SIZE ? peer_find(cluster, id.data) : NULL;
    if (peer) show(cluster, peer, node);
    return peer != NULL;
}

void cluster_view_myself(const struct cluster *cluster, struct cluster_view_node *node) {
    show(cluster, cluster->myself, node);
}

const uint16_t *cluster_view_owners(const struct cluster *cluster) {
    return cluster->owner;
}

const uint16_t *cluster_view_migrating(const struct cluster *cluster) {
    return cluster->migrating;
}

const uint16_t *cluster_view_importing(const struct cluster *cluster) {
    return cluster->importing;
}

void cluster_view_status(const struct cluster *cluster, struct cluster_view_status *status) {
    memset(status, 0, sizeof(*status));
    const struct peer *head = peer_shard_head(cluster, cluster->myself);
    status->ok = cluster->ok;
    status->coverage_only = cluster->coverage_only;
    status->manual_failover = cluster->manual.until != 0;
    status->slots_assigned = cluster->assigned;
    PEERS_EACH(cluster, peer) {
        if (peer_is(peer, CLUSTER_NODE_FAIL))
            status->slots_fail += peer->slots;
        else if (peer_is(peer, CLUSTER_NODE_PFAIL))
            status->slots_pfail += peer->slots;
        else
            status->slots_ok += peer->slots;
    }
    status->known_nodes = cluster->peers_count;
    status->size = cluster->size;
    status->current_epoch = cluster->current_epoch;
    status->my_epoch = head ? head->config_epoch : cluster->myself->config_epoch;
    status->last_vote_epoch = cluster->last_vote_epoch;
    status->owners_version = cluster->routes_version;
    memcpy(status->sent, cluster->sent, sizeof(status->sent));
    memcpy(status->received, cluster->received, sizeof(status->received));
}

int cluster_view_failure_reports(const struct cluster *cluster, struct bytes id) {
    const struct peer *peer = id.size == CLUSTER_ID_SIZE ? peer_find(cluster, id.data) : NULL;
    return peer ? (int)reports_count(cluster, peer) : -1;
}

void cluster_view_nodes_text(const struct cluster *cluster, uint16_t only, bool other_port,
                             struct buffer *out) {
    nodes_conf_write(cluster, NODES_TEXT_REPLY, only, other_port, out);
}

static void write_counts(struct buffer *out, const uint64_t *counts, const char *direction) {
    static const char *const names[CLUSTER_MESSAGE_KINDS] = {"ping",    "pong",     "meet",        "fail",
                                                             "publish", "auth-req", "auth-ack",    "update",
                                                             "mfstart", "module",   "publishshard"};
    uint64_t total = 0;
    for (size_t i = 0; i < CLUSTER_MESSAGE_KINDS; i++) {
        total += counts[i];
        if (counts[i])
            buffer_appendf(out, "cluster_stats_messages_%s_%s:%llu\r\n", names[i], direction,
                           (unsigned long long)counts[i]);
    }
    buffer_appendf(out, "cluster_stats_messages_%s:%llu\r\n", direction, (unsigned long long)total);
}

void cluster_view_info_text(const struct cluster *cluster, struct buffer *out) {
    struct cluster_view_status status;
    cluster_view_status(cluster, &status);
    buffer_appendf(
        out,
        "cluster_state:%s\r\ncluster_slots_assigned:%u\r\ncluster_slots_ok:%u\r\ncluster_slots_pfail:%u\r\n"
        "cluster_slots_fail:%u\r\ncluster_known_nodes:%u\r\ncluster_size:%u\r\ncluster_current_epoch:%llu\r\n"
        "cluster_my_epoch:%llu\r\n",
        status.ok ? "ok" : "fail", status.slots_assigned, status.slots_ok, status.slots_pfail,
        status.slots_fail, status.known_nodes, status.size, (unsigned long long)status.current_epoch,
        (unsigned long long)status.my_epoch);
    write_counts(out, status.sent, "sent");
    write_counts(out, status.received, "received");
}
