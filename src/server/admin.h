// admin: the tables of the commands that live in server/: CONFIG INFO SLOWLOG LATENCY MEMORY MONITOR DEBUG SHUTDOWN SAVE ...
// Each ends with a NULL name.
#ifndef SHOAL_SERVER_ADMIN_H
#define SHOAL_SERVER_ADMIN_H

#include <stdbool.h>

#include "call/command.h"

struct session;

extern const struct command config_commands[];
extern const struct command info_commands[];
extern const struct command saving_commands[];
extern const struct command shutdown_commands[];
extern const struct command slowlog_commands[];
extern const struct command latency_commands[];
extern const struct command memory_commands[];
extern const struct command monitor_commands[];
extern const struct command debug_commands[];

// Does the client sit on this machine (loopback or a Unix socket)?
bool is_local_client(const struct session *session);

#endif
