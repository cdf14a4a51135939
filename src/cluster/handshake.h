// handshake: how strangers become peers. Part of the core.
#ifndef SHOAL_CLUSTER_HANDSHAKE_H
#define SHOAL_CLUSTER_HANDSHAKE_H

#include "cluster/state.h"

// Is `ip` an IPv4 or IPv6 address? Writes its usual form to `normal` (CLUSTER_IP_SIZE).
bool address_normalise(const char *ip, char *normal);

// 40 hexadecimal digits?
bool name_is_good(const char *id);

// May this text stand in nodes.conf and CLUSTER NODES: visible ASCII without what separates fields?
bool text_is_good(struct bytes text);

// Begins to make the acquaintance of whoever listens at the address; does nothing where that is under way.
// `meet`: it must take us in as well. False when the address is none.
bool handshake_start(struct cluster *cluster, const char *ip, uint16_t port, uint16_t other_port,
                     uint16_t bus_port, bool meet);

// A peer in handshake has answered with its name. Returns the peer that the sender is from now on, or NULL
// when there is none.
struct peer *handshake_finish(struct cluster *cluster, struct peer *peer, const struct packet *packet);

// Takes a new address of a peer over and links to it anew.
void peer_move(struct cluster *cluster, struct peer *peer, const char *ip, uint16_t port, uint16_t other_port,
               uint16_t bus_port);

#endif
