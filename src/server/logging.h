// logging: the lines of the log, in Redis's format, on standard output, in a file or to syslog. The file is opened for
// each line, so that it may be moved away. Thread: any.
#ifndef SHOAL_SERVER_LOGGING_H
#define SHOAL_SERVER_LOGGING_H

#include <stdbool.h>

// Starts writing as the configuration says; before that, lines go to standard output. Again after a change of
// it. False, with the reason on standard error: the log file can't be written.
bool logging_start(void);

// The process has become what serves (before: the letter of lines is C).
void logging_serving(void);

// Opens the log for the report of a crash: a file descriptor that may be written to in a signal handler.
int logging_crash_fd(void);

#endif
