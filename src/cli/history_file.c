#include "cli/history_file.h"

#include <editline/readline.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "os/file.h"

enum { HISTORY_LINES = 1000, HISTORY_FILE_MAX = 16 * 1024 * 1024, PATH_ROOM = 4096 };

static char *last_line;

static bool find_path(char path[PATH_ROOM]) {
    const char *given = getenv("SHOALCLI_HISTFILE");
    const char *home = getenv("HOME");
    if (given)
        snprintf(path, PATH_ROOM, "%s", given);
    else if (home && *home)
        snprintf(path, PATH_ROOM, "%s/.shoalcli_history", home);
    else
        return false;
    return path[0] && strcmp(path, "/dev/null") != 0;
}

// False when the line is the one before again.
static bool note_last(const char *line) {
    if (last_line && strcmp(last_line, line) == 0) return false;
    mem_free(last_line);
    last_line = mem_strdup(line);
    return true;
}

// Where the last HISTORY_LINES lines begin.
static char *skip_old_lines(char *text, size_t size) {
    size_t lines = 0;
    char *at = text + size;
    while (at > text)
        if (*--at == '\n' && at + 1 < text + size && ++lines == HISTORY_LINES) return at + 1;
    return text;
}

void history_file_load(void) {
    char path[PATH_ROOM];
    struct buffer text = BUFFER_EMPTY;
    using_history();
    stifle_history(HISTORY_LINES);
    if (!find_path(path) || file_load(path, HISTORY_FILE_MAX, &text) != 0) return;
    buffer_string(&text);
    char *recent = skip_old_lines(text.data, text.size);
    if ((size_t)(recent - text.data) > text.size / 2) {
        mode_t before = umask(0177);
        file_replace(path, bytes_of(recent, text.size - (size_t)(recent - text.data)));
        umask(before);
    }
    for (char *rest = recent, *line; (line = strsep(&rest, "\n"));)
        if (*line && note_last(line)) add_history(line);
    buffer_free(&text);
}

void history_file_add(const char *line) {
    char path[PATH_ROOM];
    if (!note_last(line)) return;
    add_history(line);
    if (!find_path(path)) return;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return;
    struct buffer text = BUFFER_EMPTY;
    buffer_appendf(&text, "%s\n", line);
    file_write_all(fd, text.data, text.size);
    file_close(fd);
    buffer_free(&text);
}
