// admin: the tables of the commands that live in server/: CONFIG INFO SLOWLOG LATENCY MEMORY MONITOR DEBUG SHUTDOWN SAVE ...
// Each ends with a NULL name.
#ifndef SHOAL_SERVER_ADMIN_H
#define SHOAL_SERVER_ADMIN_H

#include <stdbool.h>

#include "call/command.h"

struct session;

extern const struct command config_commands[];

// Does the client sit on this machine (loopback or a Unix socket)?
bool is_local_client(const struct session *session);

#endif
