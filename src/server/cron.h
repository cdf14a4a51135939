// cron: what is done from time to time on worker 0: statistics, snapshots, replication, shutdown.
#ifndef SHOAL_SERVER_CRON_H
#define SHOAL_SERVER_CRON_H

#include <stdbool.h>

#include "call/dispatch.h"
#include "net/loop.h"

void cron_start(struct loop *loop, struct dispatcher *dispatcher);

// DEBUG PAUSE-CRON. Exclusive mode.
void cron_pause(bool pause);

#endif
