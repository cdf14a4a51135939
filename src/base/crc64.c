#include "base/crc64.h"

#include <string.h>

// slices[k][b]: the CRC of byte b followed by k zero bytes, so that eight bytes are folded at a time.
static uint64_t slices[8][256];

__attribute__((constructor)) static void fill_slices(void) {
    const uint64_t reflected = 0x95ac9329ac4bc9b5u;
    for (unsigned b = 0; b < 256; b++) {
        uint64_t crc = b;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? reflected : 0);
        slices[0][b] = crc;
    }
    for (unsigned b = 0; b < 256; b++)
        for (int k = 1; k < 8; k++)
            slices[k][b] = (slices[k - 1][b] >> 8) ^ slices[0][slices[k - 1][b] & 0xff];
}

uint64_t crc64(uint64_t crc, const void *data, size_t size) {
    const unsigned char *at = data;
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        crc ^= word; // little-endian, as every machine that Shoal builds for
        uint64_t next = 0;
#pragma GCC unroll 8
        for (int k = 0; k < 8; k++)
            next ^= slices[7 - k][crc >> (8 * k) & 0xff];
        crc = next;
    }
    for (; size; size--, at++)
        crc = (crc >> 8) ^ slices[0][(crc ^ *at) & 0xff];
    return crc;
}
