// shoal-benchmark: measures a server with redis-benchmark's options and output.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/crc16.h"
#include "base/memory.h"
#include "bench/ask.h"
#include "bench/load.h"
#include "bench/options.h"
#include "bench/report.h"
#include "bench/request.h"
#include "bench/routes.h"
#include "bench/tests.h"
#include "os/file.h"
#include "os/random.h"

enum { INPUT_MAX = 512 << 20, READ_SIZE = 64 << 10 };

struct benchmark {
    struct options options;
    struct report report;
    struct server_settings *servers;
    char (*tag_of_slot)[REQUEST_TAG_SIZE]; // in a cluster
    struct buffer data;                    // a value of options.data_size bytes
    uint64_t seed;
};

static void make_data(struct benchmark *benchmark) {
    struct prng prng;
    prng_seed(&prng, benchmark->seed);
    char *at = buffer_extend(&benchmark->data, benchmark->options.data_size);
    for (size_t i = 0; i < benchmark->options.data_size; i++)
        at[i] = (char)('A' + prng_below(&prng, 26));
}

// What CONFIG GET `name` says, "" when the server does not tell.
static bool ask_setting(const struct options *options, const char *host, uint16_t port, const char *name,
                        char value[REPORT_SETTING_MAX]) {
    struct buffer answer = BUFFER_EMPTY;
    char error[ASK_ERROR_MAX];
    struct bytes question[] = {BYTES("CONFIG"), BYTES("GET"), bytes_from_string(name)};
    bool told = ask(options, options->socket ? NULL : host, port, question, 3, &answer, error);
    snprintf(value, REPORT_SETTING_MAX, "%s", told ? buffer_string(&answer) : "");
    buffer_free(&answer);
    return told;
}

static bool ask_settings(const struct options *options, const char *host, uint16_t port,
                         struct server_settings *settings) {
    snprintf(settings->name, sizeof settings->name, "%s:%u", host, port);
    return ask_setting(options, host, port, "save", settings->save) &&
           ask_setting(options, host, port, "appendonly", settings->appendonly);
}

// Learns the primaries and their slots; false with the reason told.
static bool start_cluster(struct benchmark *benchmark) {
    struct options *options = &benchmark->options;
    char error[ASK_ERROR_MAX];
    if (!routes_start(options, error)) {
        fprintf(stderr, "Failed to fetch cluster configuration from %s:%u: %s\n", options->host,
                options->port, error);
        return false;
    }
    benchmark->tag_of_slot = mem_calloc(HASH_SLOTS, REQUEST_TAG_SIZE);
    if (!request_find_tags(benchmark->tag_of_slot)) {
        fprintf(stderr, "No hash tag for some slot\n");
        return false;
    }
    const struct routes *routes = routes_hold();
    benchmark->servers = mem_calloc(routes->node_count, sizeof *benchmark->servers);
    benchmark->report.server_count = routes->node_count;
    if (!options->csv) printf("Cluster has %u master nodes:\n\n", routes->node_count);
    bool told = true;
    for (unsigned i = 0; i < routes->node_count; i++) {
        const struct route_node *node = &routes->nodes[i];
        if (!options->csv) printf("Master %u: %s %s:%u\n", i, node->id, node->address, node->port);
        told = ask_settings(options, node->address, node->port, &benchmark->servers[i]) && told;
    }
    if (!options->csv) printf("\n");
    routes_release(routes);
    if (!told) fprintf(stderr, "WARNING: Could not fetch node CONFIG\n");
    return true;
}

static bool start(struct benchmark *benchmark) {
    struct options *options = &benchmark->options;
    benchmark->seed = options->seeded ? options->seed : random_u64();
    make_data(benchmark);
    if (!options->keep_alive)
        fprintf(stderr, "WARNING: Keepalive disabled. With many requests the system may run out of ports; "
                        "'echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse' helps.\n");
    if (options->cluster) {
        if (!start_cluster(benchmark)) return false;
    } else {
        benchmark->servers = mem_calloc(1, sizeof *benchmark->servers);
        benchmark->report.server_count = 1;
        if (!ask_settings(options, options->host, options->port, benchmark->servers))
            fprintf(stderr, "WARNING: Could not fetch server CONFIG\n");
    }
    benchmark->report.options = options;
    benchmark->report.servers = benchmark->servers;
    benchmark->report.terminal = isatty(STDOUT_FILENO);
    return true;
}

