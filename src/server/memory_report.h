// memory_report: where the memory is, for INFO memory and MEMORY STATS. Exclusive mode.
#ifndef SHOAL_SERVER_MEMORY_REPORT_H
#define SHOAL_SERVER_MEMORY_REPORT_H

#include <stdint.h>

#include "journal/journal.h"
#include "keyspace/keyspace.h"
#include "os/memory_use.h"
#include "server/info.h"

// Bytes, unless a name says otherwise.
struct memory_report {
    uint64_t used, peak, startup, resident, overhead, dataset, tables, backlog, not_counted;
    double peak_percent, dataset_percent;
    struct info_client_memory clients;
    struct memory_use_allocator allocator;
    double fragmentation_ratio, allocator_rss_ratio, rss_overhead_ratio, total_ratio;
    int64_t fragmentation_bytes, allocator_rss_bytes, rss_overhead_bytes, total_bytes;
};
void memory_report(struct keyspace *keyspace, struct journal *journal, struct memory_report *report);

#endif
