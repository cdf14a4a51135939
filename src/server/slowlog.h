// slowlog: the last commands that took longer than slowlog-log-slower-than; SLOWLOG. A lock of its own; any thread adds.
#ifndef SHOAL_SERVER_SLOWLOG_H
#define SHOAL_SERVER_SLOWLOG_H

#include <stdint.h>

#include "call/command.h"
#include "call/session.h"

enum {
    SLOWLOG_ARGUMENTS_MAX = 32,   // of a command that are kept
    SLOWLOG_ARGUMENT_SIZE = 128,  // bytes of an argument that are kept
};

// Notes the command if it took long enough.
void slowlog_add(const struct session *session, const struct command *command, const struct bytes *argv, int argc,
                 int64_t us);

// Would this argument show a password? (SLOWLOG and MONITOR say "(redacted)" instead.)
bool is_secret_argument(const struct command *command, const struct bytes *argv, int argc, int at);

#endif
