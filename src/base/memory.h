// memory: the heap. jemalloc stands behind it where the build links it.
//
// Two kinds of call. mem_alloc and its kin serve sizes that the program itself bounds: they never return NULL;
// when the system has no memory left, the process says so and aborts. mem_try_alloc serves sizes that come from
// outside (a bulk length, a file): the caller answers a NULL with an error.
// Thread: any.
#ifndef SHOAL_BASE_MEMORY_H
#define SHOAL_BASE_MEMORY_H

#include <stddef.h>

void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_calloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *mem_realloc(void *block, size_t size) __attribute__((returns_nonnull));
char *mem_strdup(const char *string) __attribute__((malloc, returns_nonnull));
void *mem_aligned_alloc(size_t alignment, size_t size) __attribute__((malloc, returns_nonnull));

// NULL when there is no memory.
void *mem_try_alloc(size_t size);
void *mem_try_realloc(void *block, size_t size);

// Accepts NULL.
void mem_free(void *block);

// Bytes that the heap really set aside for `block` (its size class), 0 for NULL.
size_t mem_usable_size(void *block);

// Makes the n-th try from now fail (1 = the next one), for tests; 0 turns it off. Counts the calling thread only.
void mem_fail_after(unsigned long n);

#endif
