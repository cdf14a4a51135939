// MEMORY STATS DOCTOR PURGE MALLOC-STATS HELP (USAGE is commands/'s), and LOLWUT.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "call/call.h"
#include "call/dispatch.h"
#include "commands/shapes.h"
#include "commands/tables.h"
#include "commands/version.h"
#include "os/memory_use.h"
#include "server/admin.h"
#include "server/memory_report.h"

static void add_integer(struct reply *reply, const char *name, uint64_t value, size_t *count) {
    reply_bulk_string(reply, name);
    reply_integer(reply, (int64_t)value);
    ++*count;
}

static void add_double(struct reply *reply, const char *name, double value, size_t *count) {
    reply_bulk_string(reply, name);
    reply_double(reply, value);
    ++*count;
}

static size_t all_keys(struct keyspace *keyspace) {
    size_t keys = 0;
    for (unsigned db = 0; db < keyspace_databases(keyspace); db++)
        keys += keyspace_count(keyspace, db);
    return keys;
}

static void add_databases(struct call *call, size_t *count) {
    for (unsigned db = 0; db < keyspace_databases(call->keyspace); db++) {
        if (!keyspace_count(call->keyspace, db)) continue;
        char name[32];
        snprintf(name, sizeof name, "db.%u", db);
        reply_bulk_string(call->reply, name);
        reply_map(call->reply, 2);
        reply_bulk_string(call->reply, "overhead.hashtable.main");
        reply_integer(call->reply, (int64_t)keyspace_table_memory(call->keyspace, db));
        reply_bulk_string(call->reply, "overhead.hashtable.expires");
        reply_integer(call->reply, 0);
        ++*count;
    }
}

static void add_sizes(struct call *call, const struct memory_report *report, size_t *count) {
    struct reply *reply = call->reply;
    add_integer(reply, "peak.allocated", report->peak, count);
    add_integer(reply, "total.allocated", report->used, count);
    add_integer(reply, "startup.allocated", report->startup, count);
    add_integer(reply, "replication.backlog", report->backlog, count);
    add_integer(reply, "clients.slaves", report->clients.replicas, count);
    add_integer(reply, "clients.normal", report->clients.normal, count);
    add_integer(reply, "cluster.links", 0, count);
    add_integer(reply, "aof.buffer", 0, count);
    add_integer(reply, "lua.caches", 0, count);
    add_integer(reply, "functions.caches", 0, count);
    add_databases(call, count);
    size_t keys = all_keys(call->keyspace);
    uint64_t net = report->used > report->startup ? report->used - report->startup : 0;
    add_integer(reply, "overhead.total", report->overhead, count);
    add_integer(reply, "keys.count", keys, count);
    add_integer(reply, "keys.bytes-per-key", keys ? net / keys : 0, count);
    add_integer(reply, "dataset.bytes", report->dataset, count);
    add_double(reply, "dataset.percentage", report->dataset_percent, count);
    add_double(reply, "peak.percentage", report->peak_percent, count);
}

static void memory_stats(struct call *call) {
    struct memory_report report;
    struct reply *reply = call->reply;
    memory_report(call->keyspace, call_dispatcher(call)->journal, &report);
    size_t place = reply_array_begin(reply), count = 0;
    add_sizes(call, &report, &count);
    add_integer(reply, "allocator.allocated", report.allocator.allocated, &count);
    add_integer(reply, "allocator.active", report.allocator.active, &count);
    add_integer(reply, "allocator.resident", report.allocator.resident, &count);
    add_double(reply, "allocator-fragmentation.ratio", report.fragmentation_ratio, &count);
    add_integer(reply, "allocator-fragmentation.bytes", (uint64_t)report.fragmentation_bytes, &count);
    add_double(reply, "allocator-rss.ratio", report.allocator_rss_ratio, &count);
    add_integer(reply, "allocator-rss.bytes", (uint64_t)report.allocator_rss_bytes, &count);
    add_double(reply, "rss-overhead.ratio", report.rss_overhead_ratio, &count);
    add_integer(reply, "rss-overhead.bytes", (uint64_t)report.rss_overhead_bytes, &count);
    add_double(reply, "fragmentation", report.total_ratio, &count);
    add_integer(reply, "fragmentation.bytes", (uint64_t)report.total_bytes, &count);
    reply_map_end(reply, place, count);
}

