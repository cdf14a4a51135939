#include "server/config.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/words.h"
#include "call/command.h"
#include "commands/version.h"
#include "os/cores.h"
#include "os/file.h"
#include "os/memory_use.h"
#include "server/directive.h"
#include "server/worker.h"

struct config config;

// --- Reading lines.

// Where a line comes from, for the error.
struct origin {
    const char *file; // NULL: the command line
    unsigned line;
    unsigned depth;
};

// Which directives the file (or the command line) has named so far: lines of DIRECTIVE_ADDS add up.
static bool *named;

static void say_fatal(const struct origin *origin, struct bytes line, const char *reason) {
    fprintf(stderr, "\n*** FATAL CONFIG FILE ERROR (Shoal %s, Redis %s) ***\n", SHOAL_VERSION, REDIS_VERSION);
    if (origin->file)
        fprintf(stderr, "Reading the configuration file '%s', at line %u\n", origin->file, origin->line);
    else
        fprintf(stderr, "Reading the options of the command line\n");
    fprintf(stderr, ">>> '%.*s'\n%s\n", (int)line.size, line.data, reason);
}

static bool read_file(const char *path, unsigned depth);

// include takes a path, or a pattern of paths that may match none.
static bool include(const struct origin *origin, struct bytes line, const char *path) {
    if (origin->depth >= INCLUDES_DEEP) {
        say_fatal(origin, line, "Too many files include each other");
        return false;
    }
    if (!strpbrk(path, "*?[")) return read_file(path, origin->depth + 1);
    glob_t found;
    bool fine = true;
    if (glob(path, 0, NULL, &found) == 0)
        for (size_t i = 0; fine && i < found.gl_pathc; i++)
            fine = read_file(found.gl_pathv[i], origin->depth + 1);
    globfree(&found);
    return fine;
}

// Directives of things that are not here at all, whatever their value.
static const char *refused_feature(struct bytes name) {
    if (bytes_is(name, "loadmodule")) return "this version of Shoal has no modules";
    if (bytes_is(name, "user")) return "this version of Shoal has no ACL users";
    return NULL;
}

// Directives of old files, which mean nothing to Redis 7 either.
static bool is_obsolete(struct bytes name) {
    return bytes_is(name, "list-max-ziplist-entries") || bytes_is(name, "list-max-ziplist-value") ||
           bytes_is(name, "lua-replicate-commands");
}

static bool rename_command(const struct origin *origin, struct bytes line, const struct bytes *words) {
    const char *reason = NULL;
    switch (command_rename(words[1], words[2])) {
    case COMMAND_RENAMED: return true;
    case COMMAND_UNKNOWN: reason = "No such command in rename-command"; break;
    case COMMAND_NAME_TAKEN: reason = "Target command name already exists"; break;
    case COMMAND_NAME_TOO_LONG: reason = "Target command name is too long"; break;
    }
    say_fatal(origin, line, reason);
    return false;
}

static bool take(const struct origin *origin, struct bytes line, const struct bytes *words, unsigned count) {
    if (bytes_is(words[0], "include") && count == 2) return include(origin, line, words[1].data);
    if (bytes_is(words[0], "rename-command") && count == 3) return rename_command(origin, line, words);
    if (is_obsolete(words[0]) && count == 2) return true;
    const char *refused = refused_feature(words[0]);
    const struct directive *directive = directive_find(words[0]);
    if (refused || !directive) {
        say_fatal(origin, line, refused ? refused : "Bad directive or wrong number of arguments");
        return false;
    }
    struct buffer error = BUFFER_EMPTY;
    bool *again = &named[directive - directives];
    bool fine = directive_set(directive, words + 1, count - 1, *again, &error);
    *again = true;
    if (!fine) say_fatal(origin, line, buffer_string(&error));
    buffer_free(&error);
    return fine;
}

static struct bytes trimmed(struct bytes line) {
    while (line.size && strchr(" \t\r\n", line.data[line.size - 1]))
        line.size--;
    while (line.size && strchr(" \t\r\n", line.data[0])) {
        line.data++;
        line.size--;
    }
    return line;
}

static bool read_lines(struct bytes text, const char *file, unsigned depth) {
    struct origin origin = {file, 0, depth};
    struct words words = WORDS_EMPTY;
    bool fine = true;
    while (fine && text.size) {
        const char *end = memchr(text.data, '\n', text.size);
        size_t size = end ? (size_t)(end - text.data) : text.size;
        struct bytes line = trimmed((struct bytes){text.data, size});
        text.data += end ? size + 1 : size;
        text.size -= end ? size + 1 : size;
        origin.line++;
        if (line.size == 0 || line.data[0] == '#') continue;
        fine = words_split(line, &words);
        if (!fine)
            say_fatal(&origin, line, "Unbalanced quotes in configuration line");
        else if (words.count)
            fine = take(&origin, line, words.items, (unsigned)words.count);
    }
    words_free(&words);
    return fine;
}

static bool read_file(const char *path, unsigned depth) {
    struct buffer text = BUFFER_EMPTY;
    int error = file_load(path, CONFIG_FILE_MAX, &text);
    if (error) {
        log_write(LOG_WARNING, "Fatal error, can't open config file '%s': %s", path, strerror(-error));
        buffer_free(&text);
        return false;
    }
    bool fine = read_lines(buffer_bytes(&text), path, depth);
    buffer_free(&text);
    return fine;
}

