#include "cluster/peers.h"
#include "cluster/recv.h"
#include "cluster/slots.h"

// UPDATE: slots that we or somebody else claim have a newer owner.
// Cluster spec, "UPDATE messages, a closer look".
void recv_update(struct cluster *cluster, struct received *in) {
    struct packet_update update;
    packet_update_read(&in->packet, &update);
    struct peer *owner = peer_find(cluster, update.id);
    if (owner == NULL || owner == cluster->myself || peer_is(owner, CLUSTER_NODE_HANDSHAKE)) return;
    if (owner->config_epoch >= update.config_epoch) return;
    peer_make_primary(cluster, owner);
    owner->config_epoch = update.config_epoch;
    owner->epoch_time = cluster->now;
    cluster->todo |= TODO_SAVE;
    slots_learn(cluster, owner, update.config_epoch, update.slots);
}
