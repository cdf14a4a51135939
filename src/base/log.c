#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

enum { LOG_LINE_MAX = 1024 };

static void standard_error_sink(enum log_level level, const char *line) {
    if (level >= LOG_NOTICE) fprintf(stderr, "%s\n", line);
}

static log_sink *sink = standard_error_sink;
static atomic_int threshold = LOG_NOTICE;

void log_set_sink(log_sink *chosen) {
    sink = chosen;
}

void log_set_level(enum log_level level) {
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

void log_write(enum log_level level, const char *format, ...) {
    if ((int)level < atomic_load_explicit(&threshold, memory_order_relaxed)) return;
    char line[LOG_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    sink(level, line);
}

bool log_is_due(int64_t *next, int64_t now, int64_t every) {
    if (now < *next) return false;
    *next = now + every;
    return true;
}
