// services: what the commands need from the floors above and cannot reach: server/ gives it at start.
// Immutable afterwards; the functions may be called by any worker.
#ifndef SHOAL_COMMANDS_SERVICES_H
#define SHOAL_COMMANDS_SERVICES_H

#include <stdint.h>

struct detached;
struct session;

struct command_services {
    int64_t (*wall_us)(void); // microseconds since 1970, for TIME; NULL: the command's clock
    void (*free_later)(struct detached *content); // frees a database's contents on another thread
    void (*stop_monitoring)(
        struct session *session); // RESET of a session that monitors; NULL: clears its flag
};

void commands_set_services(const struct command_services *services);
const struct command_services *commands_services(void);

#endif
