#include "server/memory_report.h"

#include "server/eviction.h"
#include "server/statistics.h"

static double ratio(uint64_t a, uint64_t b) {
    return b ? (double)a / (double)b : 0;
}

static void compare(struct memory_report *report) {
    const struct memory_use_allocator *allocator = &report->allocator;
    report->fragmentation_ratio = ratio(allocator->active, allocator->allocated);
    report->fragmentation_bytes = (int64_t)allocator->active - (int64_t)allocator->allocated;
    report->allocator_rss_ratio = ratio(allocator->resident, allocator->active);
    report->allocator_rss_bytes = (int64_t)allocator->resident - (int64_t)allocator->active;
    report->rss_overhead_ratio = ratio(report->resident, allocator->resident);
    report->rss_overhead_bytes = (int64_t)report->resident - (int64_t)allocator->resident;
    report->total_ratio = ratio(report->resident, report->used);
    report->total_bytes = (int64_t)report->resident - (int64_t)report->used;
}

void memory_report(struct keyspace *keyspace, struct journal *journal, struct memory_report *report) {
    *report = (struct memory_report){.used = memory_use_heap(),
                                     .peak = statistics_peak_memory(),
                                     .startup = statistics_startup_memory(),
                                     .resident = memory_use_resident(),
                                     .backlog = journal_memory(journal),
                                     .not_counted = eviction_not_counted()};
    memory_use_ask_allocator(&report->allocator);
    info_client_memory(&report->clients);
    for (unsigned db = 0; db < keyspace_databases(keyspace); db++)
        report->tables += keyspace_table_memory(keyspace, db);
    report->overhead =
        report->startup + report->backlog + report->clients.normal + report->clients.replicas + report->tables;
    report->dataset = report->used > report->overhead ? report->used - report->overhead : 0;
    uint64_t net = report->used > report->startup ? report->used - report->startup : 0;
    report->dataset_percent = 100 * ratio(report->dataset, net);
    report->peak_percent = 100 * ratio(report->used, report->peak);
    compare(report);
}
