// modes: what the program does besides executing a command: reading commands, --pipe, --scan. Each returns
// the exit status. Belongs to the main thread.
#ifndef SHOAL_CLI_MODES_H
#define SHOAL_CLI_MODES_H

#include "cli/client.h"
#include "cli/options.h"

// Reads commands: from a terminal with prompt, history and completion, else line by line.
int repl_run(struct client *client, const struct options *options);

// Sends raw protocol from standard input to the server and counts the replies.
int pipe_run(struct client *client, const struct options *options);

// Lists keys.
int scan_run(struct client *client, const struct options *options);

#endif
