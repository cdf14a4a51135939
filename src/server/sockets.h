// sockets: opens what bind, port and unixsocket say. Before the workers run, or in exclusive mode.
#ifndef SHOAL_SERVER_SOCKETS_H
#define SHOAL_SERVER_SOCKETS_H

#include <stdbool.h>

#include "base/buffer.h"

// Opens all sockets, those of before being closed. False: `error` says why (nothing is open then).
bool sockets_open(struct buffer *error);

#endif
