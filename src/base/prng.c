#include "base/prng.h"

static uint64_t splitmix(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint64_t rotate(uint64_t x, int by) {
    return x << by | x >> (64 - by);
}

void prng_seed(struct prng *prng, uint64_t seed) {
    for (int i = 0; i < 4; i++)
        prng->state[i] = splitmix(&seed);
}

uint64_t prng_next(struct prng *prng) {
    uint64_t *s = prng->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t prng_below(struct prng *prng, uint64_t bound) {
    // Multiply-shift (Lemire): the bias is below bound / 2^64, which nothing here can notice.
    return (uint64_t)(((unsigned __int128)prng_next(prng) * bound) >> 64);
}
