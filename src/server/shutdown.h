// shutdown: how the server ends in order: a primary of a cluster hands its slots over to a replica; where that can't be,
// replicas catch up; then clients are held, and once every worker is between two commands a snapshot is written when there
// are save points, files go, and the workers are told to stop. From the snapshot on no command runs, so what was acknowledged
// is in it. main frees the rest. By SHUTDOWN or a signal.
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

// Ends the server as it is, saving nothing: it can't serve. Worker 0.
void shutdown_give_up(void);

// What the process says to its parent, once the workers have ended.
int shutdown_exit_code(void);

#endif
