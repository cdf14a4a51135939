#include "base/crc16.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

// slices[k][b]: the CRC of byte b followed by k zero bytes, so that eight bytes are folded at a time.
static uint16_t slices[8][256];

// The tables are filled before main runs, so that every thread only reads them.
__attribute__((constructor)) static void fill_slices(void) {
    for (unsigned b = 0; b < 256; b++) {
        uint16_t crc = (uint16_t)(b << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0));
        slices[0][b] = crc;
    }
    for (unsigned b = 0; b < 256; b++)
        for (int k = 1; k < 8; k++)
            slices[k][b] = (uint16_t)((slices[k - 1][b] << 8) ^ slices[0][slices[k - 1][b] >> 8]);
}

static inline uint16_t crc_of(const void *data, size_t size) {
    const unsigned char *at = data;
    uint16_t crc = 0;
    for (; size >= 8; size -= 8, at += 8)
        crc = slices[7][at[0] ^ (crc >> 8)] ^ slices[6][at[1] ^ (crc & 0xff)] ^ slices[5][at[2]] ^ slices[4][at[3]] ^
              slices[3][at[4]] ^ slices[2][at[5]] ^ slices[1][at[6]] ^ slices[0][at[7]];
    for (; size; size--, at++)
        crc = (uint16_t)((crc << 8) ^ slices[0][(crc >> 8) ^ *at]);
    return crc;
}

uint16_t crc16(const void *data, size_t size) {
    return crc_of(data, size);
}

// Does one of the bytes of two words open a tag?
static inline bool open_tag(uint64_t first, uint64_t second) {
#if defined(__SSE2__)
    __m128i both = _mm_set_epi64x((int64_t)second, (int64_t)first);
    return _mm_movemask_epi8(_mm_cmpeq_epi8(both, _mm_set1_epi8('{'))) != 0;
#else
    const uint64_t ones = UINT64_MAX / 0xff;
    first ^= ones * '{', second ^= ones * '{'; // a byte that opens one is zero now
    return (((first - ones) & ~first) | ((second - ones) & ~second)) & ones << 7;
#endif
}

// Keys of everyday length are looked at as two words, which overlap as they like.
static inline bool may_have_tag(struct bytes key) {
    if (key.size < 8 || key.size > 16) return key.size != 0;
    return open_tag(bytes__word(key.data), bytes__word(key.data + key.size - 8));
}

__attribute__((noinline)) static struct bytes hashed_part(struct bytes key) {
    const char *open = memchr(key.data, '{', key.size);
    if (!open) return key;
    const char *inside = open + 1, *end = key.data + key.size;
    const char *close = memchr(inside, '}', (size_t)(end - inside));
    return close && close > inside ? bytes_of(inside, (size_t)(close - inside)) : key;
}

unsigned hash_slot(struct bytes key) {
    if (may_have_tag(key)) key = hashed_part(key);
    return crc_of(key.data, key.size) & (HASH_SLOTS - 1);
}
