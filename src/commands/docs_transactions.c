// docs_transactions: what COMMAND DOCS says about the commands of transactions. Sorted by name.
#include "commands/docs_shapes.h"
#include "commands/tables.h"

const struct command_docs command_docs_transactions[] = {
    {.name = "discard",
     .summary = "Drops the commands queued since MULTI",
     .since = "2.0.0",
     .group = "transactions",
     .complexity = "O(N), N being the commands queued"},
    {.name = "exec",
     .summary = "Runs the commands queued since MULTI, unless a watched key has changed",
     .since = "1.2.0",
     .group = "transactions",
     .complexity = "That of the commands queued"},
    {.name = "multi",
     .summary = "Starts a transaction: commands are queued until EXEC",
     .since = "1.2.0",
     .group = "transactions",
     .complexity = "O(1)"},
    {.name = "unwatch",
     .summary = "Forgets all keys that this connection watches",
     .since = "2.2.0",
     .group = "transactions",
     .complexity = "O(1)"},
    {.name = "watch",
     .summary = "Watches keys: EXEC does nothing if one of them changes before",
     .since = "2.2.0",
     .group = "transactions",
     .complexity = "O(1) a key",
     .arguments = ARGUMENTS(KEY_ARGUMENT("key", 0, .multiple = true))},
    {.name = NULL},
};
