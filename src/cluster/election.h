// election: a replica takes its failed primary's place; primaries vote. Part of the core.
#ifndef SHOAL_CLUSTER_ELECTION_H
#define SHOAL_CLUSTER_ELECTION_H

#include "cluster/state.h"

// Turns this node into a replica of `primary` (its slots must be gone or are given up).
void follow(struct cluster *cluster, struct peer *primary);

// Plans, holds or gives up the election of this replica. Called whenever something it depends on has changed.
void election_update(struct cluster *cluster);

// When the election next wants to be looked at; UINT64_MAX when nothing is planned.
uint64_t election_deadline(const struct cluster *cluster);

// A vote for us.
void election_count_vote(struct cluster *cluster, struct peer *voter, uint64_t epoch);

// Another replica asks for votes in this epoch: where both of us do in one moment, nobody may get a majority.
void election_meet_rival(struct cluster *cluster, const struct peer *candidate, uint64_t epoch);

// A candidate asks for our vote.
void election_vote(struct cluster *cluster, struct peer *candidate, const struct packet *packet);

// Takes the primary's slots and place with our config epoch as it is.
void election_win(struct cluster *cluster);

#endif
