#include "call/broadcasts.h"

#include <string.h>

#include "base/memory.h"
#include "os/lock.h"

struct prefix {
    char *data;
    size_t size;
    uint64_t *listeners;
    unsigned count, capacity;
};

static struct lock lock; // guards all that follows
static struct prefix *prefixes;
static unsigned prefix_count, prefix_capacity;

static struct bytes text_of(const struct prefix *prefix) {
    return bytes_of(prefix->data, prefix->size);
}

// Where the prefix stands, or would.
static unsigned place_of(struct bytes wanted) {
    unsigned low = 0, high = prefix_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (bytes_compare(text_of(&prefixes[middle]), wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool stands_at(unsigned place, struct bytes wanted) {
    return place < prefix_count && bytes_equal(text_of(&prefixes[place]), wanted);
}

static void insert_prefix(unsigned place, struct bytes text) {
    if (prefix_count == prefix_capacity) {
        prefix_capacity = prefix_capacity ? prefix_capacity * 2 : 8;
        prefixes = mem_realloc(prefixes, prefix_capacity * sizeof *prefixes);
    }
    memmove(&prefixes[place + 1], &prefixes[place], (prefix_count - place) * sizeof *prefixes);
    prefixes[place] = (struct prefix){.data = bytes_to_string(text), .size = text.size};
    prefix_count++;
}

static void delete_prefix(unsigned place) {
    mem_free(prefixes[place].data);
    mem_free(prefixes[place].listeners);
    prefix_count--;
    memmove(&prefixes[place], &prefixes[place + 1], (prefix_count - place) * sizeof *prefixes);
}

void broadcasts_add(struct keyspace *keyspace, struct bytes prefix, uint64_t listener) {
    lock_acquire(&lock);
    unsigned place = place_of(prefix);
    if (!stands_at(place, prefix)) insert_prefix(place, prefix);
    struct prefix *at = &prefixes[place];
    if (at->count == at->capacity) {
        at->capacity = at->capacity ? at->capacity * 2 : 4;
        at->listeners = mem_realloc(at->listeners, at->capacity * sizeof *at->listeners);
    }
    at->listeners[at->count++] = listener;
    keyspace_set_broadcasting(keyspace, true);
    lock_release(&lock);
}

void broadcasts_remove(struct keyspace *keyspace, struct bytes prefix, uint64_t listener) {
    lock_acquire(&lock);
    unsigned place = place_of(prefix);
    struct prefix *at = &prefixes[place];
    unsigned i = 0;
    while (at->listeners[i] != listener)
        i++;
    at->listeners[i] = at->listeners[--at->count];
    if (at->count == 0) delete_prefix(place);
    if (prefix_count == 0) keyspace_set_broadcasting(keyspace, false);
    lock_release(&lock);
}

unsigned broadcasts_count(void) {
    lock_acquire(&lock);
    unsigned count = prefix_count;
    lock_release(&lock);
    return count;
}

static bool begins_with(struct bytes key, struct bytes prefix) {
    return key.size >= prefix.size && (prefix.size == 0 || memcmp(key.data, prefix.data, prefix.size) == 0);
}

static unsigned first_not_below(const struct bytes *keys, unsigned count, struct bytes bound) {
    unsigned low = 0, high = count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (bytes_compare(keys[middle], bound) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void broadcasts_match(const struct bytes *keys, unsigned count,
                      void (*tell)(void *context, const struct broadcast *broadcast), void *context) {
    lock_acquire(&lock);
    for (unsigned i = 0; i < prefix_count; i++) {
        struct bytes text = text_of(&prefixes[i]);
        struct broadcast broadcast = {.first = first_not_below(keys, count, text),
                                      .listeners = prefixes[i].listeners,
                                      .listener_count = prefixes[i].count};
        unsigned end = broadcast.first;
        while (end < count && begins_with(keys[end], text)) // in order, they stand together
            end++;
        broadcast.count = end - broadcast.first;
        if (broadcast.count) tell(context, &broadcast);
    }
    lock_release(&lock);
}
