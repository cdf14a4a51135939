// options: the command line of shoal-benchmark, in redis-benchmark's words. Read once at start, then only
// looked at.
#ifndef SHOAL_BENCH_OPTIONS_H
#define SHOAL_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    OPTION_CLIENTS_MAX = 100000,
    OPTION_THREADS_MAX = 500,
    OPTION_PIPELINE_MAX = 100000,
    OPTION_DATA_MAX = 1 << 30,
};

struct options {
    const char *host;
    uint16_t port;
    const char *socket; // path of a Unix socket, or NULL
    const char *user;
    const char *password;
    unsigned clients;
    uint64_t requests;
    size_t data_size; // bytes
    unsigned database;
    bool resp3;
    unsigned threads; // 0: not asked for
    bool cluster;
    bool keep_alive;
    bool random;
    uint64_t keyspace;
    unsigned pipeline;
    bool quiet;
    bool csv;
    bool loop;
    bool idle;
    bool read_last; // -x
    uint64_t seed;
    bool seeded;
    const char *tests; // comma separated, or NULL
    char **command;    // what follows the options
    size_t command_size;
};

enum options_verdict { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_WRONG };

// Reads argv. OPTIONS_DONE: --help or --version was answered. OPTIONS_WRONG: said so on standard error.
enum options_verdict options_parse(struct options *options, int argc, char **argv);

#endif
