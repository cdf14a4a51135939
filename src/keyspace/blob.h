// blob: the bytes of a large string value, counted by reference. A blob with more than one reference is never written to:
// whoever wants to change it makes a copy of its own.
// Thread: the count is atomic; the bytes belong to whoever holds the slot's lock and the only reference.
#ifndef SHOAL_KEYSPACE_BLOB_H
#define SHOAL_KEYSPACE_BLOB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

struct blob {
    _Atomic unsigned references;
    size_t size;
    size_t capacity;
    char data[];
};

// A blob of `size` bytes with room for `capacity`, one reference, contents unset; NULL when memory is out.
struct blob *blob_create(size_t size, size_t capacity);
struct blob *blob_share(struct blob *blob);
void blob_release(struct blob *blob);

static inline bool blob_is_shared(struct blob *blob) {
    return atomic_load_explicit(&blob->references, memory_order_acquire) > 1;
}

static inline struct bytes blob_bytes(const struct blob *blob) {
    return (struct bytes){blob->data, blob->size};
}

#endif
