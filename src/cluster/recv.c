#include "cluster/recv.h"

#include <string.h>

#include "cluster/actions.h"
#include "cluster/election.h"
#include "cluster/epoch.h"
#include "cluster/peers.h"

// Whoever speaks something else has no business on this link.
static void refuse_link(struct cluster *cluster, struct cluster_link link, struct peer *linked) {
    action_note(cluster, LOG_WARNING, "Bad message on a cluster bus link: closing it.");
    if (linked)
        action_disconnect(cluster, linked);
    else if (link.inbound)
        action_add(cluster, CLUSTER_ACTION_DISCONNECT)->disconnect = link;
}

// Of two links that a peer has made to us the one accepted later is the present one: what still comes by the
// other was held up, by a partition, say.
static void hear_inbound(struct cluster *cluster, struct received *in) {
    struct peer *sender = in->sender;
    uint32_t *present = &cluster->inbound[sender->index];
    in->doubtful = *present && (int32_t)(in->link.inbound - *present) < 0;
    if (!in->doubtful) *present = in->link.inbound;
    sender->link_retry = sender->link_failures = 0; // it is there again
}

void recv_hear_sender(struct cluster *cluster, struct received *in) {
    struct peer *sender = in->sender;
    const struct packet *packet = &in->packet;
    sender->data_received = cluster->now;
    if (in->link.inbound) hear_inbound(cluster, in);
    epoch_hear(cluster, packet->current_epoch);
    // A node's currentEpoch never goes back: one that does has been on its way for long, in the buffers of a
    // link that a partition held up, say.
    in->late = packet->current_epoch < sender->current_epoch;
    sender->current_epoch = max64(sender->current_epoch, packet->current_epoch);
    if (in->late) return;
    // A replica speaks of its primary's epoch, which is not its own.
    bool primary = packet->primary[0] == '\0';
    if (primary && packet->config_epoch > sender->config_epoch) {
        sender->config_epoch = packet->config_epoch;
        sender->epoch_time = cluster->now;
        // It has won or been given slots since it failed: the failure is over as soon as it answers.
        sender->fail_time = 0;
        cluster->todo |= TODO_SAVE;
    }
    sender->replication_offset = packet->offset;
}

void recv_packet(struct cluster *cluster, const struct cluster_event *event) {
    struct received in = {.link = event->packet.link,
                          .peer_ip = event->packet.peer_ip ? event->packet.peer_ip : "",
                          .local_ip = event->packet.local_ip ? event->packet.local_ip : ""};
    in.linked = peer_of_handle(cluster, in.link.node);
    if (in.link.node && in.linked == NULL) return; // a link of a node that was forgotten meanwhile
    enum packet_verdict verdict = packet_decode(event->packet.bytes, &in.packet);
    if (verdict == PACKET_BAD) {
        refuse_link(cluster, in.link, in.linked);
        return;
    }
    if (verdict == PACKET_UNKNOWN) return;
    cluster->received[in.packet.type]++;
    in.sender = peer_find(cluster, in.packet.sender);
    if (in.sender && peer_is(in.sender, CLUSTER_NODE_HANDSHAKE)) in.sender = NULL;
    if (in.linked) in.linked->data_received = in.linked->link_heard = cluster->now;
    if (in.sender && in.sender != cluster->myself) recv_hear_sender(cluster, &in);
    if (in.packet.type <= PACKET_MEET) {
        recv_heartbeat(cluster, &in);
        return;
    }
    // Cluster spec, "Nodes handshake": everything else is listened to from known nodes only.
    if (in.sender == NULL || in.sender == cluster->myself) return;
    switch (in.packet.type) {
    case PACKET_FAIL: recv_fail(cluster, &in); break;
    case PACKET_AUTH_REQUEST: recv_auth_request(cluster, &in); break;
    case PACKET_AUTH_ACK: recv_auth_ack(cluster, &in); break;
    case PACKET_UPDATE: recv_update(cluster, &in); break;
    case PACKET_MFSTART: recv_mfstart(cluster, &in); break;
    default: break; // messages between users and modules don't concern the protocol
    }
}
