// bitset: bits in an array of bytes, bit i of the set at bit (i & 7) of byte i / 8, as the cluster bus wants it. Pure.
#ifndef SHOAL_BASE_BITSET_H
#define SHOAL_BASE_BITSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool bitset_test(const uint8_t *bits, size_t index) {
    return bits[index >> 3] >> (index & 7) & 1;
}

static inline void bitset_set(uint8_t *bits, size_t index) {
    bits[index >> 3] |= (uint8_t)(1u << (index & 7));
}

static inline void bitset_clear(uint8_t *bits, size_t index) {
    bits[index >> 3] &= (uint8_t) ~(1u << (index & 7));
}

#endif
