#include "sim/world.h"

#include <stddef.h>

#include "base/memory.h"

enum { EVENTS_PER_BLOCK = 1024 };

void world_init(struct world *world, uint64_t seed) {
    *world = (struct world){0};
    prng_seed(&world->prng, seed);
}

void world_free(struct world *world) {
    heap_free(&world->events);
    for (uint32_t i = 0; i < world->block_count; i++)
        mem_free(world->blocks[i]);
    mem_free(world->blocks);
    *world = (struct world){0};
}

static void release(struct world *world, struct event *event) {
    event->subject = world->spare;
    world->spare = event;
}

static struct event *obtain(struct world *world) {
    if (!world->spare) {
        struct event *block = mem_alloc(EVENTS_PER_BLOCK * sizeof *block);
        world->blocks = mem_realloc(world->blocks, (world->block_count + 1) * sizeof *world->blocks);
        world->blocks[world->block_count++] = block;
        for (int i = EVENTS_PER_BLOCK - 1; i >= 0; i--)
            release(world, &block[i]);
    }
    struct event *event = world->spare;
    world->spare = event->subject;
    return event;
}

void world_plan(struct world *world, uint64_t at, event_handler *happen, void *subject, void *payload,
                uint64_t stamp) {
    struct event *event = obtain(world);
    *event = (struct event){happen, subject, payload, stamp};
    heap_push(&world->events, at < world->now ? world->now : at, event);
}

bool world_step(struct world *world, uint64_t until) {
    const struct heap_item *next = heap_peek(&world->events);
    if (!next || next->key > until) {
        if (world->now < until) world->now = until;
        return false;
    }
    struct heap_item item;
    heap_pop(&world->events, &item);
    world->now = item.key;
    world->steps++;
    struct event *planned = item.value;
    struct event event = *planned; // the handler may plan more: give the place back first
    release(world, planned);
    event.happen(&event);
    return true;
}

uint64_t world_between(struct world *world, uint64_t low, uint64_t high) {
    return low >= high ? low : low + prng_below(&world->prng, high - low + 1);
}

bool world_chance(struct world *world, unsigned percent) {
    return prng_below(&world->prng, 100) < percent;
}
