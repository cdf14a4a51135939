#include <editline/readline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/words.h"
#include "cli/command_help.h"
#include "cli/history_file.h"
#include "cli/modes.h"
#include "os/clock.h"

enum { SLOW_MS = 500, COMPLETED_MAX = 256 };

// libedit's completion takes no context of ours.
static struct client *completing_client;

// One completion after the other, as libedit asks for them.
static char *next_completion(const char *text, int state) {
    static char **matches;
    static size_t at;
    if (state == 0) {
        mem_free(matches); // its strings went to libedit
        int start = rl_point - (int)strlen(text);
        char prefix[COMPLETED_MAX];
        snprintf(prefix, sizeof prefix, "%.*s%s", start > 0 ? start : 0, rl_line_buffer, text);
        const char *topic = strncasecmp(prefix, "help ", 5) == 0 ? prefix + 5 : prefix;
        matches = command_help_complete(completing_client, topic);
        at = 0;
    }
    if (!matches[at]) return NULL;
    char *match = matches[at++];
    const char *space = strrchr(match, ' ');
    char *answer =
        strdup(space ? space + 1 : match); // libedit frees it, so it comes from the C library's heap
    mem_free(match);
    return answer;
}

static char **complete(const char *text, int start, int end) {
    (void)start, (void)end;
    rl_attempted_completion_over = 1; // no file names
    return rl_completion_matches(text, next_completion);
}

// Passwords do not belong in the history.
static bool is_secret(const struct words *words) {
    if (words->count == 0) return false;
    if (bytes_is(words->items[0], "auth")) return true;
    for (size_t i = 1; i < words->count; i++) {
        struct bytes word = words->items[i];
        if (bytes_is(words->items[0], "acl") && bytes_is(word, "setuser")) return true;
        if (bytes_is(words->items[0], "config") &&
            (bytes_is(word, "requirepass") || bytes_is(word, "masterauth") || bytes_is(word, "masteruser") ||
             bytes_is(word, "tls-key-file-pass") || bytes_is(word, "tls-client-key-file-pass")))
            return true;
        if ((bytes_is(words->items[0], "hello") || bytes_is(words->items[0], "migrate")) &&
            (bytes_is(word, "auth") || bytes_is(word, "auth2")))
            return true;
    }
    return false;
}

// What the prompt itself understands. True when the line was one of these; *quit when it ends the session.
static bool run_builtin(struct client *client, const struct words *words, bool *quit) {
    const struct bytes *word = words->items;
    if (bytes_is(word[0], "quit") || bytes_is(word[0], "exit")) {
        *quit = true;
        return true;
    }
    if (bytes_is(word[0], "connect") && words->count == 3) {
        client_move(client, word[1].data, (uint16_t)atoi(word[2].data));
        return true;
    }
    if (bytes_is(word[0], "clear") && words->count == 1) {
        fputs("\x1b[H\x1b[2J", stdout);
        return true;
    }
    if (word[0].data[0] == ':') return true; // redis-cli's preferences; there are none here
    return false;
}

// "3 ping": how many times; 1 without a number, 0 when the number is bad. *skip: words that it takes.
static int64_t repeat_of(const struct words *words, size_t *skip) {
    char *end;
    *skip = 0;
    if (words->count < 2) return 1;
    long long repeat = strtoll(words->items[0].data, &end, 10);
    if (*end || end == words->items[0].data) return 1;
    *skip = 1;
    if (repeat <= 0) {
        printf("Invalid redis-cli repeat command option value.\n");
        return 0;
    }
    return repeat;
}

// Executes one line; false when the session is over.
static bool run_line(struct client *client, const struct options *options, const struct words *words) {
    bool quit = false;
    if (words->count == 0) return true;
    if (run_builtin(client, words, &quit)) return !quit;
    size_t skip;
    int64_t repeat = repeat_of(words, &skip);
    if (repeat == 0) return true;
    int64_t started = clock_mono_ms();
    client_execute(client, words->items + skip, words->count - skip, repeat);
    int64_t elapsed = clock_mono_ms() - started;
    if (elapsed >= SLOW_MS && options->style.format == OUTPUT_FORMATTED)
        printf("(%.2fs)\n", (double)elapsed / 1000);
    fflush(stdout);
    return true;
}

static bool split(const char *line, struct words *words) {
    if (words_split(bytes_from_string(line), words)) return true;
    printf("Invalid argument(s)\n");
    fflush(stdout);
    return false;
}

static void start_line_editor(struct client *client) {
    completing_client = client;
    rl_readline_name = "shoal-cli";
    rl_catch_signals = 1;
    rl_attempted_completion_function = complete;
    rl_completion_append_character = ' ';
    history_file_load();
}

static void run_in_terminal(struct client *client, const struct options *options) {
    struct words words = WORDS_EMPTY;
    struct buffer prompt = BUFFER_EMPTY;
    start_line_editor(client);
    for (;;) {
        prompt.size = 0;
        client_prompt(client, &prompt);
        char *line = readline(buffer_string(&prompt));
        if (!line) break;
        bool good = split(line, &words);
        if (*line && !is_secret(&words)) history_file_add(line);
        bool more = !good || run_line(client, options, &words);
        free(line);
        if (!more) break;
    }
    buffer_free(&prompt);
    words_free(&words);
}

static void run_lines(struct client *client, const struct options *options) {
    struct words words = WORDS_EMPTY;
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    while ((size = getline(&line, &room, stdin)) >= 0) {
        if (size && line[size - 1] == '\n') line[size - 1] = '\0';
        if (split(line, &words) && !run_line(client, options, &words)) break;
    }
    free(line);
    words_free(&words);
}

int repl_run(struct client *client, const struct options *options) {
    client_connect(client);
    if (isatty(STDIN_FILENO))
        run_in_terminal(client, options);
    else
        run_lines(client, options);
    return 0;
}
