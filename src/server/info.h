// info: the text of INFO. Exclusive mode, so that every worker's numbers stand still.
#ifndef SHOAL_SERVER_INFO_H
#define SHOAL_SERVER_INFO_H

#include <stdint.h>

#include "base/buffer.h"
#include "journal/journal.h"
#include "keyspace/keyspace.h"

// Called once at start.
void info_start(struct keyspace *keyspace, struct journal *journal);
const char *info_run_id(void);

// One section without its title, by its name in lower case; used by INFO and by tests of it.
enum info_section {
    INFO_SERVER,
    INFO_CLIENTS,
    INFO_MEMORY,
    INFO_PERSISTENCE,
    INFO_STATS,
    INFO_REPLICATION,
    INFO_CPU,
    INFO_MODULES,
    INFO_COMMANDSTATS,
    INFO_ERRORSTATS,
    INFO_LATENCYSTATS,
    INFO_CLUSTER,
    INFO_KEYSPACE,
    INFO_SECTIONS,
};

// info_memory.c, info_stats.c
void info_memory(struct keyspace *keyspace, struct journal *journal, struct buffer *out);
void info_stats(struct buffer *out);
void info_commandstats(struct buffer *out);
void info_errorstats(struct buffer *out);
void info_latencystats(struct buffer *out);

// Bytes of clients' buffers. Exclusive mode.
struct info_client_memory {
    uint64_t normal, replicas;
};
void info_client_memory(struct info_client_memory *memory);

#endif
