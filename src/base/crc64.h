// crc64: the CRC-64 "Jones" that ends RDB files and DUMP payloads (polynomial 0xad93d23594c935a9, reflected, initial 0,
// no final xor; check value of "123456789" is e9c6d914c4b8d9ca). Pure.
#ifndef SHOAL_BASE_CRC64_H
#define SHOAL_BASE_CRC64_H

#include <stddef.h>
#include <stdint.h>

// Continues `crc` (0 at first) over `size` bytes.
uint64_t crc64(uint64_t crc, const void *data, size_t size);

#endif
