#include "sim/trace.h"

#include <inttypes.h>
#include <string.h>

#include "base/memory.h"

void trace_init(struct trace *trace, FILE *echo) {
    *trace = (struct trace){.hash = 0x5348, .echo = echo};
    trace->tail = mem_alloc(TRACE_TAIL_MAX * sizeof *trace->tail);
}

void trace_free(struct trace *trace) {
    mem_free(trace->tail);
    *trace = (struct trace){0};
}

static void mix_text(struct trace *trace, const char *text, size_t size) {
    uint64_t word = 0;
    for (; size >= sizeof word; text += sizeof word, size -= sizeof word) {
        memcpy(&word, text, sizeof word);
        trace_mix(trace, word);
    }
    word = 0;
    memcpy(&word, text, size);
    trace_mix(trace, word ^ size << 56);
}

void trace_line(struct trace *trace, uint64_t time, const char *format, ...) {
    char *line = trace->tail[trace->lines++ % TRACE_TAIL_MAX];
    uint64_t ms = time / 1000;
    int used = snprintf(line, TRACE_LINE_MAX, "%6" PRIu64 ".%03" PRIu64 "%03" PRIu64 "  ", ms / 1000,
                        ms % 1000, time % 1000);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + used, TRACE_LINE_MAX - (size_t)used, format, arguments);
    va_end(arguments);
    mix_text(trace, line, strlen(line));
    if (trace->echo) fprintf(trace->echo, "%s\n", line);
}

void trace_whisper(const struct trace *trace, uint64_t time, const char *format, ...) {
    if (!trace->echo) return;
    fprintf(trace->echo, "%6" PRIu64 ".%06" PRIu64 "  ", time / 1000000, time % 1000000);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(trace->echo, format, arguments);
    va_end(arguments);
    fputc('\n', trace->echo);
}

void trace_print_tail(const struct trace *trace, FILE *to, uint64_t count) {
    if (count > TRACE_TAIL_MAX) count = TRACE_TAIL_MAX;
    if (count > trace->lines) count = trace->lines;
    for (uint64_t i = trace->lines - count; i < trace->lines; i++)
        fprintf(to, "%s\n", trace->tail[i % TRACE_TAIL_MAX]);
}
