#include "bench/options.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"

enum { DEFAULT_PORT = 6379, DEFAULT_CLIENTS = 50, DEFAULT_REQUESTS = 100000, DEFAULT_DATA_SIZE = 3 };

static const char help_text[] =
    "Usage: shoal-benchmark [OPTIONS] [COMMAND ARGS...]\n\n"
    "Options:\n"
    " -h <hostname>      Server hostname (default 127.0.0.1)\n"
    " -p <port>          Server port (default 6379)\n"
    " -s <socket>        Server socket (overrides host and port)\n"
    " -a <password>      Password of the server\n"
    " --user <username>  User for AUTH. Needs -a.\n"
    " -u <uri>           Server as redis://[user:password@]host[:port][/db]\n"
    " -c <clients>       Parallel connections (default 50)\n"
    " -n <requests>      Requests in all (default 100000)\n"
    " -d <size>          Bytes of a value (default 3)\n"
    " --dbnum <db>       SELECT this database (default 0)\n"
    " -3                 Speak RESP3\n"
    " --threads <num>    Spread the connections over threads\n"
    " --cluster          Spread the connections over the primaries of a cluster. A command given on\n"
    "                    the command line must then hold \"{tag}\" in its key. MOVED and ASK, and nodes\n"
    "                    that come and go, are followed.\n"
    " -k <boolean>       1=keep alive 0=reconnect (default 1)\n"
    " -r <keyspacelen>   Put a random number of 12 digits, from 0 to keyspacelen-1, in the place of\n"
    "                    __rand_int__, a new one in every request. The tests use it in their keys.\n"
    "                    Without -r all requests use the same key.\n"
    " -P <numreq>        Pipeline so many requests (default 1, no pipeline)\n"
    " -q                 Quiet: only the requests per second\n"
    " --precision <n>    Accepted as redis-benchmark does; latencies have three decimals\n"
    " --csv              Output as CSV\n"
    " -l                 Loop: run the tests for ever\n"
    " -t <tests>         Run only these tests, separated by commas. Ignored when a command is given.\n"
    " -I                 Idle mode: open the connections and wait\n"
    " -x                 Read the last argument from standard input\n"
    " --seed <num>       Seed of the random numbers, to repeat a run\n"
    " --help             This text\n"
    " --version          The version\n\n"
    "In a command, __rand_int__ stands for a random number (with -r) and __data__ for a value of -d "
    "bytes.\n\n"
    "Tests: ping_inline ping_mbulk set get incr mset run by default; by name also lpush rpush lpop rpop "
    "sadd\n"
    "hset spop zadd zpopmin lrange_100 lrange_300 lrange_500 lrange_600.\n\n"
    "Examples:\n\n"
    " 20 connections, 100 thousand requests:\n"
    "   $ shoal-benchmark -h 192.168.1.1 -p 6379 -n 100000 -c 20\n\n"
    " About a million keys, by SET:\n"
    "   $ shoal-benchmark -t set -n 1000000 -r 100000000 -P 16\n\n"
    " A command of one's own, over a cluster:\n"
    "   $ shoal-benchmark --cluster -r 10000 -n 100000 set 'user:{tag}:__rand_int__' __data__\n";

static void set_defaults(struct options *options) {
    *options = (struct options){.host = "127.0.0.1",
                                .port = DEFAULT_PORT,
                                .clients = DEFAULT_CLIENTS,
                                .requests = DEFAULT_REQUESTS,
                                .data_size = DEFAULT_DATA_SIZE,
                                .keep_alive = true,
                                .keyspace = 1,
                                .pipeline = 1};
}

static bool read_number(const char *text, uint64_t least, uint64_t most, uint64_t *value) {
    return number_parse_unsigned(bytes_from_string(text), value) && *value >= least && *value <= most;
}

// redis://[user:password@]host[:port][/db]. The parts are cut out of a copy that lives as long as the
// process.
static bool read_uri(struct options *options, const char *text) {
    static const char scheme[] = "redis://";
    if (strncmp(text, scheme, sizeof scheme - 1) != 0) return false;
    char *rest = mem_strdup(text + sizeof scheme - 1);
    uint64_t number;
    char *at = strrchr(rest, '@');
    if (at) {
        *at = '\0';
        char *colon = strchr(rest, ':');
        options->password = colon ? colon + 1 : rest;
        if (colon) *colon = '\0';
        if (colon && colon != rest) options->user = rest;
        rest = at + 1;
    }
    char *slash = strchr(rest, '/');
    if (slash) *slash = '\0';
    if (slash && slash[1]) {
        if (!read_number(slash + 1, 0, INT32_MAX, &number)) return false;
        options->database = (unsigned)number;
    }
    char *colon = strrchr(rest, ':');
    if (colon) {
        *colon = '\0';
        if (!read_number(colon + 1, 1, UINT16_MAX, &number)) return false;
        options->port = (uint16_t)number;
    }
    if (*rest) options->host = rest;
    return true;
}

