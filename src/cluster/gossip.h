// gossip: what others say about third nodes. Part of the core.
#ifndef SHOAL_CLUSTER_GOSSIP_H
#define SHOAL_CLUSTER_GOSSIP_H

#include "cluster/state.h"

// Takes in the gossip entries of a PING, PONG or MEET of a known sender.
void gossip_read(struct cluster *cluster, const struct peer *sender, const struct packet *packet);

// Takes in the extensions: names, shard, forgotten nodes. May delete other peers than the sender.
void extensions_read(struct cluster *cluster, struct peer *sender, const struct packet *packet);

#endif
