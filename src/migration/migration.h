// migration: keys on their way to another node (MIGRATE). A worker serialises the keys under their slots' locks and marks
// the slots busy; a thread of this folder talks to the target; the worker then removes what has arrived. Meanwhile the
// slots' readers go on and their writers wait (parked, not blocking their worker).
// Source: Redis documentation, MIGRATE.
#ifndef SHOAL_MIGRATION_MIGRATION_H
#define SHOAL_MIGRATION_MIGRATION_H

#include "call/command.h"
#include "call/dispatch.h"
#include "net/loop.h"

struct migration_workers {
    struct loop *(*loop)(unsigned worker);
    struct dispatcher *(*dispatcher)(unsigned worker);
    void (*wake_all)(void); // slots are no longer busy: those who wait for them should look
};

// Called once at start.
void migration_start(const struct migration_workers *workers);

// Ends the threads. What they are at is broken off, what waits is not begun: those keys stay where they are. At shutdown.
void migration_stop(void);

// MIGRATE; ends with a NULL name.
extern const struct command migration_commands[];

// Sockets kept open to targets, for INFO. Any thread.
unsigned migration_cached_sockets(void);

#endif
