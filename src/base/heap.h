// heap: a binary min-heap of 64-bit keys, for timers and events. Ties leave in the order in which they came, so that
// whoever is driven by it behaves the same each time. Pure; belongs to one thread at a time.
#ifndef SHOAL_BASE_HEAP_H
#define SHOAL_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_item {
    uint64_t key;
    uint64_t order; // set by heap_push
    void *value;
};

struct heap {
    struct heap_item *items;
    size_t count;
    size_t capacity;
    uint64_t pushed;
};

void heap_push(struct heap *heap, uint64_t key, void *value);

// Takes the smallest into *item; false when the heap is empty.
bool heap_pop(struct heap *heap, struct heap_item *item);

// The smallest, or NULL.
const struct heap_item *heap_peek(const struct heap *heap);

void heap_free(struct heap *heap);

#endif
