#include "commands/services.h"

#include <stddef.h>

static struct command_services given;

void commands_set_services(const struct command_services *services) {
    given = *services;
}

const struct command_services *commands_services(void) {
    return &given;
}
