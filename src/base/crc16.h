// crc16: CRC-16/XMODEM (polynomial 0x1021, initial 0), which names a key's hash slot. Pure.
// Source: Redis Cluster specification, "Key distribution model".
#ifndef SHOAL_BASE_CRC16_H
#define SHOAL_BASE_CRC16_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define HASH_SLOTS 16384

uint16_t crc16(const void *data, size_t size);

// The hash slot of a key: the CRC of what stands between the first '{' and the first '}' after it, when that is not
// empty, else of the whole key; modulo 16384.
unsigned hash_slot(struct bytes key);

#endif
