// gather: whether a worker that has nothing to do right now should let a few microseconds' worth of requests gather
// before it looks for them. Each time it falls asleep and is woken costs as much as a request; when it is busy, and far
// more clients are at work than each wake serves, that is spent better on waiting: they are served together, for less.
// A client that is alone, or one of a few, is never made to wait, nor is anybody while the worker is mostly idle.
// Pure; belongs to its worker. Times are in any unit, the same throughout.
#ifndef SHOAL_SERVER_GATHER_H
#define SHOAL_SERVER_GATHER_H

#include <stdbool.h>
#include <stdint.h>

enum {
    GATHER_CLIENTS_TO_SERVED = 8, // so many clients must be at work for each that the last turn served
    GATHER_BUSY_PERCENT = 50,     // and the worker busy for so much of the last window
};

// All zero is a worker that has not been busy. A window is what lies between two calls of gather_next_window.
struct gather {
    uint64_t window_start, idle; // idle: of the time since window_start
    unsigned clients;            // at work in this window so far
    unsigned last_clients;       // and in the last one
    bool last_busy;
    unsigned served; // in this turn
};

// The worker has read from a client, for the first time in this window or not.
static inline void gather_count(struct gather *gather, bool first_in_window) {
    gather->served++;
    gather->clients += first_in_window;
}

// A turn begins at `now`, after the worker waited since `since`.
static inline void gather_begin_turn(struct gather *gather, uint64_t since, uint64_t now) {
    gather->idle += now - since;
    gather->served = 0;
}

// A new window begins at `now`. Called once in about a millisecond, and when a longer wait has ended.
static inline void gather_next_window(struct gather *gather, uint64_t now) {
    uint64_t whole = now - gather->window_start;
    gather->last_busy = (whole - gather->idle) * 100 >= whole * GATHER_BUSY_PERCENT;
    gather->last_clients = gather->clients;
    gather->window_start = now;
    gather->clients = 0;
    gather->idle = 0;
}

// Asked at the end of a turn: does it pay to let requests gather?
static inline bool gather_pays(const struct gather *gather) {
    return gather->last_busy && gather->served && gather->served * GATHER_CLIENTS_TO_SERVED <= gather->last_clients;
}

#endif
