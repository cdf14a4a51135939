// trace: what happened in a run: a hash over every step, and the lines a person would want to read.
//
// The hash covers each delivered message, each action and each fault with its moment: two runs with the same
// hash went the same way. Lines are kept in a ring (the tail is printed when a checker fails) and printed at
// once when asked to. Thread: belongs to its run's thread.
#ifndef SHOAL_SIM_TRACE_H
#define SHOAL_SIM_TRACE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    TRACE_LINE_MAX = 200,  // bytes of a line, the rest is cut
    TRACE_TAIL_MAX = 4096, // lines kept
};

struct trace {
    uint64_t hash;
    uint64_t lines; // written so far; the last TRACE_TAIL_MAX are in `tail`
    char (*tail)[TRACE_LINE_MAX];
    FILE *echo; // where lines go at once, or NULL
};

void trace_init(struct trace *trace, FILE *echo);
void trace_free(struct trace *trace);

// Folds a word into the hash.
static inline void trace_mix(struct trace *trace, uint64_t word) {
    uint64_t h = (trace->hash ^ word) * 0x9e3779b97f4a7c15u;
    trace->hash = h ^ h >> 29;
}

// Adds a line, `time` in virtual microseconds; its text counts in the hash too.
void trace_line(struct trace *trace, uint64_t time, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Prints a line that is worth reading only where all is printed: it counts in no hash and no tail.
void trace_whisper(const struct trace *trace, uint64_t time, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Prints the last `count` lines.
void trace_print_tail(const struct trace *trace, FILE *to, uint64_t count);

#endif
