// command_help: what the connected server says about its commands (COMMAND DOCS), as help and as completions.
// Belongs to one thread.
#ifndef SHOAL_CLI_COMMAND_HELP_H
#define SHOAL_CLI_COMMAND_HELP_H

#include <stddef.h>

#include "base/bytes.h"
#include "cli/client.h"

// "help", "help GET", "help CONFIG GET", "help @string": prints to standard output.
void command_help_print(struct client *client, const struct bytes *topic, size_t count);

// The names that begin with `prefix` ("ge", or "config re"), in any case: a list on the heap of strings on
// the heap, ended by NULL; the caller frees all. Asks the server the first time.
char **command_help_complete(struct client *client, const char *prefix);

#endif
