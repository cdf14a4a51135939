#include "cli/cluster_log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_colours(void) {
    const char *terminal = getenv("TERM");
    return terminal && strcasestr(terminal, "xterm");
}

void cluster_log(enum cluster_tone tone, const char *format, ...) {
    static const char *const colours[] = {"", "\x1b[29;1m", "\x1b[32;1m", "\x1b[33;1m", "\x1b[31;1m"};
    bool coloured = tone != TONE_PLAIN && has_colours();
    va_list arguments;
    if (coloured) fputs(colours[tone], stdout);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    if (coloured) fputs("\x1b[0m", stdout);
    fflush(stdout);
}
