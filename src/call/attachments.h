// attachments: large values among a session's replies, by reference instead of copied. Each stands at an
// offset of the output buffer: it is sent before the byte there. Belongs to the session's worker, as the
// output does; other threads may hold further references to the same blobs.
#ifndef SHOAL_CALL_ATTACHMENTS_H
#define SHOAL_CALL_ATTACHMENTS_H

#include <stddef.h>

#include "base/bytes.h"
#include "keyspace/blob.h"

// From this size on a value is attached: below it copying is as cheap as a part more in the list for the
// kernel.
enum { ATTACHMENT_MIN = 16 * 1024 };

struct attachment {
    size_t at;          // offset in the output buffer
    struct blob *blob;  // one reference of ours
    struct bytes bytes; // of the blob: what is still to be sent
};

// All zero is an empty list. items[first..count) wait to be sent, in the order of their offsets.
struct attachments {
    struct attachment *items;
    unsigned first, count, capacity;
    size_t size; // bytes that wait
};

// Appends `part`, which lies in `blob`; takes a reference. `at` is not less than that of the one before.
void attachments_add(struct attachments *attachments, size_t at, struct blob *blob, struct bytes part);

// The output was cut to `size` bytes: drops what stood behind.
void attachments_cut(struct attachments *attachments, size_t size);

// `count` bytes of the first one were sent; it is dropped once all of it was.
void attachments_sent(struct attachments *attachments, size_t count);

// The output has lost `count` bytes at its front, all of them sent.
void attachments_move_up(struct attachments *attachments, size_t count);

void attachments_free(struct attachments *attachments);

#endif
