// stall: tells a server whose workers stand still from one that is busy. Pure: told how far the workers have
// come, it remembers since when that has not changed. Thread: its owner's.
#ifndef SHOAL_BUS_STALL_H
#define SHOAL_BUS_STALL_H

#include <stdbool.h>
#include <stdint.h>

// A pause of whoever looks that is longer than this is a sleep of the whole process, and counts for nothing.
enum { STALL_SLEEP_MS = 1000 };

// All zero at first.
struct stall_watch {
    uint64_t progress;  // as it was last seen
    uint64_t since_ms;  // since when it is so while work waits
    uint64_t looked_ms; // when it was looked at last
    bool stalled;       // the verdict
};

// Looks once more, at `now_ms` (monotonic, never going back): the workers have come as far as `progress` says
// and are `at_work` or wait for something to do. They stand still when they have been at work for
// `timeout_ms` without getting on. True: the verdict has changed.
bool stall_look(struct stall_watch *watch, uint64_t now_ms, uint64_t progress, bool at_work,
                uint64_t timeout_ms);

#endif
