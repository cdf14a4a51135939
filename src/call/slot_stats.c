#include "call/slot_stats.h"

#include <stdatomic.h>

#include "base/counter.h"
#include "base/crc16.h"

// One slot's. They are untouched memory until they are needed.
struct counted {
    struct slot_stats sum;
    _Atomic uint32_t era; // to which the sum belongs
};

static struct counted slots[HASH_SLOTS];
static _Atomic uint32_t eras[HASH_SLOTS]; // how often each slot has begun anew

void slot_stats_count(unsigned slot, const struct slot_stats *cost) {
    struct counted *counted = &slots[slot];
    uint32_t era = atomic_load_explicit(&eras[slot], memory_order_relaxed);
    if (atomic_load_explicit(&counted->era, memory_order_relaxed) != era) {
        counter_set(&counted->sum.ticks, 0);
        counter_set(&counted->sum.bytes_in, 0);
        counter_set(&counted->sum.bytes_out, 0);
        atomic_store_explicit(&counted->era, era,
                              memory_order_release); // only zeros are read with the new era
    }
    counter_add(&counted->sum.ticks, cost->ticks);
    counter_add(&counted->sum.bytes_in, cost->bytes_in);
    counter_add(&counted->sum.bytes_out, cost->bytes_out);
}

struct slot_stats slot_stats_read(unsigned slot) {
    const struct counted *counted = &slots[slot];
    uint32_t era = atomic_load_explicit(&eras[slot], memory_order_relaxed);
    if (atomic_load_explicit(&counted->era, memory_order_acquire) != era) return (struct slot_stats){0};
    return (struct slot_stats){.ticks = counter_read(&counted->sum.ticks),
                               .bytes_in = counter_read(&counted->sum.bytes_in),
                               .bytes_out = counter_read(&counted->sum.bytes_out)};
}

void slot_stats_forget(unsigned slot) {
    atomic_fetch_add_explicit(&eras[slot], 1, memory_order_relaxed);
}

void slot_stats_forget_all(void) {
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++)
        slot_stats_forget(slot);
}
