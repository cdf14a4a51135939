#include "cli/cluster_bar.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/cluster_json.h"
#include "os/clock.h"

enum { BAR_WIDTH = 30, SHOW_EVERY_MS = 100 };

void bar_begin(struct bar *bar, const char *unit, uint64_t total) {
    *bar = (struct bar){.drawn = isatty(STDOUT_FILENO), .unit = unit, .total = total};
    bar->started_ms = clock_mono_ms();
}

double bar_rate(const struct bar *bar, uint64_t done) {
    int64_t elapsed = clock_mono_ms() - bar->started_ms;
    return (double)done * 1000 / (double)(elapsed ? elapsed : 1);
}

// Seconds, at the pace so far; below 0 while there is none.
static double seconds_left(const struct bar *bar, double share) {
    if (share <= 0) return -1;
    return (double)(clock_mono_ms() - bar->started_ms) * (1 - share) / share / 1000;
}

static void draw(const struct bar *bar, double share, uint64_t done, const char *detail) {
    int filled = (int)(share * BAR_WIDTH);
    printf("\r[");
    for (int i = 0; i < BAR_WIDTH; i++)
        putchar(i < filled ? '#' : '.');
    printf("] %3d%%  ", (int)(share * 100));
    if (*detail) printf("%s  ", detail);
    printf("%llu %s  %.0f %s/s", (unsigned long long)done, bar->unit, bar_rate(bar, done), bar->unit);
    double left = seconds_left(bar, share);
    if (left >= 0) {
        long long seconds = (long long)(left + 0.5);
        printf("  %lld:%02lld left", seconds / 60, seconds % 60);
    }
    printf("\x1b[K");
    fflush(stdout);
}

static void send(const struct bar *bar, double share, uint64_t done) {
    cJSON *event = cluster_json_begin("progress");
    double left = seconds_left(bar, share);
    cJSON_AddNumberToObject(event, "share", share);
    cJSON_AddNumberToObject(event, bar->unit, (double)done);
    cJSON_AddNumberToObject(event, "per_second", bar_rate(bar, done));
    if (left >= 0) cJSON_AddNumberToObject(event, "seconds_left", left);
    cluster_json_send(event);
}

void bar_show(struct bar *bar, double share, uint64_t done, const char *detail, bool always) {
    if (!bar->drawn && !cluster_json_is_on()) return;
    int64_t now = clock_mono_ms();
    if (!always && now - bar->shown_ms < SHOW_EVERY_MS) return;
    bar->shown_ms = now;
    if (share > 1) share = 1;
    if (bar->drawn) draw(bar, share, done, detail);
    send(bar, share, done);
}

double bar_end(struct bar *bar) {
    if (bar->drawn) putchar('\n');
    return (double)(clock_mono_ms() - bar->started_ms) / 1000;
}
