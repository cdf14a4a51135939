#include "cluster/election.h"
#include "cluster/recv.h"

// FAILOVER_AUTH_REQUEST: a replica wants our vote.
void recv_auth_request(struct cluster *cluster, struct received *in) {
    election_meet_rival(cluster, in->sender, in->packet.current_epoch);
    election_vote(cluster, in->sender, &in->packet);
}

// FAILOVER_AUTH_ACK: the sender voted for us.
void recv_auth_ack(struct cluster *cluster, struct received *in) {
    election_count_vote(cluster, in->sender, in->packet.current_epoch);
}
