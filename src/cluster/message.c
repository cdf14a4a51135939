#include "cluster/message.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/memory.h"

// Free messages are kept by size class, so that a 2 KiB pong does not sit in the memory of a large ping. With
// what the message has besides its bytes a class fills a power of two, which allocators have a size for.
enum { CLASSES = 6, CLASS_SMALLEST = 4096, KEPT_PER_CLASS = 64 };

static uint32_t class_room(uint32_t class) {
    return ((uint32_t)CLASS_SMALLEST << class) - (uint32_t)sizeof(struct cluster_message);
}

struct message_pool {
    struct cluster_message *free[CLASSES];
    uint32_t kept[CLASSES];
    uint64_t live;    // messages with holders
    uint32_t holders; // cores; none: the pool goes with its last message
};

static uint32_t class_of(uint32_t size) {
    uint32_t class = 0;
    while (class < CLASSES && class_room(class) < size)
        class ++;
    return class;
}

struct message_pool *message_pool_create(void) {
    struct message_pool *pool = mem_calloc(1, sizeof(*pool));
    pool->holders = 1;
    return pool;
}

struct message_pool *message_pool_retain(struct message_pool *pool) {
    pool->holders++;
    return pool;
}

void message_pool_destroy(struct message_pool *pool) {
    if (--pool->holders) return;
    for (uint32_t class = 0; class < CLASSES; class ++) {
        while (pool->free[class]) {
            struct cluster_message *message = pool->free[class];
            pool->free[class] = message->next_free;
            mem_free(message);
        }
        pool->kept[class] = 0;
    }
    if (pool->live == 0) mem_free(pool);
}

struct cluster_message *message_create(struct message_pool *pool, uint32_t size) {
    uint32_t class = class_of(size);
    struct cluster_message *message = class < CLASSES ? pool->free[class] : NULL;
    if (message) {
        pool->free[class] = message->next_free;
        pool->kept[class]--;
    } else {
        uint32_t capacity = class < CLASSES ? class_room(class) : size;
        message = mem_alloc(sizeof(*message) + capacity);
        message->capacity = capacity;
    }
    message->pool = pool;
    message->next_free = NULL;
    message->references = 1;
    message->size = size;
    pool->live++;
    return message;
}

struct cluster_message *cluster_message_retain(struct cluster_message *message) {
    message->references++;
    return message;
}

void cluster_message_release(struct cluster_message *message) {
    if (--message->references) return;
    struct message_pool *pool = message->pool;
    uint32_t class = class_of(message->capacity);
    pool->live--;
    if (pool->holders && class < CLASSES && pool->kept[class] < KEPT_PER_CLASS) {
        message->next_free = pool->free[class];
        pool->free[class] = message;
        pool->kept[class]++;
        return;
    }
    mem_free(message);
    if (pool->holders == 0 && pool->live == 0) mem_free(pool);
}
