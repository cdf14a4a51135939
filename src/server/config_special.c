#include "server/config_special.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/words.h"
#include "call/settings.h"
#include "replication/replication.h"
#include "server/config.h"
#include "server/worker.h"

static struct config_followers followers;

void config_set_followers(const struct config_followers *chosen) {
    followers = *chosen;
}

static bool fail(struct buffer *error, const char *text) {
    buffer_append_string(error, text);
    return false;
}

// --- save

static bool parse_points(const struct bytes *values, unsigned count, struct save_point *points) {
    if (count % 2 || count / 2 > SAVE_POINTS_MAX) return false;
    for (unsigned i = 0; i < count; i += 2) {
        struct save_point *point = &points[i / 2];
        if (!number_parse(values[i], &point->seconds) || !number_parse(values[i + 1], &point->changes)) return false;
        if (point->seconds < 1 || point->changes < 0) return false;
    }
    return true;
}

bool parse_save(const struct directive *directive, const struct bytes *values, unsigned count, bool again,
                struct buffer *error) {
    if (count == 0) return fail(error, "wrong number of arguments");
    if (count == 1 && values[0].size == 0) {
        config.save_point_count = 0;
        settings.saves_by_itself = false;
        return true;
    }
    struct save_point points[SAVE_POINTS_MAX];
    unsigned before = again ? config.save_point_count : 0;
    if (!parse_points(values, count, points) || before + count / 2 > SAVE_POINTS_MAX)
        return fail(error, "Invalid save parameters");
    memcpy(config.save_points + before, points, count / 2 * sizeof *points);
    config.save_point_count = before + count / 2;
    settings.saves_by_itself = config.save_point_count > 0;
    return true;
}

void print_save(const struct directive *directive, struct buffer *out) {
    for (unsigned i = 0; i < config.save_point_count; i++)
        buffer_appendf(out, "%s%" PRId64 " %" PRId64, i ? " " : "", config.save_points[i].seconds,
                       config.save_points[i].changes);
}

void lines_save(const struct directive *directive, struct buffer *out) {
    if (config.save_point_count == 0) buffer_append_string(out, "save \"\"\n");
    for (unsigned i = 0; i < config.save_point_count; i++)
        buffer_appendf(out, "save %" PRId64 " %" PRId64 "\n", config.save_points[i].seconds,
                       config.save_points[i].changes);
}

// --- bind

bool parse_bind(const struct directive *directive, const struct bytes *values, unsigned count, bool again,
                struct buffer *error) {
    if (count > BIND_ADDRESSES_MAX) return fail(error, "Too many bind addresses specified.");
    for (unsigned i = 0; i < config.bind_count; i++)
        mem_free(config.bind[i]);
    config.bind_count = 0;
    if (count == 1 && values[0].size == 0) return true;
    for (unsigned i = 0; i < count; i++)
        config.bind[config.bind_count++] = bytes_to_string(values[i]);
    return true;
}

void print_bind(const struct directive *directive, struct buffer *out) {
    for (unsigned i = 0; i < config.bind_count; i++)
        buffer_appendf(out, "%s%s", i ? " " : "", config.bind[i]);
}

// --- dir

bool parse_dir(const struct directive *directive, const struct bytes *values, unsigned count, bool again,
               struct buffer *error) {
    if (count != 1) return fail(error, "wrong number of arguments");
    char *path = bytes_to_string(values[0]), *absolute = NULL;
    bool fine = chdir(path) == 0;
    if (fine) absolute = getcwd(NULL, 0);
    mem_free(path);
    if (!fine || !absolute) return fail(error, strerror(errno));
    mem_free(replication_settings.directory);
    replication_settings.directory = mem_strdup(absolute);
    free(absolute);
    return true;
}

void print_dir(const struct directive *directive, struct buffer *out) {
    buffer_append_string(out, replication_settings.directory);
}

void lines_dir(const struct directive *directive, struct buffer *out) {
    buffer_append_string(out, "dir ");
    words_quote(out, bytes_from_string(replication_settings.directory));
    buffer_append_byte(out, '\n');
}

// --- replicaof

bool parse_replicaof(const struct directive *directive, const struct bytes *values, unsigned count, bool again,
                     struct buffer *error) {
    if (count == 0 || (count == 1 && values[0].size == 0)) {
        mem_free(config.replicaof_host);
        config.replicaof_host = mem_strdup("");
        return true;
    }
    if (count != 2) return fail(error, "wrong number of arguments");
    bool none = bytes_is(values[0], "no") && bytes_is(values[1], "one");
    int64_t port = 0;
    if (!none && (!number_parse(values[1], &port) || port < 1 || port > 65535))
        return fail(error, "Invalid master port");
    mem_free(config.replicaof_host);
    config.replicaof_host = none ? mem_strdup("") : bytes_to_string(values[0]);
    config.replicaof_port = (uint16_t)port;
    return true;
}