// Options that stand alone.
static bool take_switch(struct options *options, const char *name) {
    if (!strcmp(name, "-3")) return options->resp3 = true;
    if (!strcmp(name, "--cluster")) return options->cluster = true;
    if (!strcmp(name, "-q")) return options->quiet = true;
    if (!strcmp(name, "--csv")) return options->csv = true;
    if (!strcmp(name, "-l")) return options->loop = true;
    if (!strcmp(name, "-I")) return options->idle = true;
    if (!strcmp(name, "-x")) return options->read_last = true;
    if (!strcmp(name, "-e")) {
        fprintf(stderr, "WARNING: -e option has no effect. An error reply ends the run.\n");
        return true;
    }
    return false;
}

struct number_option {
    const char *name;
    uint64_t least;
    uint64_t most;
};

static const struct number_option number_options[] = {
    {"-p", 1, UINT16_MAX},      {"-c", 1, OPTION_CLIENTS_MAX}, {"-n", 1, INT64_MAX},
    {"-d", 1, OPTION_DATA_MAX}, {"--dbnum", 0, INT32_MAX},     {"--threads", 1, OPTION_THREADS_MAX},
    {"-k", 0, INT32_MAX},       {"-r", 0, INT64_MAX},          {"-P", 1, OPTION_PIPELINE_MAX},
    {"--precision", 0, 9},      {"--seed", 0, UINT64_MAX},
};

static void store_number(struct options *options, const char *name, uint64_t value) {
    if (!strcmp(name, "-p")) options->port = (uint16_t)value;
    if (!strcmp(name, "-c")) options->clients = (unsigned)value;
    if (!strcmp(name, "-n")) options->requests = value;
    if (!strcmp(name, "-d")) options->data_size = value;
    if (!strcmp(name, "--dbnum")) options->database = (unsigned)value;
    if (!strcmp(name, "--threads")) options->threads = (unsigned)value;
    if (!strcmp(name, "-k")) options->keep_alive = value != 0;
    if (!strcmp(name, "-P")) options->pipeline = (unsigned)value;
    if (!strcmp(name, "-r")) {
        options->random = true;
        options->keyspace = value ? value : 1;
    }
    if (!strcmp(name, "--seed")) {
        options->seeded = true;
        options->seed = value;
    }
}

enum taken { NOT_MINE, TAKEN, BAD_VALUE };

// Options that a value follows.
static enum taken take_value(struct options *options, const char *name, const char *value) {
    for (size_t i = 0; i < sizeof number_options / sizeof *number_options; i++) {
        const struct number_option *option = &number_options[i];
        uint64_t number;
        if (strcmp(name, option->name) != 0) continue;
        if (!read_number(value, option->least, option->most, &number)) return BAD_VALUE;
        store_number(options, name, number);
        return TAKEN;
    }
    if (!strcmp(name, "-u")) return read_uri(options, value) ? TAKEN : BAD_VALUE;
    const char **where = !strcmp(name, "-h")       ? &options->host
                         : !strcmp(name, "-s")     ? &options->socket
                         : !strcmp(name, "-a")     ? &options->password
                         : !strcmp(name, "--user") ? &options->user
                         : !strcmp(name, "-t")     ? &options->tests
                                                   : NULL;
    if (!where) return NOT_MINE;
    *where = value;
    return TAKEN;
}

static enum options_verdict refuse(const char *name, const char *why) {
    fprintf(stderr, "%s \"%s\"\nTry shoal-benchmark --help\n", why, name);
    return OPTIONS_WRONG;
}

static enum options_verdict check(struct options *options) {
    if (options->user && !options->password) return refuse("--user", "A password (-a) must go with");
    if (options->cluster && options->socket) return refuse("-s", "A cluster has no single socket:");
    if (options->read_last && !options->command_size) return refuse("-x", "No command goes with");
    if (options->threads > options->clients) options->threads = options->clients;
    return OPTIONS_RUN;
}

enum options_verdict options_parse(struct options *options, int argc, char **argv) {
    set_defaults(options);
    int at = 1;
    for (; at < argc && argv[at][0] == '-' && argv[at][1]; at++) {
        const char *name = argv[at];
        if (!strcmp(name, "--help")) {
            fputs(help_text, stdout);
            return OPTIONS_DONE;
        }
        if (!strcmp(name, "--version") || !strcmp(name, "-v")) {
            printf("shoal-benchmark %s\n", SHOAL_VERSION);
            return OPTIONS_DONE;
        }
        if (take_switch(options, name)) continue;
        if (!strncmp(name, "--tls", 5)) return refuse(name, "This build has no TLS: option");
        enum taken taken = at + 1 < argc ? take_value(options, name, argv[at + 1]) : NOT_MINE;
        if (taken == NOT_MINE) return refuse(name, "Invalid option, or its value is missing:");
        if (taken == BAD_VALUE) return refuse(argv[at + 1], "Invalid value of an option:");
        at++;
    }
    options->command = argv + at;
    options->command_size = (size_t)(argc - at);
    return check(options);
}
