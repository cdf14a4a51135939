// reports: who says that whom fails, and how long that counts. Part of the core.
//
// A heartbeat tells what one reporter thinks of many: what one says lies together, a row of bits for each
// reporter. Of the time at which something was said last only the half of the node timeout is kept that it
// fell into, in REPORT_AGES sets that take turns. So a report counts for one and a half to two node timeouts,
// never longer than the specification's two. Invariant: peer->report_count counts the rows that have the peer
// in one of their sets. Owning thread: the driver's.
#ifndef SHOAL_CLUSTER_REPORTS_H
#define SHOAL_CLUSTER_REPORTS_H

#include "cluster/state.h"

// `reporter` says that `peer` fails. False when it had said so before.
bool reports_add(struct cluster *cluster, const struct peer *reporter, struct peer *peer);

// It says so no more. False when it had not.
bool reports_remove(struct cluster *cluster, const struct peer *reporter, struct peer *peer);

// Those of `peer`'s accusers who vote.
uint32_t reports_count(const struct cluster *cluster, const struct peer *peer);

// The peer is forgotten: it says nothing any more, and nothing is said of it.
void reports_forget(struct cluster *cluster, struct peer *peer);

// Time has passed: drops what was said too long ago.
void reports_age(struct cluster *cluster);

// There is room for `capacity` peers now, and there was for `old`.
void reports_grow(struct cluster *cluster, uint32_t old, uint32_t capacity);

void reports_free(struct cluster *cluster);

#endif
