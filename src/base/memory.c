#include "base/memory.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local unsigned long fail_countdown;

static void *checked(void *block, size_t size) {
    if (block || size == 0) return block ? block : checked(malloc(1), 1);
    fprintf(stderr, "out of memory allocating %zu bytes\n", size);
    abort();
}

static int must_fail(void) {
    return fail_countdown && --fail_countdown == 0;
}

void *mem_alloc(size_t size) {
    return checked(malloc(size), size);
}

void *mem_calloc(size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        total = SIZE_MAX; // calloc refuses it; so do we, not by its wrapped size
    return checked(calloc(count, size), total);
}

void *mem_realloc(void *block, size_t size) {
    return checked(realloc(block, size ? size : 1), size ? size : 1);
}

char *mem_strdup(const char *string) {
    size_t size = strlen(string) + 1;
    return memcpy(mem_alloc(size), string, size);
}

void *mem_aligned_alloc(size_t alignment, size_t size) {
    size = (size + alignment - 1) / alignment * alignment;
    return checked(aligned_alloc(alignment, size), size);
}

void *mem_try_alloc(size_t size) {
    return must_fail() ? NULL : malloc(size ? size : 1);
}

void *mem_try_realloc(void *block, size_t size) {
    return must_fail() ? NULL : realloc(block, size ? size : 1);
}

void mem_free(void *block) {
    free(block);
}

size_t mem_usable_size(void *block) {
    return malloc_usable_size(block);
}

void mem_fail_after(unsigned long n) {
    fail_countdown = n;
}
