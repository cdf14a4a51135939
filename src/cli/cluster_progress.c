#include "cli/cluster_progress.h"

#include <stdio.h>
#include <unistd.h>

#include "os/clock.h"
#include "resp/request.h"

enum { BAR_WIDTH = 30, SHOW_EVERY_MS = 100, QUESTIONS_IN_FLIGHT = 1000 };

static uint64_t count_keys(const struct slot_move *moves, size_t count) {
    uint64_t keys = 0;
    for (size_t at = 0; at < count;) {
        struct connection *connection = moves[at].source->connection;
        size_t n = 0;
        for (; at + n < count && n < QUESTIONS_IN_FLIGHT && moves[at + n].source->connection == connection;
             n++) {
            struct buffer *queue = connection_queue(connection);
            request_begin(queue, 3);
            request_string(queue, "CLUSTER");
            request_string(queue, "COUNTKEYSINSLOT");
            request_integer(queue, moves[at + n].slot);
        }
        for (size_t i = 0; i < n; i++) {
            const struct reply *reply = connection_read(connection);
            if (!reply) return 0;
            if (reply->type == REPLY_INTEGER) keys += (uint64_t)reply->integer;
        }
        at += n;
    }
    return keys;
}

void progress_begin(struct progress_display *display, const struct slot_move *moves, size_t count,
                    const struct cluster_node *target) {
    *display =
        (struct progress_display){.target = target, .bar = isatty(STDOUT_FILENO), .slots_total = count};
    if (display->bar) display->keys_total = count_keys(moves, count);
    display->started_ms = clock_mono_ms();
}

static double share_done(const struct progress_display *display, const struct move_progress *progress) {
    double share = display->keys_total ? (double)progress->keys_moved / (double)display->keys_total
                                       : (double)progress->slots_moved / (double)display->slots_total;
    return share > 1 ? 1 : share;
}

static double rate(const struct progress_display *display, const struct move_progress *progress) {
    int64_t elapsed = clock_mono_ms() - display->started_ms;
    return (double)progress->keys_moved * 1000 / (double)(elapsed ? elapsed : 1);
}

static void draw(const struct progress_display *display, const struct move_progress *progress) {
    double share = share_done(display, progress);
    int filled = (int)(share * BAR_WIDTH);
    int64_t elapsed = clock_mono_ms() - display->started_ms;
    printf("\r[");
    for (int i = 0; i < BAR_WIDTH; i++)
        putchar(i < filled ? '#' : '.');
    printf("] %3d%%  slot %zu/%zu  %llu keys  %.0f keys/s", (int)(share * 100), progress->slots_moved,
           display->slots_total, (unsigned long long)progress->keys_moved, rate(display, progress));
    if (share > 0) {
        int64_t left = (int64_t)((double)elapsed * (1 - share) / share / 1000 + 0.5);
        printf("  %lld:%02lld left", (long long)(left / 60), (long long)(left % 60));
    }
    printf("\x1b[K");
    fflush(stdout);
}

void progress_note(void *context, const struct move_progress *progress, const struct slot_move *finished,
                   const uint64_t *keys, size_t count) {
    struct progress_display *display = context;
    if (display->bar) {
        int64_t now = clock_mono_ms();
        if (now - display->shown_ms < SHOW_EVERY_MS) return;
        display->shown_ms = now;
        draw(display, progress);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        printf("Moving slot %u from %s:%u to %s:%u: ", finished[i].slot, finished[i].source->host,
               finished[i].source->port, display->target->host, display->target->port);
        for (uint64_t key = 0; key < keys[i]; key++)
            putchar('.');
        putchar('\n');
    }
    if (count) fflush(stdout);
}

void progress_end(struct progress_display *display, const struct move_progress *progress) {
    if (!display->bar) return;
    draw(display, progress);
    printf("\nMoved %zu slots with %llu keys in %.1f s (%.0f keys/s).\n", progress->slots_moved,
           (unsigned long long)progress->keys_moved, (double)(clock_mono_ms() - display->started_ms) / 1000,
           rate(display, progress));
}
