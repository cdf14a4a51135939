#include "sim/scenario.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "sim/play.h"

enum { LINES_MAX = 4096 };

struct lines {
    char *items[LINES_MAX];
    size_t count;
};

static bool read_file(const char *path, struct buffer *text) {
    FILE *file = fopen(path, "r");
    if (!file) return false;
    char block[4096];
    size_t got;
    while ((got = fread(block, 1, sizeof block, file)) > 0)
        buffer_append(text, block, got);
    bool ok = !ferror(file);
    fclose(file);
    return ok;
}

// Cuts the text (terminated, changed) into its lines.
static void cut(char *text, struct lines *lines) {
    lines->count = 0;
    while (*text && lines->count < LINES_MAX) {
        char *end = strchr(text, '\n');
        lines->items[lines->count++] = text;
        if (!end) break;
        *end = 0;
        text = end + 1;
    }
}

static int compare_lines(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_order(const char *line) {
    return line[0] == '>';
}

static bool is_transcript(const char *line) {
    return line[0] && line[0] != '>' && line[0] != '#';
}

// What an order printed against what the file says; both sorted, as the order within a moment matters to
// nobody.
static bool compare(const char *order, struct lines *expected, struct lines *got, FILE *report) {
    size_t i = 0, j = 0;
    bool same = true;
    while (i < expected->count || j < got->count) {
        int which = i == expected->count ? 1
                    : j == got->count    ? -1
                                         : strcmp(expected->items[i], got->items[j]);
        if (which && same) fprintf(report, "  %s\n", order);
        if (which) same = false;
        if (which < 0) fprintf(report, "- %s\n", expected->items[i]);
        if (which > 0) fprintf(report, "+ %s\n", got->items[j]);
        i += which <= 0;
        j += which >= 0;
    }
    return same;
}

struct reading {
    struct lines *file;
    struct play *play;
    struct buffer recorded;
    FILE *report;
    bool passed;
};

// Plays the order of line `at` and compares with the lines up to the next order. Returns the line after them.
static size_t play_one(struct reading *reading, size_t at) {
    struct lines *file = reading->file;
    static struct lines expected, got;
    struct buffer output = BUFFER_EMPTY;
    char *order = file->items[at];
    buffer_appendf(&reading->recorded, "%s\n", order);
    play_order(reading->play, order + 1, &output);
    size_t next = at + 1;
    expected.count = 0;
    while (next < file->count && is_transcript(file->items[next]))
        expected.items[expected.count++] = file->items[next++];
    buffer_string(&output);
    cut(output.data, &got);
    qsort(expected.items, expected.count, sizeof *expected.items, compare_lines);
    qsort(got.items, got.count, sizeof *got.items, compare_lines);
    for (size_t i = 0; i < got.count; i++)
        buffer_appendf(&reading->recorded, "%s\n", got.items[i]);
    if (!compare(order, &expected, &got, reading->report)) reading->passed = false;
    buffer_free(&output);
    return next;
}

static bool write_file(const char *path, const struct buffer *text) {
    FILE *file = fopen(path, "w");
    if (!file) return false;
    bool ok = fwrite(text->data, 1, text->size, file) == text->size;
    return fclose(file) == 0 && ok;
}

bool scenario_play(const char *path, const struct options *options, FILE *report) {
    struct buffer text = BUFFER_EMPTY;
    static struct lines file;
    if (!read_file(path, &text)) {
        fprintf(report, "%s: can't be read\n", path);
        buffer_free(&text);
        return false;
    }
    buffer_string(&text);
    cut(text.data, &file);
    struct reading reading = {.file = &file, .report = report, .passed = true};
    reading.play = play_create(options, options->trace ? report : NULL);
    for (size_t at = 0; at < file.count;) {
        if (is_order(file.items[at])) {
            at = play_one(&reading, at);
            continue;
        }
        if (is_transcript(file.items[at])) {
            fprintf(report, "- %s\n", file.items[at]);
            reading.passed = false;
        }
        buffer_appendf(&reading.recorded, "%s\n", file.items[at++]);
    }
    if (play_failed(reading.play, report)) reading.passed = false;
    if (!reading.passed && !options->trace) play_print_trace(reading.play, report);
    play_destroy(reading.play);
    if (options->record) reading.passed = write_file(path, &reading.recorded);
    buffer_free(&reading.recorded);
    buffer_free(&text);
    return reading.passed;
}
