// speak: what we say to others. Part of the core.
#ifndef SHOAL_CLUSTER_SPEAK_H
#define SHOAL_CLUSTER_SPEAK_H

#include "cluster/state.h"

// PING or MEET to a peer, over our link; counts as the ping whose pong is awaited.
void speak_ping(struct cluster *cluster, struct peer *peer, enum packet_type type);

// The PING over a new link. In a large cluster it says nothing of others.
void speak_greeting(struct cluster *cluster, struct peer *peer);

// PONG over the link that a PING or MEET came in by; `peer` when we know who it was, else NULL. `brief`: it
// said nothing of others.
void speak_pong(struct cluster *cluster, struct cluster_link link, struct peer *peer, bool brief);

// PONG to everybody: we have changed, and what we are now is saved.
void speak_to_all(struct cluster *cluster);

// How long we wait before we tell everybody what others may have learnt in the same moment (milliseconds):
// drawn, so that the first to speak spares the others the speaking. 0 in a small cluster.
uint64_t speak_news_wait(struct cluster *cluster);

// PONG to everybody who reads extensions: somebody was forgotten on purpose.
void speak_forgotten(struct cluster *cluster);

// PONG to the replicas of our shard, and to its primary.
void speak_to_shard(struct cluster *cluster);

// Tells the nodes whom it matters to that we suspect somebody: at once, not with the next ping.
void speak_suspicions(struct cluster *cluster);

// `failed` is in FAIL state, to everybody.
void speak_fail(struct cluster *cluster, const struct peer *failed);

// To whom claims slots with an old configuration: `owner` has them now.
void speak_update(struct cluster *cluster, struct cluster_link link, const struct peer *owner);

void speak_auth_request(struct cluster *cluster, bool force);
void speak_auth_ack(struct cluster *cluster, struct peer *candidate);
void speak_mfstart(struct cluster *cluster, struct peer *primary);

// Takes what we are now as what may be said. Only where nothing waits for a save.
void spoken_refresh(struct cluster *cluster);

// Takes what is on disk by now as what may be said, and tells everybody where that was asked for
// (TODO_ANNOUNCE). Called at the end of each step.
void spoken_update(struct cluster *cluster);

#endif
