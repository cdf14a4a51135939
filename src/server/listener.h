// listener: the sockets that clients connect to. One worker, their host, accepts for all: worker 0 until a command holds it
// up. Thread: exclusive mode, or before the workers run, where nothing else is said.
#ifndef SHOAL_SERVER_LISTENER_H
#define SHOAL_SERVER_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

// Before the others here; the workers exist and do not run yet.
void listener_start(void);

// Listens on an address or on a Unix socket's path; 0, or a negative errno.
int listener_open_tcp(const char *address, uint16_t port, int backlog);
int listener_open_unix(const char *path, unsigned mode, int backlog);

// Limits that accepting looks at; changed in exclusive mode.
struct listener_rules {
    unsigned max_clients;   // maxclients
    bool protect;           // protected-mode, while there is neither a password nor a bind address
};
extern struct listener_rules listener_rules;

// The worker is detained (server/crew.h): if it is the host, another one is from now on. Thread: worker number `worker`.
void listener_leave(unsigned worker);

void listener_close_all(void);
bool listener_exists(void); // is there a socket to connect to?
uint64_t listener_rejected(void);

#endif
