// failure: who is suspected (PFAIL), who has failed (FAIL), and who says so. Part of the core.
#ifndef SHOAL_CLUSTER_FAILURE_H
#define SHOAL_CLUSTER_FAILURE_H

#include "cluster/state.h"

// We can't reach the peer: PFAIL, and perhaps FAIL at once.
void failure_suspect(struct cluster *cluster, struct peer *peer);

// `reporter`, who votes, says that `peer` fails, or that it does not.
void failure_report(struct cluster *cluster, struct peer *peer, const struct peer *reporter);
void failure_withdraw(struct cluster *cluster, struct peer *peer, const struct peer *reporter);

// In a large cluster: tells of the suspicions that stand once more before what was told of them grows old.
void failure_renew(struct cluster *cluster);

// Tells of the failures whose time to be told has come (cluster->next_fail_news says when).
void failure_tell_news(struct cluster *cluster);

// Somebody whom we know has found the majority: FAIL.
void failure_take_word(struct cluster *cluster, struct peer *peer, const struct peer *sender);

// The peer answers again.
void failure_answered(struct cluster *cluster, struct peer *peer);

#endif
