#include "base/heap.h"

#include "base/memory.h"

static bool before(const struct heap_item *a, const struct heap_item *b) {
    return a->key != b->key ? a->key < b->key : a->order < b->order;
}

void heap_push(struct heap *heap, uint64_t key, void *value) {
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity ? heap->capacity * 2 : 64;
        heap->items = mem_realloc(heap->items, heap->capacity * sizeof *heap->items);
    }
    struct heap_item item = {key, heap->pushed++, value};
    size_t at = heap->count++;
    while (at > 0 && before(&item, &heap->items[(at - 1) / 2])) {
        heap->items[at] = heap->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap->items[at] = item;
}

bool heap_pop(struct heap *heap, struct heap_item *item) {
    if (heap->count == 0) return false;
    *item = heap->items[0];
    struct heap_item last = heap->items[--heap->count];
    size_t at = 0;
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= heap->count) break;
        if (child + 1 < heap->count && before(&heap->items[child + 1], &heap->items[child])) child++;
        if (!before(&heap->items[child], &last)) break;
        heap->items[at] = heap->items[child];
        at = child;
    }
    if (heap->count) heap->items[at] = last;
    return true;
}

const struct heap_item *heap_peek(const struct heap *heap) {
    return heap->count ? &heap->items[0] : NULL;
}

void heap_free(struct heap *heap) {
    mem_free(heap->items);
    *heap = (struct heap){0};
}
