// shapes: key specifications that many commands share, for the command tables.
#ifndef SHOAL_COMMANDS_SHAPES_H
#define SHOAL_COMMANDS_SHAPES_H

#include "call/command.h"

// Keys from argument `at` on, up to `last` counted from it (negative: from the end), every `step`-th.
#define KEY_RANGE(at, last_key, every, how)                                                                  \
    {                                                                                                        \
        .begin = KEY_BEGIN_INDEX, .index = (at), .find = KEY_FIND_RANGE, .last = (last_key),                 \
        .step = (every), .flags = (how)                                                                      \
    }

#define KEY_RANGE_NOTED(at, last_key, every, how, note)                                                      \
    {                                                                                                        \
        .begin = KEY_BEGIN_INDEX, .index = (at), .find = KEY_FIND_RANGE, .last = (last_key),                 \
        .step = (every), .flags = (how), .notes = (note)                                                     \
    }

#define ONE_KEY(how) KEY_RANGE(1, 0, 1, how)
#define ALL_KEYS(how) KEY_RANGE(1, -1, 1, how)

#endif