static void memory_doctor(struct call *call) {
    enum { SMALL = 5 * 1024 * 1024, LARGE_CLIENT = 200 * 1024 };
    struct memory_report report;
    struct buffer text = BUFFER_EMPTY;
    memory_report(call->keyspace, call_dispatcher(call)->journal, &report);
    unsigned clients = session_count();
    if (report.used < SMALL) {
        buffer_append_string(&text, "Hi Sam, this instance is empty or is using very little memory, my issues detector "
                                    "can't be used in these conditions. Please, leave for your mission on Earth and fill "
                                    "it with some data. The new Sam and I will be back to our programming as soon as I "
                                    "finished rebooting.\n");
    } else {
        if (report.peak > report.used * 3 / 2)
            buffer_append_string(&text, " * Peak memory: in the past this instance used more than 150% of the memory it "
                                        "uses now; the allocator may hold on to some of it.\n");
        if (report.total_ratio > 1.4 && report.total_bytes > 10 << 20)
            buffer_append_string(&text, " * High total RSS: the process holds more memory than the data needs; it may be "
                                        "fragmented, or freed a moment ago. MEMORY PURGE gives back what is unused.\n");
        if (clients && report.clients.normal / clients > LARGE_CLIENT)
            buffer_append_string(&text, " * Big client buffers: clients hold more than 200 kB each on average; they send "
                                        "or ask for very much at once, or don't read their replies.\n");
        if (text.size == 0)
            buffer_append_string(&text, "Hi Sam, I can't find any memory issue in your instance. I can only account for "
                                        "what occurs on this base.\n");
    }
    reply_verbatim(call->reply, "txt", buffer_bytes(&text));
    buffer_free(&text);
}

static void memory_purge(struct call *call) {
    memory_use_purge();
    reply_ok(call->reply);
}

static void memory_malloc_stats(struct call *call) {
    struct memory_use_allocator use;
    struct buffer text = BUFFER_EMPTY;
    memory_use_ask_allocator(&use);
    buffer_appendf(&text, "Allocator: %s\nAllocated: %zu, active: %zu, resident: %zu, retained: %zu\n",
                   memory_use_allocator_name(), use.allocated, use.active, use.resident, use.retained);
    reply_verbatim(call->reply, "txt", buffer_bytes(&text));
    buffer_free(&text);
}

static void memory_help(struct call *call) {
    static const char *const lines[] = {"DOCTOR",
                                        "    Return memory problems reports.",
                                        "MALLOC-STATS",
                                        "    Return internal statistics report from the memory allocator.",
                                        "PURGE",
                                        "    Attempt to purge dirty pages for reclamation by the allocator.",
                                        "STATS",
                                        "    Return information about the memory usage of the server.",
                                        "USAGE <key> [SAMPLES <count>]",
                                        "    Return memory in bytes used by <key> and its value. Nested values are",
                                        "    sampled up to <count> times (default: 5, 0 means sample all).",
                                        NULL};
    call_reply_help(call, lines);
}

static const struct command subcommands[] = {
    {.name = "doctor", .run = memory_doctor, .arity = 2, .admission = ADMIT_EXCLUSIVE},
    {.name = "help", .run = memory_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE},
    {.name = "malloc-stats", .run = memory_malloc_stats, .arity = 2},
    {.name = "purge", .run = memory_purge, .arity = 2},
    {.name = "stats", .run = memory_stats, .arity = 2, .admission = ADMIT_EXCLUSIVE},
    {.name = "usage",
     .run = memory_usage,
     .arity = -3,
     .flags = CMD_READONLY,
     .keys = {KEY_RANGE(2, 0, 1, KEY_RO)}},
    {.name = NULL},
};

// A shoal: each column a fish or water, different each time only by its size.
static void lolwut(struct call *call) {
    enum { ROWS = 5, COLUMNS = 40 };
    struct buffer text = BUFFER_EMPTY;
    uint64_t seed = (uint64_t)call->now_ms;
    for (int row = 0; row < ROWS; row++) {
        for (int column = 0; column < COLUMNS;) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            bool fish = (seed >> 60) < 4 && column + 3 <= COLUMNS;
            buffer_append_string(&text, fish ? "><>" : " ");
            column += fish ? 3 : 1;
        }
        buffer_append_byte(&text, '\n');
    }
    buffer_append_string(&text, "\nShoal " SHOAL_VERSION ", Redis ver. " REDIS_VERSION "\n");
    reply_verbatim(call->reply, "txt", buffer_bytes(&text));
    buffer_free(&text);
}

const struct command memory_commands[] = {
    {.name = "memory", .arity = -2, .subcommands = subcommands},
    {.name = "lolwut", .run = lolwut, .arity = -1, .flags = CMD_READONLY | CMD_FAST},
    {.name = NULL},
};
