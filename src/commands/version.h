// version: which Redis we say to be.
#ifndef SHOAL_COMMANDS_VERSION_H
#define SHOAL_COMMANDS_VERSION_H

#define REDIS_VERSION "7.2.4"

#endif