void print_replicaof(const struct directive *directive, struct buffer *out) {
    const char *host;
    uint16_t port;
    if (role.replica && replication_primary(&host, &port)) buffer_appendf(out, "%s %u", host, port);
}

void lines_replicaof(const struct directive *directive, struct buffer *out) {
    // In a cluster, nodes.conf knows whom we follow.
    if (settings.cluster_enabled || !role.replica) return;
    buffer_append_string(out, "replicaof ");
    print_replicaof(directive, out);
    buffer_append_byte(out, '\n');
}

// --- client-output-buffer-limit

enum { CLASS_NORMAL, CLASS_REPLICA, CLASS_PUBSUB, CLASSES, WORDS_A_CLASS = 4 };
static struct output_limit pubsub_limit; // shown, and kept for REWRITE; no session has this class

static struct output_limit *limit_of(int class) {
    switch (class) {
    case CLASS_NORMAL: return &connection_limits.normal;
    case CLASS_REPLICA: return &connection_limits.replica;
    default: return &pubsub_limit;
    }
}

static int class_named(struct bytes word) {
    if (bytes_is(word, "normal")) return CLASS_NORMAL;
    if (bytes_is(word, "slave") || bytes_is(word, "replica")) return CLASS_REPLICA;
    return bytes_is(word, "pubsub") ? CLASS_PUBSUB : -1;
}

