// options: what a run of the simulator is asked to do. Plain data, read-only once parsed.
#ifndef SHOAL_SIM_OPTIONS_H
#define SHOAL_SIM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

// Troubles that the run makes. The names (fault_names) are what --faults takes.
enum fault_kind {
    FAULT_DELAY,      // a host's messages are late
    FAULT_LOSS,       // segments are lost and sent again
    FAULT_CUT,        // established connections break
    FAULT_PARTITION,  // two groups of hosts don't hear each other
    FAULT_ONE_WAY,    // one group doesn't hear the other
    FAULT_CRASH,      // the process dies; connections to it are refused; it restarts later
    FAULT_HOST_DEATH, // the machine dies silently; it restarts later
    FAULT_FREEZE,     // the process stands still for a while
    FAULT_MOVE,       // crash, and restart on another address
    FAULT_DRIFT,      // a clock runs fast or slow
    FAULT_JUMP,       // the time of day jumps
    FAULT_SLOW_DISK,  // saves take long
    FAULT_FULL_DISK,  // saves fail
    FAULT_FAILOVER,   // an administrator asks a replica to take over, kindly,
    FAULT_FORCE,      // without its primary's consent,
    FAULT_TAKEOVER,   // without anybody's consent
    FAULT_RESHARD,    // moves slots from a primary to another
    FAULT_FORGET,     // removes a replica from the cluster and lets it meet the others again
    FAULT_REPLICATE,  // gives a replica another primary
    FAULT_KINDS,
};

extern const char *const fault_names[FAULT_KINDS];

// Ways to break the driver's law on purpose, to see that the checkers notice (--break).
enum broken_law {
    BROKEN_NOTHING,
    BROKEN_SPEAKS_BEFORE_SAVE, // sends don't wait for their save
    BROKEN_FORGETS_FILE,       // a save reports success and writes nothing
    BROKEN_RESTORES_OLD_FILE,  // a restart finds the file of the very beginning
    BROKEN_VOTES_TWICE,        // each vote is sent to another candidate as well
    BROKEN_WINS_ALONE,         // who asks for votes gets them all, forged
    BROKEN_STAYS_DEAF,         // after the healing a node hears nothing
    BROKEN_LAWS,
};

extern const char *const broken_law_names[BROKEN_LAWS];

// What --report measures instead of looking for faults.
enum report_kind { REPORT_NOTHING, REPORT_TRAFFIC };

enum {
    OPTION_NODES_MAX = 2000,
    OPTION_SIZES_MAX = 16,
    OPTION_JOBS_MAX = 64,
    OPTION_SCENARIOS_MAX = 64,
};

struct options {
    uint32_t nodes;
    uint32_t replicas;   // of each primary
    uint64_t seed;       // the first
    uint64_t seeds;      // how many
    uint32_t minutes;    // virtual minutes of trouble
    uint32_t timeout_ms; // cluster-node-timeout
    uint32_t faults;     // bits by enum fault_kind
    uint32_t jobs;       // processes
    enum broken_law broken;
    bool trace;  // print every message as well
    bool quiet;  // no line per seed
    bool record; // write scenarios' transcripts as they are now
    bool json;   // reports are for programs
    enum report_kind report;
    uint32_t size_count;
    uint32_t sizes[OPTION_SIZES_MAX]; // of the clusters that a report is about
    uint32_t scenario_count;
    const char *scenarios[OPTION_SCENARIOS_MAX];
};

// Reads the command line. False, with a message on standard error, for one that makes no sense.
bool options_parse(struct options *options, int argc, char **argv);

void options_usage(FILE *to);

// Prints the command that runs exactly this seed again.
void options_print_replay(FILE *to, const struct options *options, uint64_t seed);

#endif
