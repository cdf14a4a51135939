#include "call/gate.h"

#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"
#include "os/thread.h"

// A reader's word counts its passes: odd while it is inside, even while it is out. Whoever is exclusive has one, too: it is
// no reader meanwhile, but looks at the same things.
struct reader {
    _Atomic uint64_t turns;
    char pad[56]; // a cache line each
};

struct gate {
    struct monitor monitor; // for those who wait; the fast paths never enter it
    atomic_bool closed;     // somebody is exclusive, or waits to be
    bool taken;             // guarded by the monitor
    unsigned readers;
    struct reader exclusive;
    struct reader reader[GATE_READERS_MAX];
};

struct gate *gate_create(unsigned readers) {
    struct gate *gate = mem_aligned_alloc(64, sizeof *gate);
    memset(gate, 0, sizeof *gate);
    monitor_init(&gate->monitor);
    gate->readers = readers;
    return gate;
}

void gate_destroy(struct gate *gate) {
    monitor_destroy(&gate->monitor);
    mem_free(gate);
}

// Going in: the word becomes odd, then `closed` is looked at. Closing: `closed` is set, then the words are looked at.
// Both in sequentially consistent order, so at least one of the two sees the other.
void gate_enter(struct gate *gate, unsigned reader) {
    for (;;) {
        atomic_fetch_add(&gate->reader[reader].turns, 1);
        if (__builtin_expect(!atomic_load(&gate->closed), 1)) return;
        gate_leave(gate, reader);
        monitor_enter(&gate->monitor);
        while (gate->taken)
            monitor_wait(&gate->monitor, -1);
        monitor_leave(&gate->monitor);
    }
}

void gate_leave(struct gate *gate, unsigned reader) {
    atomic_fetch_add(&gate->reader[reader].turns, 1);
    if (__builtin_expect(!atomic_load(&gate->closed), 1)) return;
    monitor_enter(&gate->monitor);
    monitor_notify(&gate->monitor);
    monitor_leave(&gate->monitor);
}

bool gate_make_way(struct gate *gate, unsigned reader) {
    if (__builtin_expect(!atomic_load_explicit(&gate->closed, memory_order_relaxed), 1)) return false;
    gate_leave(gate, reader);
    gate_enter(gate, reader);
    return true;
}

static bool anybody_inside(struct gate *gate) {
    for (unsigned i = 0; i < gate->readers; i++)
        if (atomic_load(&gate->reader[i].turns) & 1) return true;
    return false;
}

void gate_close(struct gate *gate, int reader) {
    if (reader != GATE_NO_READER) gate_leave(gate, (unsigned)reader);
    monitor_enter(&gate->monitor);
    while (gate->taken)
        monitor_wait(&gate->monitor, -1);
    gate->taken = true;
    atomic_store(&gate->closed, true);
    while (anybody_inside(gate))
        monitor_wait(&gate->monitor, -1);
    atomic_fetch_add(&gate->exclusive.turns, 1);
    monitor_leave(&gate->monitor);
}

void gate_open(struct gate *gate, int reader) {
    monitor_enter(&gate->monitor);
    atomic_fetch_add(&gate->exclusive.turns, 1);
    gate->taken = false;
    atomic_store(&gate->closed, false);
    monitor_notify(&gate->monitor);
    monitor_leave(&gate->monitor);
    if (reader != GATE_NO_READER) gate_enter(gate, (unsigned)reader);
}

void gate_mark(struct gate *gate, struct gate_mark *mark) {
    for (unsigned i = 0; i < gate->readers; i++)
        mark->turns[i] = atomic_load(&gate->reader[i].turns);
    mark->exclusive = atomic_load(&gate->exclusive.turns);
}

static bool has_been_out(const struct reader *reader, uint64_t marked) {
    return !(marked & 1) || atomic_load(&reader->turns) != marked;
}

bool gate_passed(struct gate *gate, const struct gate_mark *mark) {
    for (unsigned i = 0; i < gate->readers; i++)
        if (!has_been_out(&gate->reader[i], mark->turns[i])) return false;
    return has_been_out(&gate->exclusive, mark->exclusive);
}

uint64_t gate_turns(struct gate *gate, unsigned reader) {
    return atomic_load_explicit(&gate->reader[reader].turns, memory_order_relaxed) / 2;
}
