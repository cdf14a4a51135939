#include "bus/stall.h"

bool stall_look(struct stall_watch *watch, uint64_t now_ms, uint64_t progress, bool at_work,
                uint64_t timeout_ms) {
    bool slept = now_ms - watch->looked_ms > STALL_SLEEP_MS;
    bool gets_on = progress != watch->progress || !at_work;
    watch->looked_ms = now_ms;
    // A sleep begins the count anew, but does not end a stall: only work that is done can.
    if (gets_on || (slept && !watch->stalled)) {
        watch->progress = progress;
        watch->since_ms = now_ms;
    }
    bool stalled = watch->stalled ? !gets_on : now_ms - watch->since_ms >= timeout_ms;
    bool changed = stalled != watch->stalled;
    watch->stalled = stalled;
    return changed;
}
