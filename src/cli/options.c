#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/words.h"
#include "cli/help.h"

enum {
    DEFAULT_PORT = 6379,
    DEFAULT_PIPE_TIMEOUT_S = 30,
    MIGRATE_TIMEOUT_MS = 60000,
    REBALANCE_THRESHOLD = 2
};

static void refuse(const char *message) {
    fprintf(stderr, "%s\n", message);
    exit(1);
}

static void show_and_exit(void (*text)(FILE *), FILE *to, int status) {
    text(to);
    exit(status);
}

bool options_read_quoted(const char *text, struct bytes *word) {
    struct words words = WORDS_EMPTY;
    if (!words_split(bytes_from_string(text), &words) || words.count != 1) {
        words_free(&words);
        return false;
    }
    *word = words.items[0];
    mem_free(words.items);
    return true;
}

static int hex_value(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// A copy of text[0..size) with %HH decoded.
static char *decode_percent(const char *text, size_t size) {
    char *out = mem_alloc(size + 1), *at = out;
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '%') {
            *at++ = text[i];
            continue;
        }
        if (size - i < 3) refuse("Incomplete URI encoding");
        int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
        if (high < 0 || low < 0) refuse("Illegal character in URI encoding");
        *at++ = (char)(high << 4 | low);
        i += 2;
    }
    *at = '\0';
    return out;
}

// redis://[[user:]password@]host[:port][/db]
static void parse_uri(struct options *options, const char *uri) {
    static const char scheme[] = "redis://";
    if (strncasecmp(uri, "rediss://", 9) == 0) refuse("rediss:// is not supported: this build has no TLS");
    if (strncasecmp(uri, scheme, sizeof scheme - 1) != 0) refuse("Invalid URI scheme");
    const char *at = uri + sizeof scheme - 1, *end = at + strlen(at);
    const char *path = strchr(at, '/'), *authority_end = path ? path : end;
    const char *user_end = memchr(at, '@', (size_t)(authority_end - at));
    if (user_end) {
        const char *colon = memchr(at, ':', (size_t)(user_end - at));
        if (colon && colon > at) options->user = decode_percent(at, (size_t)(colon - at));
        const char *password = colon ? colon + 1 : at;
        options->password = decode_percent(password, (size_t)(user_end - password));
        options->warn_of_password = true;
        at = user_end + 1;
    }
    if (authority_end > at) {
        const char *host_end = authority_end;
        if (*at == '[') {
            const char *bracket = memchr(at, ']', (size_t)(authority_end - at));
            if (!bracket) refuse("Invalid URI: a '[' without its ']'");
            if (bracket[1] == ':') options->server.port = (uint16_t)atoi(bracket + 2);
            at++;
            host_end = bracket;
        } else {
            const char *colon = memchr(at, ':', (size_t)(authority_end - at));
            if (colon) {
                options->server.port = (uint16_t)atoi(colon + 1);
                host_end = colon;
            }
        }
        if (host_end > at) options->server.host = decode_percent(at, (size_t)(host_end - at));
    }
    if (path && path[1]) options->db = atoll(path + 1);
}

bool options_parse_address(const char *text, char **host, uint16_t *port) {
    const char *bus = strchr(text, '@');
    size_t size = bus ? (size_t)(bus - text) : strlen(text);
    const char *colon = memrchr(text, ':', size);
    if (!colon || colon == text) return false;
    char *end;
    long number = strtol(colon + 1, &end, 10);
    if (end == colon + 1 || (size_t)(end - text) != size || number <= 0 || number > 65535) return false;
    const char *from = text, *to = colon;
    if (*from == '[' && to[-1] == ']') from++, to--;
    *host = bytes_to_string(bytes_of(from, (size_t)(to - from)));
    *port = (uint16_t)number;
    return true;
}

enum option_kind {
    OPTION_FLAG,   // sets a bool
    OPTION_TEXT,   // stores the next word
    OPTION_INT,    // stores it as an int
    OPTION_SPECIAL // is dealt with by name
};

struct option {
    const char *name;
    enum option_kind kind;
    bool has_value;
    size_t offset;
};

#define FLAG(name, member)                                                                                   \
    { name, OPTION_FLAG, false, offsetof(struct options, member) }
#define TEXT(name, member)                                                                                   \
    { name, OPTION_TEXT, true, offsetof(struct options, member) }
#define INT(name, member)                                                                                    \
    { name, OPTION_INT, true, offsetof(struct options, member) }
