#include "sim/options.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/numbers.h"

enum { DEFAULT_NODES = 6, DEFAULT_REPLICAS = 1, DEFAULT_MINUTES = 10, DEFAULT_TIMEOUT_MS = 15000 };

const char *const fault_names[FAULT_KINDS] = {
    [FAULT_DELAY] = "delay",           [FAULT_LOSS] = "loss",         [FAULT_CUT] = "cut",
    [FAULT_PARTITION] = "partition",   [FAULT_ONE_WAY] = "one-way",   [FAULT_CRASH] = "crash",
    [FAULT_HOST_DEATH] = "host-death", [FAULT_FREEZE] = "freeze",     [FAULT_MOVE] = "move",
    [FAULT_DRIFT] = "drift",           [FAULT_JUMP] = "jump",         [FAULT_SLOW_DISK] = "slow-disk",
    [FAULT_FULL_DISK] = "full-disk",   [FAULT_FAILOVER] = "failover", [FAULT_FORCE] = "force",
    [FAULT_TAKEOVER] = "takeover",     [FAULT_RESHARD] = "reshard",   [FAULT_FORGET] = "forget",
    [FAULT_REPLICATE] = "replicate",
};

const char *const broken_law_names[BROKEN_LAWS] = {
    [BROKEN_NOTHING] = "nothing",           [BROKEN_SPEAKS_BEFORE_SAVE] = "speaks-before-save",
    [BROKEN_FORGETS_FILE] = "forgets-file", [BROKEN_RESTORES_OLD_FILE] = "restores-old-file",
    [BROKEN_VOTES_TWICE] = "votes-twice",   [BROKEN_WINS_ALONE] = "wins-alone",
    [BROKEN_STAYS_DEAF] = "stays-deaf",
};

void options_usage(FILE *to) {
    fputs("usage: shoal-sim [options]\n"
          "\n"
          "Runs the cluster protocol over a virtual network, clock and disk, makes trouble, and checks what "
          "must hold.\n"
          "\n"
          "  --nodes N           nodes of the cluster (6)\n"
          "  --replicas R        replicas of each primary (1)\n"
          "  --seed S            the first seed (1)\n"
          "  --seeds COUNT       how many seeds to run (1)\n"
          "  --minutes M         virtual minutes of trouble in each run (10)\n"
          "  --node-timeout MS   cluster-node-timeout (15000)\n"
          "  --faults LIST       all, none, or names with commas between them (all):\n                     ",
          to);
    for (int i = 0; i < FAULT_KINDS; i++)
        fprintf(to, " %s%s", fault_names[i], i == FAULT_KINDS / 2 ? "\n                     " : "");
    fputs(
        "\n"
        "  --scenario FILE     run a scenario and compare with its transcript; may be repeated\n"
        "  --report traffic    what clusters of growing size send, and how soon they agree\n"
        "  --sizes LIST        of those clusters (10,30,100,300,1000)\n"
        "  --json              the report for programs\n"
        "  --record            write the transcripts of the scenarios into their files instead of comparing\n"
        "  --trace             print every line of the trace, messages included\n"
        "  --jobs N            processes to run seeds in (1)\n"
        "  --quiet             no line per seed\n"
        "  --break LAW         break the driver's law on purpose (the checkers must notice):\n               "
        "      ",
        to);
    for (int i = 0; i < BROKEN_LAWS; i++)
        fprintf(to, " %s", broken_law_names[i]);
    fputs("\n", to);
}

static bool find_name(const char *const *names, int count, struct bytes name, int *found) {
    for (int i = 0; i < count; i++) {
        if (!bytes_equal(name, bytes_from_string(names[i]))) continue;
        *found = i;
        return true;
    }
    return false;
}

static bool parse_faults(const char *text, uint32_t *faults) {
    *faults = 0;
    if (strcmp(text, "none") == 0) return true;
    if (strcmp(text, "all") == 0) {
        *faults = (1u << FAULT_KINDS) - 1;
        return true;
    }
    while (*text) {
        size_t size = strcspn(text, ",");
        int kind;
        if (!find_name(fault_names, FAULT_KINDS, bytes_of(text, size), &kind)) {
            fprintf(stderr, "shoal-sim: no such fault: %.*s\n", (int)size, text);
            return false;
        }
        *faults |= 1u << kind;
        text += size + (text[size] == ',');
    }
    return true;
}

static bool parse_number(const char *name, const char *text, uint64_t low, uint64_t high, uint64_t *value) {
    if (number_parse_unsigned(bytes_from_string(text), value) && *value >= low && *value <= high) return true;
    fprintf(stderr, "shoal-sim: %s wants a number from %" PRIu64 " to %" PRIu64 ", not %s\n", name, low, high,
            text);
    return false;
}

