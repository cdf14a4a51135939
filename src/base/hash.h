// hash: the hash of a key inside its slot's table: XXH3, seeded per process so that keys can't be chosen to collide. Pure.
#ifndef SHOAL_BASE_HASH_H
#define SHOAL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

// Sets the seed. Called once at start, before any table is filled.
void hash_set_seed(uint64_t seed);

uint64_t hash_bytes(const void *data, size_t size);

#endif