#define SPECIAL(name, has_value)                                                                             \
    { name, OPTION_SPECIAL, has_value, 0 }

static const struct option option_table[] = {
    TEXT("-h", server.host),
    SPECIAL("-p", true),
    TEXT("-s", server.unix_path),
    SPECIAL("-a", true),
    SPECIAL("--pass", true),
    TEXT("--user", user),
    FLAG("--askpass", ask_password),
    SPECIAL("-u", true),
    SPECIAL("-r", true),
    SPECIAL("-i", true),
    SPECIAL("-n", true),
    SPECIAL("-2", false),
    SPECIAL("-3", false),
    SPECIAL("-x", false),
    SPECIAL("-X", true),
    SPECIAL("-d", true),
    SPECIAL("-D", true),
    SPECIAL("-t", true),
    SPECIAL("--timeout", true),
    FLAG("-c", cluster_mode),
    FLAG("-e", fail_on_error),
    SPECIAL("--raw", false),
    SPECIAL("--no-raw", false),
    FLAG("--quoted-input", quoted_input),
    SPECIAL("--csv", false),
    SPECIAL("--json", false),
    SPECIAL("--quoted-json", false),
    SPECIAL("--show-pushes", true),
    FLAG("--pipe", pipe),
    INT("--pipe-timeout", pipe_timeout_s),
    FLAG("--scan", scan),
    SPECIAL("--pattern", true),
    SPECIAL("--quoted-pattern", true),
    SPECIAL("--count", true),
    FLAG("--verbose", verbose),
    SPECIAL("--no-auth-warning", false),
    INT("--cluster-replicas", cluster.replicas),
    TEXT("--cluster-from", cluster.from),
    TEXT("--cluster-to", cluster.to),
    INT("--cluster-slots", cluster.slots),
    INT("--cluster-timeout", cluster.timeout_ms),
    INT("--cluster-pipeline", cluster.pipeline),
    FLAG("--cluster-yes", cluster.yes),
    FLAG("--cluster-replace", cluster.replace),
    FLAG("--cluster-search-multiple-owners", cluster.search_multiple_owners),
    FLAG("--cluster-only-masters", cluster.only_masters),
    FLAG("--cluster-only-primaries", cluster.only_masters),
    FLAG("--cluster-only-replicas", cluster.only_replicas),
    FLAG("--cluster-only-slaves", cluster.only_replicas),
    FLAG("--cluster-use-empty-masters", cluster.use_empty_masters),
    FLAG("--cluster-use-empty-primaries", cluster.use_empty_masters),
    FLAG("--cluster-simulate", cluster.simulate),
    SPECIAL("--cluster-threshold", true),
    FLAG("--cluster-slave", cluster.as_replica),
    FLAG("--cluster-replica", cluster.as_replica),
    TEXT("--cluster-master-id", cluster.master_id),
    TEXT("--cluster-primary-id", cluster.master_id),
    FLAG("--cluster-copy", cluster.copy),
    TEXT("--cluster-from-user", cluster.from_user),
    TEXT("--cluster-from-pass", cluster.from_password),
    FLAG("--cluster-from-askpass", cluster.from_ask_password),
    FLAG("--cluster-fix-with-unreachable-masters", cluster.fix_with_unreachable_masters),
    FLAG("--cluster-fix-with-unreachable-primaries", cluster.fix_with_unreachable_masters),
};

// What redis-cli has and this program has not: the message should not leave the user looking for a typing
// mistake.
static const char *const not_here[] = {
    "--stat",
    "--latency",
    "--latency-history",
    "--latency-dist",
    "--lru-test",
    "--replica",
    "--slave",
    "--rdb",
    "--functions-rdb",
    "--bigkeys",
    "--memkeys",
    "--memkeys-samples",
    "--hotkeys",
    "--intrinsic-latency",
    "--eval",
    "--ldb",
    "--ldb-sync-mode",
    "--tls",
    "--sni",
    "--cacert",
    "--cacertdir",
    "--insecure",
    "--cert",
    "--key",
    "--tls-ciphers",
    "--tls-ciphersuites",
};

static int64_t interval_from(const char *seconds) {
    return (int64_t)(atof(seconds) * 1000000);
}

static void set_format(struct options *options, enum output_format format) {
    options->style.format = format;
    options->format_given = true;
}