// Measures one shape and tells the result; false with the reason told when it went wrong.
static bool measure(struct benchmark *benchmark, const char *title, const struct request_shape *shape,
                    size_t payload) {
    struct load_result *result = mem_calloc(1, sizeof *result);
    benchmark->report.title = title;
    benchmark->report.payload = payload;
    bool well = load_run(&benchmark->options, shape, (const char(*)[REQUEST_TAG_SIZE])benchmark->tag_of_slot,
                         benchmark->seed, report_progress, &benchmark->report, result);
    if (well) {
        report_result(&benchmark->report, result);
    } else {
        report_clear_line(&benchmark->report);
        fflush(stdout);
        fprintf(stderr, "%s\n", result->error);
    }
    mem_free(result);
    return well;
}

// Reads standard input to its end; false when it is too large or cannot be read.
static bool read_input(struct buffer *input) {
    for (;;) {
        if (input->size > INPUT_MAX) return false;
        buffer_reserve(input, READ_SIZE);
        ssize_t got = file_read(STDIN_FILENO, input->data + input->size, READ_SIZE);
        if (got <= 0) return got == 0;
        input->size += (size_t)got;
    }
}

static bool run_command(struct benchmark *benchmark) {
    struct options *options = &benchmark->options;
    size_t count = options->command_size;
    struct bytes *arguments = mem_calloc(count + 1, sizeof *arguments);
    struct buffer title = BUFFER_EMPTY, input = BUFFER_EMPTY;
    for (size_t i = 0; i < count; i++) {
        arguments[i] = bytes_from_string(options->command[i]);
        buffer_appendf(&title, "%s%s", i ? " " : "", options->command[i]);
    }
    bool well = true;
    if (options->read_last) {
        well = read_input(&input);
        if (!well) fprintf(stderr, "Standard input cannot be read, or is too large\n");
        arguments[count++] = buffer_bytes(&input);
    }
    struct request_shape shape;
    bool built = well && request_build(&shape, arguments, count, buffer_bytes(&benchmark->data),
                                       options->random, options->cluster);
    if (well && !built) fprintf(stderr, "At most %d __rand_int__ and {tag} each\n", REQUEST_FIELDS_MAX);
    if (built) {
        do
            well = measure(benchmark, buffer_string(&title), &shape, shape.bytes.size);
        while (well && options->loop);
        request_free(&shape);
    }
    buffer_free(&title);
    buffer_free(&input);
    mem_free(arguments);
    return built && well;
}

static void warn_of_unknown(const char *names) {
    while (names && *names) {
        size_t size;
        if (!tests_know(names, &size))
            fprintf(stderr, "WARNING: no test is called \"%.*s\"\n", (int)size, names);
        names += size + (names[size] == ',');
    }
}

static bool run_tests(struct benchmark *benchmark) {
    struct options *options = &benchmark->options;
    warn_of_unknown(options->tests);
    const struct test *test;
    for (size_t i = 0; (test = tests_at(i)); i++) {
        struct request_shape shape;
        if (!test_selected(test, options->tests)) continue;
        bool well =
            test_build(test, &shape, buffer_bytes(&benchmark->data), options->random, options->cluster) &&
            measure(benchmark, test_title(test), &shape, options->data_size);
        request_free(&shape);
        if (!well) return false;
    }
    return true;
}

static bool run(struct benchmark *benchmark) {
    struct options *options = &benchmark->options;
    if (options->idle) {
        char error[LOAD_ERROR_MAX] = "";
        printf("Creating %u idle connections and waiting forever (Ctrl+C when done)\n", options->clients);
        fflush(stdout);
        load_idle(options, error);
        fprintf(stderr, "%s\n", error);
        return false;
    }
    if (options->csv) report_csv_heading();
    if (options->command_size) return run_command(benchmark);
    bool well;
    do
        well = run_tests(benchmark);
    while (well && options->loop);
    return well;
}

int main(int argc, char **argv) {
    static struct benchmark benchmark;
    switch (options_parse(&benchmark.options, argc, argv)) {
    case OPTIONS_DONE: return 0;
    case OPTIONS_WRONG: return 1;
    case OPTIONS_RUN: break;
    }
    bool well = start(&benchmark) && run(&benchmark);
    mem_free(benchmark.servers);
    mem_free(benchmark.tag_of_slot);
    buffer_free(&benchmark.data);
    return well ? 0 : 1;
}
