#include "call/attachments.h"

#include "base/memory.h"

enum { CAPACITY_FIRST = 4 };

void attachments_add(struct attachments *attachments, size_t at, struct blob *blob, struct bytes part) {
    if (attachments->count == attachments->capacity) {
        attachments->capacity = attachments->capacity ? attachments->capacity * 2 : CAPACITY_FIRST;
        attachments->items =
            mem_realloc(attachments->items, attachments->capacity * sizeof *attachments->items);
    }
    attachments->items[attachments->count++] = (struct attachment){at, blob_share(blob), part};
    attachments->size += part.size;
}

// An empty list holds no memory: few clients ever ask for a large value.
static void forget_if_empty(struct attachments *attachments) {
    if (attachments->first < attachments->count) return;
    mem_free(attachments->items);
    *attachments = (struct attachments){0};
}

void attachments_cut(struct attachments *attachments, size_t size) {
    while (attachments->count > attachments->first && attachments->items[attachments->count - 1].at > size) {
        struct attachment *last = &attachments->items[--attachments->count];
        attachments->size -= last->bytes.size;
        blob_release(last->blob);
    }
    forget_if_empty(attachments);
}

void attachments_sent(struct attachments *attachments, size_t count) {
    struct attachment *first = &attachments->items[attachments->first];
    first->bytes = bytes_of(first->bytes.data + count, first->bytes.size - count);
    attachments->size -= count;
    if (first->bytes.size) return;
    blob_release(first->blob);
    attachments->first++;
    forget_if_empty(attachments);
}

void attachments_move_up(struct attachments *attachments, size_t count) {
    attachments->count -= attachments->first;
    for (unsigned i = 0; i < attachments->count; i++) {
        attachments->items[i] = attachments->items[attachments->first + i];
        attachments->items[i].at -= count;
    }
    attachments->first = 0;
}

void attachments_free(struct attachments *attachments) {
    for (unsigned i = attachments->first; i < attachments->count; i++)
        blob_release(attachments->items[i].blob);
    attachments->first = attachments->count = 0;
    forget_if_empty(attachments);
}
