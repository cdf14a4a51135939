// pause: until when clients must wait before their commands are taken, and which commands. CLIENT PAUSE asks for one; so
// does a primary that hands over to its replica, a replica that loads a snapshot which may be short, and a server that is
// about to end. Each asker has a pause of its own and clients wait for the strictest. Thread: any; everything is atomic. A
// reader may see a pause start a command late, never half of one.
#ifndef SHOAL_CALL_PAUSE_H
#define SHOAL_CALL_PAUSE_H

#include <stdbool.h>
#include <stdint.h>

enum pause_asker { PAUSE_BY_CLIENT, PAUSE_BY_FAILOVER, PAUSE_BY_LOADING, PAUSE_BY_SHUTDOWN, PAUSE_ASKERS };

// From `mono_ms` until `until_ms`, both monotonic milliseconds. `writes_only`: commands that only read go on.
// A pause of the same asker that runs is never shortened or loosened by it.
void pause_start(enum pause_asker asker, int64_t mono_ms, int64_t until_ms, bool writes_only);
void pause_end(enum pause_asker asker);

// Must a command wait at `mono_ms`? `is_write`: it may write (or its effect may be replicated).
bool pause_applies(int64_t mono_ms, bool is_write);

// When the pause that applies ends (monotonic ms), 0 when none does.
int64_t pause_until(int64_t mono_ms, bool is_write);

#endif
