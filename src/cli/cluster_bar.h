// cluster_bar: the line that shows on a terminal how far a long run is, with its rate and the time left; and
// the same as an event of --json. Belongs to the main thread.
#ifndef SHOAL_CLI_CLUSTER_BAR_H
#define SHOAL_CLI_CLUSTER_BAR_H

#include <stdbool.h>
#include <stdint.h>

struct bar {
    bool drawn; // standard output is a terminal
    const char *unit;
    uint64_t total; // 0: not known
    int64_t started_ms, shown_ms;
};

// `unit`: of what the run handles `total`, in the plural ("keys", "bytes").
void bar_begin(struct bar *bar, const char *unit, uint64_t total);

// `share` of the work, 0 to 1, is done; `done` of the unit. `detail`: what else the line says ("slot 3/10"),
// may be empty. Draws at most every tenth of a second unless `always`.
void bar_show(struct bar *bar, double share, uint64_t done, const char *detail, bool always);

// Units a second since the beginning.
double bar_rate(const struct bar *bar, uint64_t done);

// Leaves the line behind. Seconds since the beginning.
double bar_end(struct bar *bar);

#endif