static void set_password(struct options *options, const char *password) {
    options->password = password;
    options->warn_of_password = true;
}

static void set_protocol(struct options *options, int protocol) {
    if (options->protocol && !options->protocol_implied && options->protocol != protocol)
        refuse("Options -2 and -3 are mutually exclusive.");
    options->protocol = protocol;
    options->protocol_implied = false;
}

static void set_json(struct options *options, enum output_format format) {
    set_format(options, format);
    if (options->protocol) return;
    options->protocol = 3;
    options->protocol_implied = true;
}

static void set_show_pushes(struct options *options, const char *value) {
    if (strcmp(value, "y") != 0 && strcmp(value, "yes") != 0 && strcmp(value, "n") != 0 &&
        strcmp(value, "no") != 0) {
        fprintf(stderr, "Unknown --show-pushes value '%s' (valid: '[y]es', '[n]o')\n", value);
        exit(1);
    }
    options->show_pushes = value[0] == 'y';
}

static void set_stdin_argument(struct options *options, enum last_argument kind) {
    if (options->last_argument != LAST_ARGUMENT_GIVEN && options->last_argument != kind)
        refuse("Options -x and -X are mutually exclusive.");
    options->last_argument = kind;
}

static void apply_special(struct options *options, const char *name, const char *value) {
    if (strcmp(name, "-p") == 0) {
        long port = strtol(value, NULL, 10);
        if (port < 0 || port > 65535) refuse("Invalid server port.");
        options->server.port = (uint16_t)port;
    } else if (strcmp(name, "-a") == 0 || strcmp(name, "--pass") == 0) {
        set_password(options, value);
    } else if (strcmp(name, "-u") == 0) {
        parse_uri(options, value);
    } else if (strcmp(name, "-r") == 0) {
        options->repeat = strtoll(value, NULL, 10);
    } else if (strcmp(name, "-i") == 0) {
        options->interval_us = interval_from(value);
    } else if (strcmp(name, "-n") == 0) {
        options->db = strtoll(value, NULL, 10);
    } else if (strcmp(name, "-2") == 0) {
        set_protocol(options, 2);
    } else if (strcmp(name, "-3") == 0) {
        set_protocol(options, 3);
    } else if (strcmp(name, "-x") == 0) {
        set_stdin_argument(options, LAST_ARGUMENT_STDIN);
    } else if (strcmp(name, "-X") == 0) {
        set_stdin_argument(options, TAGGED_ARGUMENT_STDIN);
        options->stdin_tag = value;
    } else if (strcmp(name, "-d") == 0) {
        options->style.item_delimiter = bytes_from_string(value);
    } else if (strcmp(name, "-D") == 0) {
        options->style.reply_delimiter = bytes_from_string(value);
    } else if (strcmp(name, "-t") == 0 || strcmp(name, "--timeout") == 0) {
        int64_t timeout = interval_from(value) / 1000;
        if (timeout < 0) refuse("Invalid connection timeout for -t.");
        options->connect_timeout_ms = timeout > 0 && timeout < INT32_MAX ? (int)timeout : -1;
    } else if (strcmp(name, "--raw") == 0) {
        set_format(options, OUTPUT_RAW);
    } else if (strcmp(name, "--no-raw") == 0) {
        set_format(options, OUTPUT_FORMATTED);
    } else if (strcmp(name, "--csv") == 0) {
        set_format(options, OUTPUT_CSV);
    } else if (strcmp(name, "--json") == 0) {
        set_json(options, OUTPUT_JSON);
    } else if (strcmp(name, "--quoted-json") == 0) {
        set_json(options, OUTPUT_QUOTED_JSON);
    } else if (strcmp(name, "--show-pushes") == 0) {
        set_show_pushes(options, value);
    } else if (strcmp(name, "--pattern") == 0) {
        options->scan_pattern = bytes_from_string(value);
    } else if (strcmp(name, "--quoted-pattern") == 0) {
        if (!options_read_quoted(value, &options->scan_pattern))
            refuse("Invalid quoted string specified for --quoted-pattern.");
    } else if (strcmp(name, "--count") == 0) {
        options->scan_count = strtoll(value, NULL, 10);
        if (options->scan_count <= 0) refuse("Invalid --count: it must be a positive number.");
    } else if (strcmp(name, "--cluster-threshold") == 0) {
        options->cluster.threshold = (float)atof(value);
    } else if (strcmp(name, "--no-auth-warning") == 0) {
        options->warn_of_password = false;
    }
}

