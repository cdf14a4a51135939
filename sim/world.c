#include "sim/world.h"

#include <stddef.h>

#include "base/memory.h"

enum { EVENTS_PER_BLOCK = 1024 };

void world_init(struct world *world, uint64_t seed) {
    *world = (struct world){0};
    world->wheels = mem_calloc(WHEELS, sizeof *world->wheels);
    prng_seed(&world->prng, seed);
}

void world_free(struct world *world) {
    for (uint32_t i = 0; i < world->block_count; i++)
        mem_free(world->blocks[i]);
    mem_free(world->blocks);
    mem_free(world->wheels);
    *world = (struct world){0};
}

// -- the pool of events
// ----------------------------------------------------------------------------------------------

static void release(struct world *world, struct event *event) {
    event->next = world->spare;
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
    world->spare = event->next;
    return event;
}

// -- the wheels
// ------------------------------------------------------------------------------------------------------

static uint32_t slot_of(uint64_t time, unsigned level) {
    return (uint32_t)(time >> level * WHEEL_BITS) & (WHEEL_SLOTS - 1);
}

// On the smallest wheel whose present turn has the moment in it.
static void put(struct world *world, struct event *event) {
    uint64_t differ = event->at ^ world->base;
    unsigned level = differ ? (63u - (unsigned)__builtin_clzll(differ)) / WHEEL_BITS : 0;
    if (level >= WHEELS) level = WHEELS - 1;
    struct wheel *wheel = &world->wheels[level];
    uint32_t slot = slot_of(event->at, level);
    event->next = NULL;
    if (wheel->used[slot / 64] >> slot % 64 & 1) {
        wheel->slots[slot].last->next = event;
    } else {
        wheel->slots[slot].first = event;
        wheel->used[slot / 64] |= (uint64_t)1 << slot % 64;
    }
    wheel->slots[slot].last = event;
}

// The first used slot from `slot` on, or -1.
static int first_used(const struct wheel *wheel, uint32_t slot) {
    uint32_t word = slot / 64;
    uint64_t bits = wheel->used[word] & UINT64_MAX << slot % 64;
    while (bits == 0) {
        if (++word == WHEEL_SLOTS / 64) return -1;
        bits = wheel->used[word];
    }
    return (int)(word * 64 + (uint32_t)__builtin_ctzll(bits));
}

static struct event *empty_slot(struct wheel *wheel, uint32_t slot) {
    wheel->used[slot / 64] &= ~((uint64_t)1 << slot % 64);
    return wheel->slots[slot].first;
}

// Moves the wheels on to the next used slot of a larger one and deals its events out, in their order. False
// when there is none before or at `until`.
static bool turn(struct world *world, uint64_t until) {
    for (unsigned level = 1; level < WHEELS; level++) {
        int slot = first_used(&world->wheels[level], slot_of(world->base, level));
        if (slot < 0) continue;
        uint64_t turn_mask = ((uint64_t)1 << (level + 1) * WHEEL_BITS) - 1;
        uint64_t begin = (world->base & ~turn_mask) | (uint64_t)slot << level * WHEEL_BITS;
        if (begin > until) return false;
        world->base = begin;
        struct event *event = empty_slot(&world->wheels[level], (uint32_t)slot);
        while (event) {
            struct event *next = event->next;
            put(world, event);
            event = next;
        }
        return true;
    }
    return false;
}

// Takes the earliest event that happens before or at `until`, or NULL.
static struct event *take(struct world *world, uint64_t until) {
    struct wheel *wheel = &world->wheels[0];
    int slot;
    while ((slot = first_used(wheel, slot_of(world->base, 0))) < 0)
        if (!turn(world, until)) return NULL;
    struct event *event = wheel->slots[slot].first;
    if (event->at > until) return NULL;
    world->base = event->at;
    if (event->next)
        wheel->slots[slot].first = event->next;
    else
        empty_slot(wheel, (uint32_t)slot);
    return event;
}

// -- events
// ------------------------------------------------------------------------------------------------------

struct event *world_plan(struct world *world, uint64_t at, event_handler *happen, void *subject,
                         void *payload, uint64_t stamp) {
    struct event *event = obtain(world);
    if (at < world->now) at = world->now;
    *event = (struct event){happen, subject, payload, stamp, at, NULL, 0};
    put(world, event);
    return event;
}

void world_put_off(struct world *world, struct put_off *events, event_handler *happen, void *subject,
                   void *payload, uint64_t stamp) {
    struct event *event = obtain(world);
    *event = (struct event){happen, subject, payload, stamp, 0, NULL, 0};
    if (events->first)
        events->last->next = event;
    else
        events->first = event;
    events->last = event;
}

void world_resume(struct world *world, struct put_off *events) {
    struct event *event = events->first;
    *events = (struct put_off){0};
    while (event) {
        struct event *next = event->next;
        event->at = world->now;
        put(world, event);
        event = next;
    }
}

// The one that comes after, as far as it is known already.
static struct event *after(const struct world *world, const struct event *event) {
    if (event->next) return event->next;
    uint32_t slot = slot_of(event->at, 0) + 1;
    int used = slot < WHEEL_SLOTS ? first_used(&world->wheels[0], slot) : -1;
    return used < 0 ? NULL : world->wheels[0].slots[used].first;
}

// What happens next waits for memory, not for work: asks for it one event ahead.
static void look_ahead(const struct world *world, const struct event *event) {
    const struct event *next = after(world, event);
    if (!next) return;
    __builtin_prefetch(next->subject);
    if (next->about && world->ahead) world->ahead(world->ahead_context, next->about - 1);
    const struct event *second = after(world, next);
    if (second) __builtin_prefetch(second);
}

bool world_step(struct world *world, uint64_t until) {
    struct event *planned = take(world, until);
    if (!planned) {
        if (world->now < until) world->now = until;
        return false;
    }
    world->now = planned->at;
    world->steps++;
    look_ahead(world, planned);
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