static bool parse_sizes(const char *text, struct options *options) {
    options->size_count = 0;
    do {
        size_t size = strcspn(text, ",");
        uint64_t value;
        if (!number_parse_unsigned(bytes_of(text, size), &value) || value < 2 || value > OPTION_NODES_MAX ||
            options->size_count == OPTION_SIZES_MAX) {
            fprintf(stderr,
                    "shoal-sim: --sizes wants up to %d numbers from 2 to %d with commas between them\n",
                    OPTION_SIZES_MAX, OPTION_NODES_MAX);
            return false;
        }
        options->sizes[options->size_count++] = (uint32_t)value;
        text += size + (text[size] == ',');
    } while (*text);
    return true;
}

static bool parse_report(const char *text, struct options *options) {
    options->report = REPORT_TRAFFIC;
    if (strcmp(text, "traffic") == 0) return true;
    fprintf(stderr, "shoal-sim: no such report: %s\n", text);
    return false;
}

static bool parse_option(struct options *options, const char *name, const char *text) {
    const struct {
        const char *name;
        uint64_t low, high;
        uint32_t *value;
    } numbers[] = {
        {"--nodes", 1, OPTION_NODES_MAX, &options->nodes},
        {"--replicas", 0, 16, &options->replicas},
        {"--minutes", 0, 100000, &options->minutes},
        {"--node-timeout", 50, 3600000, &options->timeout_ms},
        {"--jobs", 1, OPTION_JOBS_MAX, &options->jobs},
    };
    uint64_t value;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(name, numbers[i].name) != 0) continue;
        if (!parse_number(name, text, numbers[i].low, numbers[i].high, &value)) return false;
        *numbers[i].value = (uint32_t)value;
        return true;
    }
    if (strcmp(name, "--seed") == 0) return parse_number(name, text, 0, UINT64_MAX / 2, &options->seed);
    if (strcmp(name, "--seeds") == 0) return parse_number(name, text, 1, 1000000000, &options->seeds);
    if (strcmp(name, "--sizes") == 0) return parse_sizes(text, options);
    if (strcmp(name, "--report") == 0) return parse_report(text, options);
    if (strcmp(name, "--faults") == 0) return parse_faults(text, &options->faults);
    if (strcmp(name, "--break") == 0) {
        int law;
        if (!find_name(broken_law_names, BROKEN_LAWS, bytes_from_string(text), &law)) {
            fprintf(stderr, "shoal-sim: no such law: %s\n", text);
            return false;
        }
        options->broken = (enum broken_law)law;
        return true;
    }
    if (strcmp(name, "--scenario") == 0) {
        if (options->scenario_count == OPTION_SCENARIOS_MAX) {
            fprintf(stderr, "shoal-sim: at most %d scenarios\n", OPTION_SCENARIOS_MAX);
            return false;
        }
        options->scenarios[options->scenario_count++] = text;
        return true;
    }
    fprintf(stderr, "shoal-sim: no such option: %s (--help lists them)\n", name);
    return false;
}

bool options_parse(struct options *options, int argc, char **argv) {
    *options = (struct options){
        .nodes = DEFAULT_NODES,
        .replicas = DEFAULT_REPLICAS,
        .seed = 1,
        .seeds = 1,
        .minutes = DEFAULT_MINUTES,
        .timeout_ms = DEFAULT_TIMEOUT_MS,
        .faults = (1u << FAULT_KINDS) - 1,
        .jobs = 1,
        .size_count = 5,
        .sizes = {10, 30, 100, 300, 1000},
    };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0) {
            options->trace = true;
        } else if (strcmp(argv[i], "--json") == 0) {
            options->json = true;
        } else if (strcmp(argv[i], "--quiet") == 0) {
            options->quiet = true;
        } else if (strcmp(argv[i], "--record") == 0) {
            options->record = true;
        } else if (i + 1 == argc) {
            fprintf(stderr, "shoal-sim: %s: no such option, or its value is missing (--help lists them)\n",
                    argv[i]);
            return false;
        } else {
            if (!parse_option(options, argv[i], argv[i + 1])) return false;
            i++;
        }
    }
    return true;
}

static void print_faults(FILE *to, uint32_t faults) {
    if (faults == (1u << FAULT_KINDS) - 1 || faults == 0) {
        fputs(faults ? "all" : "none", to);
        return;
    }
    const char *between = "";
    for (int i = 0; i < FAULT_KINDS; i++) {
        if (!(faults >> i & 1)) continue;
        fprintf(to, "%s%s", between, fault_names[i]);
        between = ",";
    }
}

void options_print_replay(FILE *to, const struct options *options, uint64_t seed) {
    fprintf(to,
            "build/bin/shoal-sim --nodes %u --replicas %u --minutes %u --node-timeout %u --seed %" PRIu64
            " --faults ",
            options->nodes, options->replicas, options->minutes, options->timeout_ms, seed);
    print_faults(to, options->faults);
    if (options->broken) fprintf(to, " --break %s", broken_law_names[options->broken]);
    fputc('\n', to);
}
