#include "keyspace/blob.h"

#include "base/memory.h"

struct blob *blob_create(size_t size, size_t capacity) {
    struct blob *blob = mem_try_alloc(sizeof *blob + capacity);
    if (!blob) return NULL;
    atomic_init(&blob->references, 1);
    blob->size = size;
    blob->capacity = capacity;
    return blob;
}

struct blob *blob_share(struct blob *blob) {
    atomic_fetch_add_explicit(&blob->references, 1, memory_order_relaxed);
    return blob;
}

void blob_release(struct blob *blob) {
    if (atomic_fetch_sub_explicit(&blob->references, 1, memory_order_acq_rel) == 1) mem_free(blob);
}
