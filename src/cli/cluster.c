#include "cli/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/help.h"

static int print_help(const struct options *options) {
    (void)options;
    help_cluster(stdout);
    return 0;
}

struct command {
    const char *name;
    int (*run)(const struct options *options); // NULL: redis-cli has it, this program not yet
    int arguments_min;
};

static const struct command commands[] = {
    {"create", cluster_create, 2},
    {"check", cluster_check, 1},
    {"info", cluster_info, 1},
    {"reshard", cluster_reshard, 1},
    {"call", cluster_call, 2},
    {"help", print_help, 0},
    {"fix", NULL, 0},
    {"rebalance", NULL, 0},
    {"add-node", NULL, 0},
    {"del-node", NULL, 0},
    {"set-timeout", NULL, 0},
    {"import", NULL, 0},
    {"backup", NULL, 0},
};

int cluster_run(const struct options *options) {
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const struct command *command = &commands[i];
        if (strcmp(command->name, options->cluster.command) != 0) continue;
        if (!command->run) {
            fprintf(stderr, "[ERR] --cluster %s is not supported by this version of shoal-cli\n",
                    command->name);
            return 1;
        }
        if (options->cluster.argument_count < command->arguments_min) {
            fprintf(stderr, "[ERR] Wrong number of arguments for specified --cluster sub command\n");
            return 1;
        }
        return command->run(options);
    }
    fprintf(stderr, "Unknown --cluster subcommand\n");
    return 1;
}

bool cluster_load_named(struct cluster_nodes *nodes, const struct options *options, int *taken) {
    const struct cluster_options *cluster = &options->cluster;
    char *host = NULL;
    uint16_t port = 0;
    *nodes = (struct cluster_nodes){0};
    *taken = 1;
    if (!options_parse_address(cluster->arguments[0], &host, &port)) {
        long number = cluster->argument_count > 1 ? strtol(cluster->arguments[1], NULL, 10) : 0;
        if (strchr(cluster->arguments[0], ':') || number <= 0 || number > UINT16_MAX) {
            fprintf(
                stderr,
                "[ERR] Invalid arguments: you need to pass either a valid address (ie. 120.0.0.1:7000) or "
                "space separated IP and port (ie. 120.0.0.1 7000)\n");
            return false;
        }
        host = mem_strdup(cluster->arguments[0]);
        port = (uint16_t)number;
        *taken = 2;
    }
    bool loaded = cluster_nodes_load(nodes, options, host, port);
    mem_free(host);
    if (!loaded) cluster_nodes_free(nodes);
    return loaded;
}
