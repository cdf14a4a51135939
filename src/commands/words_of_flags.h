// words_of_flags: the names under which COMMAND shows flags, categories and what happens to keys.
#ifndef SHOAL_COMMANDS_WORDS_OF_FLAGS_H
#define SHOAL_COMMANDS_WORDS_OF_FLAGS_H

#include <stdint.h>

#include "base/bytes.h"
#include "resp/writer.h"

// Each replies a set of words. `flags`: enum command_flag, enum command_category, enum key_flag.
void reply_command_flags(struct reply *reply, uint32_t flags);
void reply_categories(struct reply *reply, uint32_t categories);
void reply_key_flags(struct reply *reply, uint32_t flags);

// The category of that name (without "@", any case), 0 when there is none.
uint32_t category_named(struct bytes name);

#endif
