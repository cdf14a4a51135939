// world: virtual time. Events, each with the moment (virtual microseconds since the run began) at which it
// happens; the run is the loop that takes the earliest and lets it happen. One seed, one order of events, one
// outcome.
//
// Events lie in a wheel of wheels: a wheel has a slot for each microsecond of the present millisecond, the
// next one a slot for each millisecond of the present second, and so on; when the first is empty, the next
// slot of the second is dealt out to it. Planning and taking cost the same however many events there are.
//
// Invariant: time never goes back; events of the same moment happen in the order in which they were planned.
// Thread: one world belongs to one thread; worlds know nothing of each other.
#ifndef SHOAL_SIM_WORLD_H
#define SHOAL_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"

enum {
    MICROSECONDS_PER_MS = 1000,
    WHEELS = 5,
    WHEEL_BITS = 10, // 2^50 microseconds are 35 years
    WHEEL_SLOTS = 1 << WHEEL_BITS,
};

struct event;
typedef void event_handler(struct event *event);

// What happens, to whom, and whatever else the handler wants to know. Lives in the world's pool.
struct event {
    event_handler *happen;
    void *subject;
    void *payload;
    uint64_t stamp; // for the handler: a generation, a number, a flag
    uint64_t at;
    struct event *next;
    uint32_t about; // the node that it happens to, plus one; 0: nobody in particular
};

// Events whose moment is not known yet, in the order in which they came.
struct put_off {
    struct event *first, *last;
};

struct wheel {
    uint64_t used[WHEEL_SLOTS / 64]; // bits of the slots that have events
    struct {
        struct event *first, *last;
    } slots[WHEEL_SLOTS];
};

struct world {
    uint64_t now; // microseconds
    uint64_t steps;
    uint64_t base; // the wheels stand here: no event is earlier
    struct wheel *wheels;
    struct event *spare; // free events, chained through `next`
    struct event **blocks;
    uint32_t block_count;
    struct prng prng;
    // Told of the event after the next one that has `about`: memory that it will look at can be asked for.
    // May be NULL.
    void (*ahead)(void *context, uint32_t node);
    void *ahead_context;
};

void world_init(struct world *world, uint64_t seed);
void world_free(struct world *world);

// Plans `happen` for the moment `at` (microseconds; a moment that has passed means now). The event may be
// told whom it is about, at once.
struct event *world_plan(struct world *world, uint64_t at, event_handler *happen, void *subject,
                         void *payload, uint64_t stamp);

// Keeps an event until world_resume(), which plans all that was put off for now, in its order.
void world_put_off(struct world *world, struct put_off *events, event_handler *happen, void *subject,
                   void *payload, uint64_t stamp);
void world_resume(struct world *world, struct put_off *events);

// Lets the earliest event happen. False when none is planned before or at `until`; time then is `until`.
bool world_step(struct world *world, uint64_t until);

// Uniform in [low, high].
uint64_t world_between(struct world *world, uint64_t low, uint64_t high);

// True in `percent` of the calls.
bool world_chance(struct world *world, unsigned percent);

static inline uint64_t world_ms(const struct world *world) {
    return world->now / MICROSECONDS_PER_MS;
}

#endif
