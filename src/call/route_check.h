// route_check: may this node run the command, or where must the client go? MOVED, ASK, TRYAGAIN, CROSSSLOT, CLUSTERDOWN.
// Source: Redis Cluster specification, "Redirection and resharding".
#ifndef SHOAL_CALL_ROUTE_CHECK_H
#define SHOAL_CALL_ROUTE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "call/dispatch.h"

// `slot`: the first of the `count` slots of the command's keys (or of EXEC's queue), locked. True: run it here; else the
// redirection was replied.
bool route_check(struct dispatcher *dispatcher, struct session *session, const struct prepared *prepared,
                 unsigned slot, unsigned count, struct reply *reply);

#endif
