// random: bytes from the kernel's generator. Thread: any.
#ifndef SHOAL_OS_RANDOM_H
#define SHOAL_OS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

// Fills `out`; aborts when the kernel has no generator.
void random_bytes(void *out, size_t size);

uint64_t random_u64(void);

// `size` lower-case hexadecimal digits and a terminator: node ids (40), replication ids (40), run ids (40).
void random_hex(char *out, size_t size);

#endif
