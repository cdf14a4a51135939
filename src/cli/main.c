#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/client.h"
#include "cli/cluster.h"
#include "cli/modes.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "os/file.h"

enum { PASSWORD_ROOM = 1024, STDIN_STEP = 65536 };

static const size_t stdin_argument_max = (size_t)1 << 30;

static void refuse(const char *message) {
    fprintf(stderr, "%s\n", message);
    exit(1);
}

// All of standard input, for -x and -X.
static struct bytes read_stdin(void) {
    struct buffer input = BUFFER_EMPTY; // lives as long as the process
    for (;;) {
        if (!buffer_try_reserve(&input, STDIN_STEP) || input.size > stdin_argument_max)
            refuse("Standard input is too large for an argument");
        ssize_t got = file_read(STDIN_FILENO, input.data + input.size, STDIN_STEP);
        if (got < 0) refuse("Could not read the argument from standard input");
        if (got == 0) return buffer_bytes(&input);
        input.size += (size_t)got;
    }
}

static struct bytes read_quoted(const char *text) {
    struct bytes word;
    if (options_read_quoted(text, &word)) return word;
    printf("Invalid quoted string\n"); // on standard output, as redis-cli says it
    exit(1);
}

// The command that the command line gives; *count of its words are returned on the heap.
static struct bytes *take_command(const struct options *options, size_t *count) {
    struct bytes *command = mem_calloc((size_t)options->argument_count + 1, sizeof *command);
    bool tag_found = false;
    size_t n = 0;
    for (int i = 0; i < options->argument_count; i++, n++) {
        const char *text = options->arguments[i];
        if (options->last_argument == TAGGED_ARGUMENT_STDIN && strcmp(text, options->stdin_tag) == 0) {
            if (tag_found) refuse("Using -X option but stdin tag is not unique.");
            command[n] = read_stdin();
            tag_found = true;
        } else {
            command[n] = options->quoted_input ? read_quoted(text) : bytes_from_string(text);
        }
    }
    if (options->last_argument == TAGGED_ARGUMENT_STDIN && !tag_found)
        refuse("Using -X option but stdin tag not match.");
    if (options->last_argument == LAST_ARGUMENT_STDIN && n) command[n++] = read_stdin();
    *count = n;
    return command;
}

static int run_command(const struct options *options) {
    static struct bytes *command; // lives as long as the process, as do its words
    size_t count;
    command = take_command(options, &count);
    struct client *client = client_create(options, false);
    bool good = client_connect(client) && client_execute(client, command, count, options->repeat);
    client_destroy(client);
    return good ? 0 : 1;
}

static int run_mode(const struct options *options, int (*mode)(struct client *, const struct options *)) {
    struct client *client = client_create(options, false);
    int status = client_connect(client) ? mode(client, options) : 1;
    client_destroy(client);
    return status;
}

static int run_interactive(const struct options *options) {
    struct client *client = client_create(options, true);
    int status = repl_run(client, options);
    client_destroy(client);
    return status;
}

int main(int argc, char **argv) {
    static struct options options; // what they name lives as long as the process
    static char password[PASSWORD_ROOM];
    signal(SIGPIPE, SIG_IGN);
    options_parse(&options, argc, argv);
    if (options.ask_password) {
        if (!terminal_ask_secret("Please input password: ", password, sizeof password)) return 1;
        options.password = password;
    }
    if (options.cluster.command) return cluster_run(&options);
    if (options.pipe) return run_mode(&options, pipe_run);
    if (options.scan) return run_mode(&options, scan_run);
    return options.argument_count ? run_command(&options) : run_interactive(&options);
}