static bool read_standard_input(void) {
    struct buffer text = BUFFER_EMPTY;
    char chunk[4096];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, stdin)) > 0 && text.size < CONFIG_FILE_MAX)
        buffer_append(&text, chunk, got);
    bool fine = read_lines(buffer_bytes(&text), "standard input", 0);
    buffer_free(&text);
    return fine;
}

// --- The command line.

static void print_version(void) {
    printf("Shoal server v=%s redis=%s malloc=%s bits=%zu\n", SHOAL_VERSION, REDIS_VERSION,
           memory_use_allocator_name(), sizeof(void *) * 8);
}

static void print_usage(void) {
    printf("Usage: shoal-server [/path/to/redis.conf] [options] [-]\n"
           "       shoal-server - (read config from stdin)\n"
           "       shoal-server -v or --version\n"
           "       shoal-server -h or --help\n\n"
           "Examples:\n"
           "       shoal-server (run the server with default conf)\n"
           "       echo 'maxmemory 128mb' | shoal-server -\n"
           "       shoal-server /etc/shoal/6379.conf\n"
           "       shoal-server --port 7777\n"
           "       shoal-server --port 7777 --replicaof 127.0.0.1 8888\n"
           "       shoal-server /etc/shoal/6379.conf --loglevel verbose -\n"
           "       shoal-server --port 7000 --cluster-enabled yes\n");
}

// One option, argv[at] and the values after it, up to the next word with two dashes. Returns where that is, 0: failed.
static int take_option(int argc, char **argv, int at) {
    struct words words = WORDS_EMPTY;
    struct buffer line = BUFFER_EMPTY;
    buffer_append_string(&line, argv[at] + 2);
    const struct directive *directive = directive_find(bytes_from_string(argv[at] + 2));
    int next = at + 1;
    for (; next < argc && (strncmp(argv[next], "--", 2) != 0 || next == at + 1); next++) {
        if (next == argc - 1 && strcmp(argv[next], "-") == 0) break;
        if (next == at + 1 && strncmp(argv[next], "--", 2) == 0 && directive_find(bytes_from_string(argv[next] + 2))) break;
        buffer_append_byte(&line, ' ');
        bool splits = directive && directive->flags & DIRECTIVE_WORDS && argv[next][0];
        if (splits)
            buffer_append_string(&line, argv[next]);
        else
            words_quote(&line, bytes_from_string(argv[next]));
    }
    // `--save` alone turns it off.
    if (next == at + 1 && directive && strcmp(directive->name, "save") == 0) buffer_append_string(&line, " \"\"");
    struct origin origin = {NULL, 0, 0};
    bool fine = words_split(buffer_bytes(&line), &words);
    if (!fine)
        say_fatal(&origin, buffer_bytes(&line), "Unbalanced quotes in configuration line");
    else
        fine = take(&origin, buffer_bytes(&line), words.items, (unsigned)words.count);
    words_free(&words);
    buffer_free(&line);
    return fine ? next : 0;
}

static bool take_options(int argc, char **argv, int from) {
    memset(named, 0, directive_count() * sizeof *named);
    for (int at = from; at < argc;) {
        if (strcmp(argv[at], "-") == 0) {
            if (!read_standard_input()) return false;
            at++;
            continue;
        }
        if (strncmp(argv[at], "--", 2) != 0 || !argv[at][2]) {
            say_fatal(&(struct origin){NULL, 0, 0}, bytes_from_string(argv[at]),
                      "Bad directive or wrong number of arguments");
            return false;
        }
        at = take_option(argc, argv, at);
        if (!at) return false;
    }
    return true;
}

static char *absolute_path(const char *path) {
    if (path[0] == '/') return mem_strdup(path);
    char *folder = getcwd(NULL, 0);
    struct buffer whole = BUFFER_EMPTY;
    buffer_appendf(&whole, "%s/%s", folder ? folder : ".", path);
    char *result = mem_strdup(buffer_string(&whole));
    buffer_free(&whole);
    free(folder);
    return result;
}

// As many workers as there are cores, unless somebody says how many.
static void choose_threads(void) {
    unsigned cores = cores_usable();
    config.threads = cores < WORKERS_MAX ? cores : WORKERS_MAX;
}

enum config_start config_start(int argc, char **argv) {
    if (argc == 2 && (!strcmp(argv[1], "-v") || !strcmp(argv[1], "--version"))) {
        print_version();
        return CONFIG_EXIT_OK;
    }
    if (argc == 2 && (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help"))) {
        print_usage();
        return CONFIG_EXIT_OK;
    }
    directives_init();
    choose_threads();
    named = mem_calloc(directive_count(), sizeof *named);
    config.executable = absolute_path(argv[0]);
    config.file = mem_strdup("");
    int from = 1;
    bool fine = true;
    if (argc > 1 && strncmp(argv[1], "--", 2) != 0 && strcmp(argv[1], "-") != 0) {
        mem_free(config.file);
        config.file = absolute_path(argv[1]);
        fine = read_file(config.file, 0);
        from = 2;
    }
    fine = fine && take_options(argc, argv, from);
    mem_free(named);
    return fine ? CONFIG_RUN : CONFIG_EXIT_FAILED;
}
