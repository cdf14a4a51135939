// glob: Redis's patterns: * ? [abc] [^a] [a-z] and \ to quote. Pure.
#ifndef SHOAL_BASE_GLOB_H
#define SHOAL_BASE_GLOB_H

#include <stdbool.h>

#include "base/bytes.h"

// Does the whole of `text` match? Time is bounded by pattern.size * text.size.
bool glob_match(struct bytes pattern, struct bytes text, bool ignore_case);

#endif
