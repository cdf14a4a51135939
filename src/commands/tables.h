// tables: the command tables of this folder and their documentation, for server/ to install. Each ends with a
// NULL name.
#ifndef SHOAL_COMMANDS_TABLES_H
#define SHOAL_COMMANDS_TABLES_H

#include "call/command.h"

extern const struct command string_commands[];
extern const struct command key_commands[];
extern const struct command transaction_commands[];
extern const struct command connection_commands[];
extern const struct command server_commands[]; // DBSIZE FLUSHALL FLUSHDB SWAPDB TIME

extern const struct command_docs command_docs_string[];
extern const struct command_docs command_docs_generic[];
extern const struct command_docs command_docs_transactions[];
extern const struct command_docs command_docs_connection[];
extern const struct command_docs command_docs_server[];
extern const struct command_docs command_docs_cluster[];

// MEMORY USAGE: the container belongs to server/, which puts this into it.
void memory_usage(struct call *call);

#endif
