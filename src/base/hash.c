#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t seed;

void hash_set_seed(uint64_t chosen) {
    seed = chosen;
}

uint64_t hash_bytes(const void *data, size_t size) {
    return XXH3_64bits_withSeed(data, size, seed);
}
