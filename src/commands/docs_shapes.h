// docs_shapes: the words in which docs_*.c are written. Each list gets the end mark that its readers look
// for.
#ifndef SHOAL_COMMANDS_DOCS_SHAPES_H
#define SHOAL_COMMANDS_DOCS_SHAPES_H

#include <stddef.h>

#include "call/command.h"

#define ARGUMENTS(...) ((const struct command_argument[]){__VA_ARGS__, {.name = NULL}})
#define HISTORY(...) ((const struct command_history[]){__VA_ARGS__, {NULL, NULL}})
#define TIPS(...) ((const char *const[]){__VA_ARGS__, NULL})

// One argument, and what is special about it as designated initialisers.
#define ARGUMENT(word, kind, ...)                                                                            \
    { .name = (word), .type = (kind)__VA_OPT__(, ) __VA_ARGS__ }

// A key that the key specification of that index finds.
#define KEY_ARGUMENT(word, spec_index, ...)                                                                  \
    { .name = (word), .type = "key", .key_spec = 1 + (spec_index)__VA_OPT__(, ) __VA_ARGS__ }

// A word that stands for itself.
#define TOKEN(word, text, ...)                                                                               \
    { .name = (word), .type = "pure-token", .token = (text)__VA_OPT__(, ) __VA_ARGS__ }

#endif
