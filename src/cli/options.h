// options: what the command line says. Read once at start by the only thread there is; nothing changes it
// later, except where the user moves (SELECT, CONNECT), which the client keeps for itself.
#ifndef SHOAL_CLI_OPTIONS_H
#define SHOAL_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/connection.h"
#include "cli/print.h"

enum last_argument { LAST_ARGUMENT_GIVEN, LAST_ARGUMENT_STDIN, TAGGED_ARGUMENT_STDIN };

// The options of --cluster.
struct cluster_options {
    const char *command; // NULL when --cluster was not given
    char **arguments;
    int argument_count;
    int replicas;
    const char *from;
    const char *to;
    int slots;
    int timeout_ms;
    int pipeline; // keys in one MIGRATE; 0: as many as fit the time that they take
    bool yes;
    bool replace;
    bool search_multiple_owners;
    bool only_masters;
    bool only_replicas;
    char **weights; // of rebalance: "id=weight", as many as
    int weight_count;
    float threshold; // percent
    bool use_empty_masters;
    bool simulate;
    bool as_replica;       // add-node
    const char *master_id; // add-node: NULL: the primary with the fewest replicas
    bool copy;             // import: leaves the keys at the source
    const char *from_user;
    const char *from_password;
    bool from_ask_password;
    bool fix_with_unreachable_masters;
};

struct options {
    struct endpoint server;
    const char *user;
    const char *password;
    bool ask_password;
    bool warn_of_password; // it stood on the command line
    int64_t db;
    int64_t repeat; // negative: for ever
    int64_t interval_us;
    int protocol;          // 0: whatever the server begins with; else 2 or 3
    bool protocol_implied; // 3 because of --json: a server that has only 2 is no error
    int connect_timeout_ms;
    enum last_argument last_argument;
    const char *stdin_tag;
    struct print_style style;
    bool format_given;
    bool cluster_mode; // -c
    bool fail_on_error;
    bool quoted_input;
    bool show_pushes;
    bool verbose;
    bool pipe;
    int pipe_timeout_s;
    bool scan;
    struct bytes scan_pattern;
    int64_t scan_count; // 0: the server's own
    struct cluster_options cluster;
    char **arguments; // the command
    int argument_count;
};

// Reads the command line; what is wrong with it is said on standard error and ends the process with status 1,
// --help and --version end it with 0.
void options_parse(struct options *options, int argc, char **argv);

// The one word, in quotes or with none, that the text is; its bytes live as long as the process. False when
// it is none.
bool options_read_quoted(const char *text, struct bytes *word);

// Splits "host:port", "host:port@busport" or "[v6]:port" into a host on the heap and a port; false when it is
// none.
bool options_parse_address(const char *text, char **host, uint16_t *port);

#endif
