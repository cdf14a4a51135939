// shutdown_handover: before a primary of a cluster ends, its best replica takes its slots. It waits until a
// replica has shown that it is alive and in sync (it acknowledges what the stream had reached when this
// began), while writes go on; then the bus has it fail over. Begun and aborted in exclusive mode, on any
// worker; the rest is worker 0's.
#ifndef SHOAL_SERVER_SHUTDOWN_HANDOVER_H
#define SHOAL_SERVER_SHUTDOWN_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "call/dispatch.h"
#include "net/loop.h"

// `loop` and `dispatcher` are worker 0's. Begins, to be through by `deadline_ms` (monotonic). False: there is
// no cluster. Else `ended` is told, on worker 0 and not in exclusive mode, whether slots are another's now;
// when not, the log says why, unless there were none.
bool handover_begin(struct loop *loop, struct dispatcher *dispatcher, int64_t deadline_ms,
                    void (*ended)(bool handed_over));

// `ended` is not told any more. A replica that has begun its failover goes on with it.
void handover_abort(void);

#endif
