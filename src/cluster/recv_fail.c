#include "cluster/failure.h"
#include "cluster/peers.h"
#include "cluster/recv.h"

// FAIL: its sender has found the majority for it.
void recv_fail(struct cluster *cluster, struct received *in) {
    if (in->late) return; // whoever it was about may have come back long ago
    struct peer *failed = peer_find(cluster, packet_fail_id(&in->packet));
    if (failed && !peer_is(failed, CLUSTER_NODE_HANDSHAKE)) failure_take_word(cluster, failed, in->sender);
}
