// shutdown: how the server ends in order: replicas catch up, a snapshot is written when there are save points, clients get
// their replies, files go. By SHUTDOWN or a signal.
#ifndef SHOAL_SERVER_SHUTDOWN_H
#define SHOAL_SERVER_SHUTDOWN_H

#include <stdbool.h>

#include "call/dispatch.h"
#include "net/loop.h"

// Takes SIGTERM and SIGINT as events of worker 0's loop. Before any thread starts.
void shutdown_block_signals(void);
void shutdown_watch_signals(struct loop *loop, struct dispatcher *dispatcher);

// Looks whether a shutdown that waits for replicas may go on. Worker 0.
void shutdown_cron(struct dispatcher *dispatcher);
bool shutdown_pending(void);

// Called last before the process ends, in exclusive mode: whoever has state to save saves it.
void shutdown_set_farewell(void (*farewell)(void));

#endif
