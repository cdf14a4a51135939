// prng: xoshiro256** (Blackman and Vigna, public domain): fast, seeded, the same everywhere. Not for secrets. Pure.
#ifndef SHOAL_BASE_PRNG_H
#define SHOAL_BASE_PRNG_H

#include <stdint.h>

struct prng {
    uint64_t state[4];
};

// Spreads a 64-bit seed over the state (splitmix64).
void prng_seed(struct prng *prng, uint64_t seed);

uint64_t prng_next(struct prng *prng);

// Uniform in [0, bound); 0 when bound is 0.
uint64_t prng_below(struct prng *prng, uint64_t bound);

#endif
