#include "cli/cluster_progress.h"

#include <stdio.h>

#include "cli/cluster_json.h"
#include "resp/request.h"

enum { QUESTIONS_IN_FLIGHT = 1000, DETAIL_ROOM = 64 };

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
