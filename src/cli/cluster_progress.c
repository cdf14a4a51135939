#include "cli/cluster_progress.h"

#include <stdio.h>

#include "base/memory.h"
#include "cli/cluster_json.h"

enum { DETAIL_ROOM = 64 };

// The keys that are to move, source by source; what a source does not tell is not counted.
static uint64_t count_keys(const struct slot_move *moves, size_t count) {
    uint16_t *slots = mem_calloc(count + 1, sizeof *slots);
    size_t *keys = mem_calloc(count + 1, sizeof *keys);
    uint64_t sum = 0;
    for (size_t at = 0, n; at < count; at += n) {
        for (n = 0; at + n < count && moves[at + n].source == moves[at].source; n++)
            slots[at + n] = moves[at + n].slot;
        cluster_node_add_keys(moves[at].source, slots + at, n, keys + at);
    }
    for (size_t i = 0; i < count; i++)
        sum += keys[i];
    mem_free(slots);
    mem_free(keys);
    return sum;
}

void progress_begin(struct progress_display *display, enum progress_style style,
                    const struct slot_move *moves, size_t count, const struct cluster_node *target) {
    *display = (struct progress_display){.target = target, .style = style, .slots_total = count};
    bar_begin(&display->bar, "keys", 0);
    if (display->bar.drawn || cluster_json_is_on()) display->bar.total = count_keys(moves, count);
}

static void show(struct progress_display *display, const struct move_progress *progress, bool always) {
    char detail[DETAIL_ROOM];
    double share = display->bar.total ? (double)progress->keys_moved / (double)display->bar.total
                                      : (double)progress->slots_moved / (double)display->slots_total;
    snprintf(detail, sizeof detail, "slot %zu/%zu", progress->slots_moved, display->slots_total);
    bar_show(&display->bar, share, progress->keys_moved, detail, always);
}

static void send_slot(const struct progress_display *display, const struct slot_move *move, uint64_t keys) {
    cJSON *event = cluster_json_begin("slot");
    cJSON_AddNumberToObject(event, "slot", move->slot);
    cJSON_AddStringToObject(event, "from", move->source->id);
    cJSON_AddStringToObject(event, "to", display->target->id);
    cJSON_AddNumberToObject(event, "keys", (double)keys);
    cluster_json_send(event);
}

static void print_line(const struct progress_display *display, const struct slot_move *move, uint64_t keys) {
    printf("Moving slot %u from %s:%u to %s:%u: ", move->slot, move->source->host, move->source->port,
           display->target->host, display->target->port);
    for (uint64_t key = 0; key < keys; key++)
        putchar('.');
    putchar('\n');
}

void progress_note(void *context, const struct move_progress *progress, const struct slot_move *finished,
                   const uint64_t *keys, size_t count) {
    struct progress_display *display = context;
    for (size_t i = 0; i < count; i++) {
        send_slot(display, &finished[i], keys[i]);
        if (display->bar.drawn) continue;
        if (display->style == PROGRESS_MARKS)
            putchar('#');
        else
            print_line(display, &finished[i], keys[i]);
    }
    if (count) fflush(stdout);
    show(display, progress, false);
}

void progress_end(struct progress_display *display, const struct move_progress *progress) {
    if (!display->slots_total) return;
    show(display, progress, true);
    double rate = bar_rate(&display->bar, progress->keys_moved), seconds = bar_end(&display->bar);
    if (!display->bar.drawn) return;
    printf("Moved %zu slots with %llu keys in %.1f s (%.0f keys/s).\n", progress->slots_moved,
           (unsigned long long)progress->keys_moved, seconds, rate);
}
