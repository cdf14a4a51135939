// log: what the program tells its operator. Any floor writes; the sink that `server/` gives at start prints.
// Thread: any, once the sink is set; the sink itself must be safe to call from any thread.
#ifndef SHOAL_BASE_LOG_H
#define SHOAL_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING };

typedef void log_sink(enum log_level level, const char *line);

// Sets the sink; before that, lines of NOTICE and above go to standard error. Called once, before threads
// start.
void log_set_sink(log_sink *sink);

// Lines below `level` are dropped before they are formatted. Thread: any (atomic).
void log_set_level(enum log_level level);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Is something due that is said once in `every` at most? `next` belongs to the caller and begins as 0; times
// are in any unit, the same throughout.
bool log_is_due(int64_t *next, int64_t now, int64_t every);

#endif
