#include "cli/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/cluster_interrupt.h"
#include "cli/cluster_json.h"
#include "cli/help.h"

static int print_help(const struct options *options) {
    (void)options;
    help_cluster(stdout);
    return 1; // as redis-cli's
}

struct command {
    const char *name;
    int (*run)(const struct options *options);
    int least, most; // arguments; `most` below 0: any number
};

static const struct command commands[] = {
    {"create", cluster_create, 2, -1},    {"check", cluster_check, 1, -1},
    {"info", cluster_info, 1, -1},        {"fix", cluster_fix, 1, -1},
    {"reshard", cluster_reshard, 1, -1},  {"rebalance", cluster_rebalance, 1, -1},
    {"add-node", cluster_add_node, 2, 2}, {"del-node", cluster_del_node, 2, 2},
    {"call", cluster_call, 2, -1},        {"set-timeout", cluster_set_timeout, 2, 2},
    {"import", cluster_import, 1, 1},     {"backup", cluster_backup, 2, 2},
    {"help", print_help, 0, -1},
};

static bool asks_for_json(const struct options *options) {
    return options->style.format == OUTPUT_JSON || options->style.format == OUTPUT_QUOTED_JSON;
}

static int run(const struct command *command, const struct options *options) {
    if (asks_for_json(options) && command->run != print_help) cluster_json_open();
    int status = command->run(options);
    fflush(stdout);
    cJSON *event = cluster_json_begin("end");
    cJSON_AddStringToObject(event, "command", command->name);
    cJSON_AddNumberToObject(event, "status", status);
    cJSON_AddBoolToObject(event, "interrupted", interrupt_noted());
    cluster_json_send(event);
    return status;
}

int cluster_run(const struct options *options) {
    const struct cluster_options *cluster = &options->cluster;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const struct command *command = &commands[i];
        if (strcmp(command->name, cluster->command) != 0) continue;
        if (cluster->argument_count < command->least ||
            (command->most >= 0 && cluster->argument_count > command->most)) {
            fprintf(stderr, "[ERR] Wrong number of arguments for specified --cluster sub command\n");
            return 1;
        }
        return run(command, options);
    }
    fprintf(stderr, "Unknown --cluster subcommand\n");
    return 1;
}

static bool say_no_address(void) {
    fprintf(stderr,
            "[ERR] Invalid arguments: you need to pass either a valid address (ie. 120.0.0.1:7000) or "
            "space separated IP and port (ie. 120.0.0.1 7000)\n");
    return false;
}

bool cluster_address(const struct options *options, int index, char **host, uint16_t *port) {
    return options_parse_address(options->cluster.arguments[index], host, port) || say_no_address();
}

static bool load(struct cluster_nodes *nodes, const struct options *options, char *host, uint16_t port) {
    bool loaded = cluster_nodes_load(nodes, options, host, port);
    mem_free(host);
    if (!loaded) cluster_nodes_free(nodes);
    return loaded;
}

bool cluster_load_address(struct cluster_nodes *nodes, const struct options *options, int index) {
    char *host;
    uint16_t port;
    *nodes = (struct cluster_nodes){0};
    return cluster_address(options, index, &host, &port) && load(nodes, options, host, port);
}

// "host" and "port" as two arguments.
static bool two_words(const struct cluster_options *cluster, char **host, uint16_t *port) {
    long number = cluster->argument_count > 1 ? strtol(cluster->arguments[1], NULL, 10) : 0;
    if (number <= 0 || number > UINT16_MAX) return false;
    *host = mem_strdup(cluster->arguments[0]);
    *port = (uint16_t)number;
    return true;
}

bool cluster_load(struct cluster_nodes *nodes, const struct options *options) {
    const struct cluster_options *cluster = &options->cluster;
    char *host;
    uint16_t port;
    *nodes = (struct cluster_nodes){0};
    bool named = cluster->argument_count == 1 ? options_parse_address(cluster->arguments[0], &host, &port)
                                              : two_words(cluster, &host, &port);
    return named ? load(nodes, options, host, port) : say_no_address();
}

bool cluster_load_before(struct cluster_nodes *nodes, const struct options *options, int *taken) {
    const struct cluster_options *cluster = &options->cluster;
    const char *first = cluster->arguments[0];
    char *host;
    uint16_t port;
    *nodes = (struct cluster_nodes){0};
    *taken = 1;
    if (!options_parse_address(first, &host, &port)) {
        if (strchr(first, ':') || !two_words(cluster, &host, &port)) return say_no_address();
        *taken = 2;
    }
    return load(nodes, options, host, port);
}