static void apply(struct options *options, const struct option *option, const char *value) {
    void *member = (char *)options + option->offset;
    switch (option->kind) {
    case OPTION_FLAG: *(bool *)member = true; break;
    case OPTION_TEXT: *(const char **)member = value; break;
    case OPTION_INT: *(int *)member = (int)strtol(value, NULL, 10); break;
    case OPTION_SPECIAL: apply_special(options, option->name, value); break;
    }
}

static const struct option *find_option(const char *name) {
    for (size_t i = 0; i < sizeof option_table / sizeof *option_table; i++)
        if (strcmp(option_table[i].name, name) == 0) return &option_table[i];
    return NULL;
}

static void refuse_option(const char *name) {
    for (size_t i = 0; i < sizeof not_here / sizeof *not_here; i++)
        if (strcmp(not_here[i], name) == 0) {
            fprintf(stderr, "Option '%s' of redis-cli is not supported by this version of shoal-cli\n", name);
            exit(1);
        }
    fprintf(stderr, "Unrecognized option or bad number of args for: '%s'\n", name);
    exit(1);
}

// --cluster COMMAND and its arguments up to the next option; returns the index of the last one taken.
static int take_cluster_command(struct options *options, int argc, char **argv, int i) {
    if (options->cluster.command || i + 1 >= argc || argv[i + 1][0] == '-')
        show_and_exit(help_usage, stderr, 1);
    options->cluster.command = argv[++i];
    options->cluster.arguments = argv + i + 1;
    while (i + 1 < argc && argv[i + 1][0] != '-') {
        options->cluster.argument_count++;
        i++;
    }
    return i;
}

// --cluster-weight id=weight...: all words up to the next option; returns the index of the last one taken.
static int take_weights(struct options *options, int argc, char **argv, int i) {
    options->cluster.weights = argv + i + 1;
    options->cluster.weight_count = 0;
    while (i + 1 < argc && argv[i + 1][0] != '-') {
        options->cluster.weight_count++;
        i++;
    }
    return i;
}

static void set_defaults(struct options *options) {
    memset(options, 0, sizeof *options);
    options->server = (struct endpoint){"127.0.0.1", DEFAULT_PORT, NULL};
    options->repeat = 1;
    options->connect_timeout_ms = -1;
    options->pipe_timeout_s = DEFAULT_PIPE_TIMEOUT_S;
    options->style = (struct print_style){OUTPUT_FORMATTED, BYTES("\n"), BYTES("\n")};
    options->cluster.timeout_ms = MIGRATE_TIMEOUT_MS;
    options->cluster.threshold = REBALANCE_THRESHOLD;
    options->show_pushes = isatty(STDOUT_FILENO);
}

static void read_environment(struct options *options) {
    const char *password = getenv("REDISCLI_AUTH");
    if (password && *password && !options->password) options->password = password;
    bool plain = !isatty(STDOUT_FILENO) && !getenv("FAKETTY");
    if (!options->format_given && plain) options->style.format = OUTPUT_RAW;
}

void options_parse(struct options *options, int argc, char **argv) {
    set_defaults(options);
    bool no_warning = false;
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        const char *name = argv[i];
        bool last = i == argc - 1;
        if (strcmp(name, "--help") == 0 || (strcmp(name, "-h") == 0 && last))
            show_and_exit(help_usage, stdout, 0);
        if (strcmp(name, "--version") == 0 || strcmp(name, "-v") == 0) show_and_exit(help_version, stdout, 0);
        if (strcmp(name, "--no-auth-warning") == 0) no_warning = true;
        if (strcmp(name, "--cluster") == 0) {
            i = take_cluster_command(options, argc, argv, i);
            continue;
        }
        if (strcmp(name, "--cluster-weight") == 0 && !last) {
            i = take_weights(options, argc, argv, i);
            continue;
        }
        const struct option *option = find_option(name);
        if (!option || (option->has_value && last)) refuse_option(name);
        apply(options, option, option->has_value ? argv[++i] : NULL);
    }
    options->arguments = argv + i;
    options->argument_count = argc - i;
    if (no_warning) options->warn_of_password = false;
    read_environment(options);
    if (options->ask_password) options->warn_of_password = false;
    if (options->warn_of_password)
        fputs("Warning: Using a password with '-a' or '-u' option on the command line interface may not be "
              "safe.\n",
              stderr);
}
