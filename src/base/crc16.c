#include "base/crc16.h"

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

uint16_t crc16(const void *data, size_t size) {
    const unsigned char *at = data;
    uint16_t crc = 0;
    for (; size >= 8; size -= 8, at += 8)
        crc = slices[7][at[0] ^ (crc >> 8)] ^ slices[6][at[1] ^ (crc & 0xff)] ^ slices[5][at[2]] ^ slices[4][at[3]] ^
              slices[3][at[4]] ^ slices[2][at[5]] ^ slices[1][at[6]] ^ slices[0][at[7]];
    for (; size; size--, at++)
        crc = (uint16_t)((crc << 8) ^ slices[0][(crc >> 8) ^ *at]);
    return crc;
}

unsigned hash_slot(struct bytes key) {
    const char *open = key.size ? memchr(key.data, '{', key.size) : NULL;
    if (open) {
        const char *inside = open + 1;
        const char *close = memchr(inside, '}', (size_t)(key.data + key.size - inside));
        if (close && close > inside) return crc16(inside, (size_t)(close - inside)) & (HASH_SLOTS - 1);
    }
    return crc16(key.data, key.size) & (HASH_SLOTS - 1);
}
