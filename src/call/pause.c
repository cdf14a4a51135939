#include "call/pause.h"

#include <stdatomic.h>

// A pause is one number, so that it is seen whole: its end in milliseconds, shifted left, and whether it
// stops writes only.
enum { WRITES_ONLY = 1 };

static _Atomic int64_t pauses[PAUSE_ASKERS];
static atomic_bool any; // spares the everyday path a walk over the askers

static int64_t end_of(int64_t pause) {
    return pause >> 1;
}

void pause_start(enum pause_asker asker, int64_t mono_ms, int64_t until_ms, bool writes_only) {
    int64_t old = atomic_load_explicit(&pauses[asker], memory_order_relaxed);
    int64_t wanted;
    do {
        bool runs = end_of(old) > mono_ms;
        bool loose = writes_only && !(runs && !(old & WRITES_ONLY));
        int64_t end = runs && end_of(old) > until_ms ? end_of(old) : until_ms;
        wanted = end << 1 | (loose ? WRITES_ONLY : 0);
    } while (!atomic_compare_exchange_weak(&pauses[asker], &old, wanted));
    atomic_store(&any, true);
}

void pause_end(enum pause_asker asker) {
    atomic_store(&pauses[asker], 0);
}

int64_t pause_until(int64_t mono_ms, bool is_write) {
    if (!atomic_load_explicit(&any, memory_order_relaxed)) return 0;
    int64_t until = 0;
    for (int i = 0; i < PAUSE_ASKERS; i++) {
        int64_t pause = atomic_load(&pauses[i]);
        if ((pause & WRITES_ONLY) && !is_write) continue;
        if (end_of(pause) > mono_ms && end_of(pause) > until) until = end_of(pause);
    }
    return until;
}

bool pause_applies(int64_t mono_ms, bool is_write) {
    return pause_until(mono_ms, is_write) != 0;
}
