// crash: a report with a backtrace in the log when the process is killed by its own fault.
#ifndef SHOAL_SERVER_CRASH_H
#define SHOAL_SERVER_CRASH_H

#include <stdbool.h>

// Once at start, before threads; also when crash-log-enabled changes.
void crash_watch(bool enabled);

// Writes the report for a fault that was noticed (`reason`), and aborts.
void crash_now(const char *reason) __attribute__((noreturn));

#endif
