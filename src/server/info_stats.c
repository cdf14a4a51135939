// INFO stats, commandstats, errorstats, latencystats.
#include <inttypes.h>

#include "base/numbers.h"
#include "call/broadcasts.h"
#include "call/command.h"
#include "os/ticks.h"
#include "persistence/snapshot.h"
#include "replication/replication.h"
#include "server/config.h"
#include "server/eviction.h"
#include "server/expiry_cycle.h"
#include "server/histogram.h"
#include "server/info.h"
#include "server/statistics.h"
#include "server/worker.h"

static void write_traffic(const struct statistics *sum, struct buffer *out) {
    struct statistics_rates rates;
    statistics_rates(&rates);
    buffer_appendf(out,
                   "total_connections_received:%" PRIu64 "\r\ntotal_commands_processed:%" PRIu64
                   "\r\ninstantaneous_ops_per_sec:%" PRIu64 "\r\ntotal_net_input_bytes:%" PRIu64
                   "\r\ntotal_net_output_bytes:%" PRIu64 "\r\n",
                   sum->network.connections + sum->rejected, sum->calls.commands, rates.commands,
                   sum->network.bytes_in, sum->network.bytes_out);
    buffer_appendf(out,
                   "total_net_repl_input_bytes:0\r\ntotal_net_repl_output_bytes:%" PRIu64
                   "\r\ninstantaneous_input_kbps:%.2f\r\ninstantaneous_output_kbps:%.2f\r\n"
                   "instantaneous_input_repl_kbps:0.00\r\ninstantaneous_output_repl_kbps:%.2f\r\n",
                   sum->network.replica_bytes_out, (double)rates.bytes_in / 1024, (double)rates.bytes_out / 1024,
                   (double)rates.replica_bytes_out / 1024);
    buffer_appendf(out, "rejected_connections:%" PRIu64 "\r\n", sum->rejected);
}

static void write_keys(const struct statistics *sum, struct buffer *out) {
    struct expiry_cycle_status expiry;
    expiry_cycle_status(&expiry);
    buffer_appendf(out,
                   "expired_keys:%" PRIu64 "\r\nexpired_stale_perc:%.2f\r\nexpired_time_cap_reached_count:%" PRIu64
                   "\r\nexpire_cycle_cpu_milliseconds:%" PRIu64 "\r\nevicted_keys:%" PRIu64 "\r\nevicted_clients:0\r\n",
                   sum->calls.expired, expiry.stale_percent, expiry.cut_short, expiry.cpu_ms, sum->calls.evicted);
    buffer_appendf(out,
                   "total_eviction_exceeded_time:%" PRIu64 "\r\ncurrent_eviction_exceeded_time:%" PRIu64
                   "\r\nkeyspace_hits:%" PRIu64 "\r\nkeyspace_misses:%" PRIu64 "\r\n",
                   eviction_exceeded_ms(), eviction_exceeding_ms(), sum->calls.hits, sum->calls.misses);
}

void info_stats(struct buffer *out) {
    struct statistics sum;
    struct replication_counts syncs;
    const struct keyspace *keyspace = worker_dispatcher(worker_at(0))->keyspace;
    statistics_sum(&sum);
    replication_counts(&syncs);
    write_traffic(&sum, out);
    buffer_appendf(out, "sync_full:%" PRIu64 "\r\nsync_partial_ok:%" PRIu64 "\r\nsync_partial_err:%" PRIu64 "\r\n",
                   syncs.full_syncs, syncs.partial_syncs, syncs.refused_syncs);
    write_keys(&sum, out);
    buffer_appendf(out,
                   "pubsub_channels:0\r\npubsub_patterns:0\r\npubsubshard_channels:0\r\nlatest_fork_usec:%" PRIu64
                   "\r\ntotal_forks:%" PRIu64 "\r\nmigrate_cached_sockets:0\r\nslave_expires_tracked_keys:0\r\n",
                   snapshot_status.last_fork_us, snapshot_status.saves);
    buffer_append_string(out, "active_defrag_hits:0\r\nactive_defrag_misses:0\r\nactive_defrag_key_hits:0\r\n"
                              "active_defrag_key_misses:0\r\ntotal_active_defrag_time:0\r\n"
                              "current_active_defrag_time:0\r\n");
    buffer_appendf(out,
                   "tracking_total_keys:%zu\r\ntracking_total_items:%zu\r\ntracking_total_prefixes:%u\r\n"
                   "unexpected_error_replies:0\r\n",
                   keyspace_tracked_keys(keyspace), keyspace_tracked_readers(keyspace), broadcasts_count());
    buffer_appendf(out,
                   "total_error_replies:%" PRIu64 "\r\ndump_payload_sanitizations:0\r\ntotal_reads_processed:%" PRIu64
                   "\r\ntotal_writes_processed:%" PRIu64 "\r\nio_threaded_reads_processed:0\r\n"
                   "io_threaded_writes_processed:0\r\nreply_buffer_shrinks:0\r\nreply_buffer_expands:0\r\n",
                   sum.calls.errors, sum.network.reads, sum.network.writes);
    buffer_appendf(out,
                   "client_query_buffer_limit_disconnections:%" PRIu64
                   "\r\nclient_output_buffer_limit_disconnections:%" PRIu64
                   "\r\nacl_access_denied_auth:0\r\nacl_access_denied_cmd:0\r\nacl_access_denied_key:0\r\n"
                   "acl_access_denied_channel:0\r\n",
                   sum.network.query_buffer_kills, sum.network.output_buffer_kills);
}

void info_commandstats(struct buffer *out) {
    for (unsigned i = 0; i < command_count(); i++) {
        struct command_counter sum;
        statistics_command(i, &sum);
        if (!sum.calls && !sum.rejected && !sum.failed) continue;
        double us = (double)ticks_to_ns(sum.ticks) / 1000;
        buffer_appendf(out,
                       "cmdstat_%s:calls=%" PRIu64 ",usec=%.0f,usec_per_call=%.2f,rejected_calls=%" PRIu64
                       ",failed_calls=%" PRIu64 "\r\n",
                       command_at(i)->full_name, sum.calls, us, sum.calls ? us / (double)sum.calls : 0,
                       sum.rejected, sum.failed);
    }
}

void info_errorstats(struct buffer *out) {
    struct error_count errors[ERROR_CODES_MAX];
    unsigned count = statistics_errors(errors);
    for (unsigned i = 0; i < count; i++)
        buffer_appendf(out, "errorstat_%s:count=%" PRIu64 "\r\n", errors[i].code, errors[i].count);
}

void info_latencystats(struct buffer *out) {
    if (!config.latency_tracking) return;
    for (unsigned i = 0; i < command_count(); i++) {
        struct histogram histogram;
        if (!histogram_of_command(i, &histogram)) continue;
        buffer_appendf(out, "latency_percentiles_usec_%s:", command_at(i)->full_name);
        for (unsigned j = 0; j < config.percentile_count; j++) {
            char percentile[DOUBLE_TEXT_MAX];
            double_format(percentile, config.percentiles[j]);
            buffer_appendf(out, "%sp%s=%.3f", j ? "," : "", percentile,
                           histogram_percentile(&histogram, config.percentiles[j]) / 1000);
        }
        buffer_append_string(out, "\r\n");
    }
}
