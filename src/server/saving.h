// saving: when snapshots are written: save points, SAVE, BGSAVE, at shutdown; and read: at start, DEBUG RELOAD.
// Thread: worker 0's cron, or exclusive mode.
#ifndef SHOAL_SERVER_SAVING_H
#define SHOAL_SERVER_SAVING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "call/dispatch.h"

// Looks after the child, starts what is due. Worker 0, ten times a second.
void saving_cron(struct dispatcher *dispatcher);

// Writes the snapshot now. Exclusive mode. False: it failed (the log says why).
bool saving_now(struct dispatcher *dispatcher);

// Starts to read the snapshot, if there is one, while the server already answers LOADING. Before the workers run.
void saving_load_at_start(struct keyspace *keyspace);

// Empties the keyspace (with `flush`) and reads the snapshot, whose keys take the place of namesakes (with `replace`), all
// workers standing still. False: it failed.
bool saving_reload(struct dispatcher *dispatcher, bool flush, bool replace, struct buffer *error);

// Keys changed since the last snapshot. Any thread, a little blurred.
uint64_t saving_changes(void);
bool saving_scheduled(void);
uint64_t saving_loaded_keys(void), saving_loaded_expired(void);

// Ends the child that runs and deletes the file that it has not finished. At shutdown.
void saving_abandon(void);

#endif
