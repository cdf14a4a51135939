// recv: what a packet does, one kind a file. Part of the core.
#ifndef SHOAL_CLUSTER_RECV_H
#define SHOAL_CLUSTER_RECV_H

#include "cluster/state.h"

// A packet that has been decoded, and where it came from.
struct received {
    struct packet packet;
    struct cluster_link link;
    struct peer *linked;  // whom our link leads to; NULL for an inbound link
    struct peer *sender;  // NULL when we don't know it (a peer in handshake counts as unknown)
    bool late;            // the sender has said newer things since it sent this
    bool doubtful;        // the sender may have
    const char *peer_ip;  // of the link
    const char *local_ip; // of the link
};

// Any packet: checks it, notes the sign of life and the epochs, and hands it to its kind.
void recv_packet(struct cluster *cluster, const struct cluster_event *event);

// What every packet of a known sender says about it: that it lives, its epochs and its offset.
void recv_hear_sender(struct cluster *cluster, struct received *in);

void recv_heartbeat(struct cluster *cluster, struct received *in); // PING PONG MEET
void recv_fail(struct cluster *cluster, struct received *in);
void recv_auth_request(struct cluster *cluster, struct received *in);
void recv_auth_ack(struct cluster *cluster, struct received *in);
void recv_update(struct cluster *cluster, struct received *in);
void recv_mfstart(struct cluster *cluster, struct received *in);

#endif
