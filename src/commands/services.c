#include "commands/services.h"

#include <stddef.h>

#include "keyspace/keyspace.h"

// Until told otherwise, what could be freed later is freed at once, and TIME is as coarse as a command's
// clock.
static struct command_services given = {.wall_us = NULL, .free_later = keyspace_free_detached};

void commands_set_services(const struct command_services *services) {
    given = *services;
}

const struct command_services *commands_services(void) {
    return &given;
}