bool parse_output_limits(const struct directive *directive, const struct bytes *values, unsigned count, bool again,
                         struct buffer *error) {
    if (count == 0 || count % WORDS_A_CLASS)
        return fail(error, "Wrong number of arguments in buffer limit configuration.");
    struct output_limit limits[CLASSES];
    for (int class = 0; class < CLASSES; class++)
        limits[class] = *limit_of(class);
    for (unsigned i = 0; i < count; i += WORDS_A_CLASS) {
        int class = class_named(values[i]);
        if (class < 0) return fail(error, "Invalid client class specified in buffer limit configuration.");
        int64_t seconds;
        if (!memory_parse(values[i + 1], &limits[class].hard) || !memory_parse(values[i + 2], &limits[class].soft) ||
            !number_parse(values[i + 3], &seconds) || seconds < 0 || seconds > INT32_MAX)
            return fail(error, "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
        limits[class].soft_seconds = (unsigned)seconds;
    }
    for (int class = 0; class < CLASSES; class++)
        *limit_of(class) = limits[class];
    return true;
}

static const char *const class_names[] = {"normal", "slave", "pubsub"};
static const char *const class_names_of_files[] = {"normal", "replica", "pubsub"};

void print_output_limits(const struct directive *directive, struct buffer *out) {
    for (int class = 0; class < CLASSES; class++) {
        const struct output_limit *limit = limit_of(class);
        buffer_appendf(out, "%s%s %" PRIu64 " %" PRIu64 " %u", class ? " " : "", class_names[class], limit->hard,
                       limit->soft, limit->soft_seconds);
    }
}

void lines_output_limits(const struct directive *directive, struct buffer *out) {
    for (int class = 0; class < CLASSES; class++) {
        const struct output_limit *limit = limit_of(class);
        buffer_appendf(out, "%s %s %" PRIu64 " %" PRIu64 " %u\n", directive->name, class_names_of_files[class],
                       limit->hard, limit->soft, limit->soft_seconds);
    }
}

// --- latency-tracking-info-percentiles

bool parse_percentiles(const struct directive *directive, const struct bytes *values, unsigned count, bool again,
                       struct buffer *error) {
    if (count == 1 && values[0].size == 0) count = 0;
    double parsed[PERCENTILES_MAX];
    if (count > PERCENTILES_MAX) return fail(error, "too many percentiles");
    for (unsigned i = 0; i < count; i++) {
        if (!double_parse(values[i], &parsed[i])) return fail(error, "Invalid latency-tracking-info-percentiles parameters");
        if (parsed[i] < 0 || parsed[i] > 100)
            return fail(error, "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
    }
    memcpy(config.percentiles, parsed, count * sizeof *parsed);
    config.percentile_count = count;
    return true;
}

void print_percentiles(const struct directive *directive, struct buffer *out) {
    char text[DOUBLE_TEXT_MAX];
    for (unsigned i = 0; i < config.percentile_count; i++) {
        if (i) buffer_append_byte(out, ' ');
        buffer_append(out, text, double_format(text, config.percentiles[i]));
    }
}

// --- oom-score-adj-values

enum { OOM_SCORES = 3, OOM_SCORE_MIN = -2000, OOM_SCORE_MAX = 2000 };
static int64_t oom_scores[OOM_SCORES];

bool parse_oom_scores(const struct directive *directive, const struct bytes *values, unsigned count, bool again,
                      struct buffer *error) {
    int64_t parsed[OOM_SCORES];
    if (count != OOM_SCORES) return fail(error, "wrong number of arguments");
    for (unsigned i = 0; i < OOM_SCORES; i++)
        if (!number_parse(values[i], &parsed[i]) || parsed[i] < OOM_SCORE_MIN || parsed[i] > OOM_SCORE_MAX)
            return fail(error, "Invalid oom-score-adj-values, elements must be between -2000 and 2000.");
    memcpy(oom_scores, parsed, sizeof parsed);
    return true;
}

void print_oom_scores(const struct directive *directive, struct buffer *out) {
    for (unsigned i = 0; i < OOM_SCORES; i++)
        buffer_appendf(out, "%s%" PRId64, i ? " " : "", oom_scores[i]);
}

// --- maxmemory-clients: bytes, or a share of maxmemory. Clients are not evicted yet: nothing but 0 is taken.

bool parse_maxmemory_clients(const struct directive *directive, const struct bytes *values, unsigned count,
                             bool again, struct buffer *error) {
    if (count != 1) return fail(error, "wrong number of arguments");
    uint64_t bytes = 0;
    struct bytes value = values[0];
    if (value.size && value.data[value.size - 1] == '%') {
        value.size--;
        if (!number_parse_unsigned(value, &bytes)) return fail(error, "argument must be a memory or percent value");
        if (bytes > 100) return fail(error, "percentage argument must be less or equal to 100");
    } else if (!memory_parse(value, &bytes)) {
        return fail(error, "argument must be a memory or percent value");
    }
    return bytes == 0 || fail(error, "this version of Shoal has no eviction of clients");
}

void print_maxmemory_clients(const struct directive *directive, struct buffer *out) {
    buffer_append_byte(out, '0');
}

// --- notify-keyspace-events: letters; only none is taken.

bool parse_events(const struct directive *directive, const struct bytes *values, unsigned count, bool again,
                  struct buffer *error) {
    if (count != 1) return fail(error, "wrong number of arguments");
    for (size_t i = 0; i < values[0].size; i++)
        if (!values[0].data[i] || !strchr("KEg$lshzxetdmnA", values[0].data[i]))
            return fail(error, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
    return values[0].size == 0 || fail(error, "this version of Shoal has no keyspace notifications");
}

void print_events(const struct directive *directive, struct buffer *out) {
}

// --- Texts.

bool check_file_name(const char *text, struct buffer *error) {
    if (!text[0] || strchr(text, '/')) return fail(error, "dbfilename can't be a path, just a filename");
    return true;
}

static bool starts_with_title_variable(const char *text) {
    static const char *const variables[] = {"title}",    "listen-addr}", "server-mode}", "port}",
                                            "tls-port}", "unixsocket}",  "config-file}"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        if (strncmp(text, variables[i], strlen(variables[i])) == 0) return true;
    return false;
}

bool check_title_template(const char *text, struct buffer *error) {
    bool fine = text[strspn(text, " ")] != '\0';
    for (const char *at = text; fine && (at = strchr(at, '{')); at++)
        fine = starts_with_title_variable(at + 1);
    if (!fine) return fail(error, "template format is invalid or contains unknown variables");
    return true;
}

bool check_shutdown(int64_t bits, struct buffer *error) {
    bool both = bits & SHUTDOWN_SAVE && bits & SHUTDOWN_NOSAVE;
    return !both || fail(error, "shutdown options SAVE and NOSAVE can't be used simultaneously");
}

bool check_hostname(const char *text, struct buffer *error) {
    enum { HOSTNAME_MAX = 255 };
    if (strlen(text) > HOSTNAME_MAX) return fail(error, "Hostnames must be less than 256 characters");
    for (const char *at = text; *at; at++) {
        bool fine = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') ||
                    *at == '-' || *at == '.';
        if (!fine) return fail(error, "Hostnames may only contain alphanumeric characters, hyphens or dots");
    }
    return true;
}

// Stands in nodes.conf between commas, behind an equals sign, there and at our peers.
bool check_human_nodename(const char *text, struct buffer *error) {
    enum { NODENAME_MAX = 255 };
    if (strlen(text) > NODENAME_MAX) return fail(error, "Announced human node names must be less than 256 characters");
    for (const char *at = text; *at; at++) {
        bool fine = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') ||
                    strchr("-_./", *at);
        if (!fine) return fail(error, "Announced human node name contained invalid character");
    }
    return true;
}

// --- Who is told.

bool apply_sockets(struct buffer *error) {
    replication_settings.port = config.port;
    return !followers.sockets || followers.sockets(error);
}

bool apply_max_clients(struct buffer *error) {
    return !followers.max_clients || followers.max_clients(error);
}

bool apply_access(struct buffer *error) {
    if (followers.access) followers.access();
    return true;
}

bool apply_backlog(struct buffer *error) {
    if (followers.backlog) followers.backlog();
    return true;
}

bool apply_cluster(struct buffer *error) {
    if (followers.cluster) followers.cluster();
    return true;
}

bool apply_logging(struct buffer *error) {
    if (followers.logging) followers.logging();
    return true;
}

bool apply_title(struct buffer *error) {
    if (followers.title) followers.title();
    return true;
}

bool apply_replicas(struct buffer *error) {
    if (followers.replicas) followers.replicas();
    return true;
}
