#include "server/crew.h"

#include <stdatomic.h>

enum {
    SIZE_BITS = 8, // of the word: how many serve; above it a bit for each worker, set while it is detained
    CALM_PERIODS = 10,   // so many calm ones in succession, and one goes
    CROWDED_PERIODS = 2, // so many crowded ones, likewise
};

static const double BUSY = 0.75;    // of those who serve, awake: they could do with help
static const double CALM = 0.4;     // of one fewer, awake: they would manage
static const double WAITING = 0.15; // of the time awake: they are in each other's way, or in others' ...
static const double FULL = 0.95;    // ... and one fewer could use the cores that they got
static const double CORE_FREE = 0.5, NO_CORE_FREE = 0.25;

static unsigned total = 1;
static bool always_all;
static _Atomic uint32_t word = 1;
static unsigned calm, crowded; // periods in succession

static unsigned size_of(uint32_t crew) {
    return crew & ((1u << SIZE_BITS) - 1);
}

static uint32_t detained_of(uint32_t crew) {
    return crew >> SIZE_BITS;
}

static uint32_t bit_of(unsigned worker) {
    return 1u << (SIZE_BITS + worker);
}

void crew_start(unsigned workers, bool all) {
    total = workers;
    always_all = all;
    calm = crowded = 0;
    atomic_store(&word, all ? workers : 1);
}

uint32_t crew_now(void) {
    return atomic_load_explicit(&word, memory_order_relaxed);
}

unsigned crew_size(void) {
    return size_of(crew_now());
}

// The worker that bit number `place` stands for, counting set bits only.
static unsigned nth_of(uint32_t bits, unsigned place) {
    while (place--)
        bits &= bits - 1;
    return (unsigned)__builtin_ctz(bits);
}

// The client's place among the last `size` workers, or elsewhere when that one is detained.
static unsigned place_among(unsigned size, uint32_t detained, uint64_t number) {
    unsigned home = total - 1 - (unsigned)(number % size);
    uint32_t free = ~detained & ((1u << total) - 1);
    if (!(detained >> home & 1) || !free) return home;
    return nth_of(free, (unsigned)(number / size % (unsigned)__builtin_popcount(free)));
}

unsigned crew_place(uint32_t crew, uint64_t number) {
    return place_among(size_of(crew), detained_of(crew), number);
}

unsigned crew_first_place(uint64_t number) {
    return place_among(total, detained_of(crew_now()), number);
}

bool crew_detain(unsigned worker) {
    uint32_t before = atomic_load(&word), after;
    do {
        after = before | bit_of(worker);
        if (detained_of(after) == (1u << total) - 1) return false;
    } while (!atomic_compare_exchange_weak(&word, &before, after));
    return true;
}

void crew_release(unsigned worker) {
    atomic_fetch_and(&word, ~bit_of(worker));
}

static void resize(unsigned size) {
    uint32_t before = atomic_load(&word), after;
    do
        after = (before & ~((1u << SIZE_BITS) - 1)) | size;
    while (!atomic_compare_exchange_weak(&word, &before, after));
    calm = crowded = 0;
}

// Twice as many, as far as there are workers, and cores for them.
static unsigned grown(unsigned size, double idle) {
    unsigned cores = (unsigned)(idle + 1 - CORE_FREE), more = size < cores ? size : cores;
    return size + more < total ? size + more : total;
}

static bool wants_help(const struct crew_period *period, unsigned size) {
    return size < total && period->awake > BUSY * size;
}

static bool is_hindered(const struct crew_period *period, unsigned size) {
    return size > 1 && period->waiting > WAITING * period->awake && period->ran < FULL * (size - 1);
}

bool crew_needs_idle(const struct crew_period *period) {
    unsigned size = crew_size();
    return !always_all && (wants_help(period, size) || is_hindered(period, size));
}

void crew_judge(const struct crew_period *period) {
    if (always_all) return;
    unsigned size = crew_size();
    crowded = is_hindered(period, size) && period->idle < NO_CORE_FREE ? crowded + 1 : 0;
    calm = period->awake < CALM * (size - 1) ? calm + 1 : 0;
    if (wants_help(period, size) && period->idle >= CORE_FREE)
        resize(grown(size, period->idle));
    else if (crowded >= CROWDED_PERIODS || calm >= CALM_PERIODS)
        resize(size - 1);
}
