// message: bytes for the bus, written once and shared by every receiver. A message is counted: whoever wants
// it beyond the next cluster_step retains it, and releases it later. Released messages go back to the pool of
// the core that made them, so that the steady state allocates nothing; they may outlive that core. Thread:
// the one that steps the core.
#ifndef SHOAL_CLUSTER_MESSAGE_H
#define SHOAL_CLUSTER_MESSAGE_H

#include <stdint.h>

struct message_pool;

// data[0..size) is one whole bus packet. Read-only for everybody but its maker.
struct cluster_message {
    struct message_pool *pool;
    struct cluster_message *next_free;
    uint32_t references;
    uint32_t size;
    uint32_t capacity;
    uint8_t data[];
};

// One more holder. Returns the message.
struct cluster_message *cluster_message_retain(struct cluster_message *message);

// One holder less; the last one gives the memory back.
void cluster_message_release(struct cluster_message *message);

// ---- For the core ----

struct message_pool *message_pool_create(void);

// One more holder. Cores that one thread steps may share a pool.
struct message_pool *message_pool_retain(struct message_pool *pool);

// One holder less. The pool goes when it has none and its last message has been released.
void message_pool_destroy(struct message_pool *pool);

// A message of `size` bytes, not cleared, with one reference.
struct cluster_message *message_create(struct message_pool *pool, uint32_t size);

#endif
