// INFO memory.
#include <inttypes.h>

#include "base/numbers.h"
#include "call/settings.h"
#include "journal/journal.h"
#include "os/memory_use.h"
#include "server/background.h"
#include "server/eviction.h"
#include "server/info.h"
#include "server/memory_report.h"
#include "server/statistics.h"

static void write_with_human(struct buffer *out, const char *name, uint64_t value) {
    char text[32];
    memory_format_human(text, value);
    buffer_appendf(out, "%s:%" PRIu64 "\r\n%s_human:%s\r\n", name, value, name, text);
}

static const char *policy_name(void) {
    static const char *const names[] = {"volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
                                        "allkeys-lru",  "allkeys-lfu",  "allkeys-random",  "noeviction"};
    return names[settings.maxmemory_policy];
}

static void write_used(const struct memory_report *report, struct buffer *out) {
    write_with_human(out, "used_memory", report->used);
    write_with_human(out, "used_memory_rss", report->resident);
    write_with_human(out, "used_memory_peak", report->peak);
    buffer_appendf(out,
                   "used_memory_peak_perc:%.2f%%\r\nused_memory_overhead:%" PRIu64 "\r\nused_memory_startup:%" PRIu64
                   "\r\nused_memory_dataset:%" PRIu64 "\r\nused_memory_dataset_perc:%.2f%%\r\n",
                   report->peak_percent, report->overhead, report->startup, report->dataset, report->dataset_percent);
    buffer_appendf(out, "allocator_allocated:%zu\r\nallocator_active:%zu\r\nallocator_resident:%zu\r\n",
                   report->allocator.allocated, report->allocator.active, report->allocator.resident);
    write_with_human(out, "total_system_memory", memory_use_system_total());
}

static void write_scripts(struct buffer *out) {
    buffer_append_string(out, "used_memory_lua:0\r\nused_memory_vm_eval:0\r\nused_memory_lua_human:0B\r\n"
                              "used_memory_scripts_eval:0\r\nnumber_of_cached_scripts:0\r\nnumber_of_functions:0\r\n"
                              "number_of_libraries:0\r\nused_memory_vm_functions:0\r\nused_memory_vm_total:0\r\n"
                              "used_memory_vm_total_human:0B\r\nused_memory_functions:0\r\nused_memory_scripts:0\r\n"
                              "used_memory_scripts_human:0B\r\n");
}

static void write_ratios(const struct memory_report *report, struct buffer *out) {
    buffer_appendf(out,
                   "allocator_frag_ratio:%.2f\r\nallocator_frag_bytes:%" PRId64 "\r\nallocator_rss_ratio:%.2f\r\n"
                   "allocator_rss_bytes:%" PRId64 "\r\nrss_overhead_ratio:%.2f\r\nrss_overhead_bytes:%" PRId64
                   "\r\nmem_fragmentation_ratio:%.2f\r\nmem_fragmentation_bytes:%" PRId64 "\r\n",
                   report->fragmentation_ratio, report->fragmentation_bytes, report->allocator_rss_ratio,
                   report->allocator_rss_bytes, report->rss_overhead_ratio, report->rss_overhead_bytes,
                   report->total_ratio, report->total_bytes);
}

void info_memory(struct keyspace *keyspace, struct journal *journal, struct buffer *out) {
    struct memory_report report;
    memory_report(keyspace, journal, &report);
    write_used(&report, out);
    write_scripts(out);
    write_with_human(out, "maxmemory", settings.maxmemory);
    buffer_appendf(out, "maxmemory_policy:%s\r\n", policy_name());
    write_ratios(&report, out);
    buffer_appendf(out,
                   "mem_not_counted_for_evict:%" PRIu64 "\r\nmem_replication_backlog:%" PRIu64
                   "\r\nmem_total_replication_buffers:%" PRIu64 "\r\nmem_clients_slaves:%" PRIu64
                   "\r\nmem_clients_normal:%" PRIu64 "\r\nmem_cluster_links:0\r\nmem_aof_buffer:0\r\n",
                   report.not_counted, report.backlog, report.backlog, report.clients.replicas, report.clients.normal);
    buffer_appendf(out,
                   "mem_allocator:%s\r\nactive_defrag_running:0\r\nlazyfree_pending_objects:%" PRIu64
                   "\r\nlazyfreed_objects:%" PRIu64 "\r\n",
                   memory_use_allocator_name(), background_pending(), background_done());
}
