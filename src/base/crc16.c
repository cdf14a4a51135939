#include "base/crc16.h"

// The CRC of every single byte.
static uint16_t table[256];

// The table is filled before main runs, so that every thread only reads it.
__attribute__((constructor)) static void fill_table(void) {
    for (unsigned b = 0; b < 256; b++) {
        uint16_t crc = (uint16_t)(b << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0));
        table[b] = crc;
    }
}

uint16_t crc16(const void *data, size_t size) {
    const unsigned char *at = data;
    uint16_t crc = 0;
    for (size_t i = 0; i < size; i++)
        crc = (uint16_t)((crc << 8) ^ table[(crc >> 8) ^ at[i]]);
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
