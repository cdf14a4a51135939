#include "bus/slot_stats.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "call/slot_stats.h"
#include "keyspace/route.h"
#include "os/ticks.h"

enum metric { KEY_COUNT, CPU_USEC, NETWORK_BYTES_IN, NETWORK_BYTES_OUT, METRICS };

static const char *const names[METRICS] = {"key-count", "cpu-usec", "network-bytes-in", "network-bytes-out"};

struct row {
    unsigned slot;
    uint64_t values[METRICS];
};

// How many of the metrics there are: the costs only while they are counted.
static unsigned metrics_now(void) {
    return slot_stats_are_on() ? METRICS : KEY_COUNT + 1;
}

static void read_row(const struct call *call, unsigned slot, struct row *row) {
    struct slot_stats cost = slot_stats_read(slot);
    row->slot = slot;
    row->values[KEY_COUNT] = keyspace_slot_count(call->keyspace, slot);
    row->values[CPU_USEC] = (uint64_t)ticks_to_ns(cost.ticks) / 1000;
    row->values[NETWORK_BYTES_IN] = cost.bytes_in;
    row->values[NETWORK_BYTES_OUT] = cost.bytes_out;
}

// The rows of those slots from `first` to `last` that this shard owns, ascending; to be freed.
static struct row *read_rows(const struct call *call, unsigned first, unsigned last, size_t *count) {
    const struct routes *routes = keyspace_routes(call->keyspace);
    struct row *rows = mem_calloc(last - first + 1, sizeof *rows);
    *count = 0;
    for (unsigned slot = first; routes && slot <= last; slot++)
        if (routes->owner[slot] != ROUTE_NONE && routes->owner[slot] == routes->my_primary)
            read_row(call, slot, &rows[(*count)++]);
    return rows;
}

static void reply_rows(struct reply *reply, const struct row *rows, size_t count) {
    unsigned metrics = metrics_now();
    reply_array(reply, count);
    for (size_t i = 0; i < count; i++) {
        reply_array(reply, 2);
        reply_integer(reply, rows[i].slot);
        reply_map(reply, metrics);
        for (unsigned metric = 0; metric < metrics; metric++) {
            reply_bulk_string(reply, names[metric]);
            reply_integer(reply, (int64_t)rows[i].values[metric]);
        }
    }
}

// --- SLOTSRANGE start end

static bool parse_slot(struct call *call, struct bytes text, unsigned *slot) {
    int64_t number;
    if (!number_parse(text, &number) || number < 0 || number >= HASH_SLOTS) {
        reply_error(call->reply, "ERR Invalid or out of range slot");
        return false;
    }
    *slot = (unsigned)number;
    return true;
}

static void reply_range(struct call *call) {
    unsigned first, last;
    if (!parse_slot(call, call->argv[3], &first) || !parse_slot(call, call->argv[4], &last)) return;
    if (first > last) {
        reply_errorf(call->reply, "ERR Start slot number %u is greater than end slot number %u", first, last);
        return;
    }
    size_t count;
    struct row *rows = read_rows(call, first, last, &count);
    reply_rows(call->reply, rows, count);
    mem_free(rows);
}

// --- ORDERBY metric [LIMIT limit] [ASC|DESC]

struct order_by {
    unsigned metric;
    int64_t limit;
    bool ascending;
};

static bool parse_metric(struct call *call, struct bytes name, unsigned *metric) {
    unsigned metrics = metrics_now();
    for (*metric = 0; *metric < metrics; ++*metric)
        if (bytes_is(name, names[*metric])) return true;
    reply_error(call->reply, "ERR Unrecognized sort metric for ORDERBY.");
    return false;
}

static bool parse_limit(struct call *call, struct bytes text, int64_t *limit) {
    if (number_parse(text, limit) && *limit >= 1 && *limit <= HASH_SLOTS) return true;
    reply_errorf(call->reply, "ERR Limit has to lie in between 1 and %d (maximum number of slots).",
                 HASH_SLOTS);
    return false;
}

static bool parse_order_by(struct call *call, struct order_by *order) {
    bool has_limit = false, has_direction = false;
    *order = (struct order_by){.limit = HASH_SLOTS};
    if (!parse_metric(call, call->argv[3], &order->metric)) return false;
    for (int i = 4; i < call->argc; i++) {
        struct bytes word = call->argv[i];
        bool ascending = bytes_is(word, "asc");
        if (!has_limit && bytes_is(word, "limit") && i + 1 < call->argc) {
            if (!parse_limit(call, call->argv[++i], &order->limit)) return false;
            has_limit = true;
        } else if (!has_direction && (ascending || bytes_is(word, "desc"))) {
            order->ascending = ascending;
            has_direction = true;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

// Rows of equal values stand by their slots, ascending, in either direction.
static int compare(const void *a, const void *b, void *order_by) {
    const struct order_by *order = order_by;
    const struct row *left = a, *right = b;
    uint64_t x = left->values[order->metric], y = right->values[order->metric];
    if (x == y) return left->slot < right->slot ? -1 : 1;
    return (x < y) == order->ascending ? -1 : 1;
}

static void reply_ordered(struct call *call) {
    struct order_by order;
    if (!parse_order_by(call, &order)) return;
    size_t count;
    struct row *rows = read_rows(call, 0, HASH_SLOTS - 1, &count);
    qsort_r(rows, count, sizeof *rows, compare, &order);
    reply_rows(call->reply, rows, count < (size_t)order.limit ? count : (size_t)order.limit);
    mem_free(rows);
}

void cluster_slot_stats(struct call *call) {
    if (bytes_is(call->argv[2], "slotsrange") && call->argc == 5)
        reply_range(call);
    else if (bytes_is(call->argv[2], "orderby"))
        reply_ordered(call);
    else
        call_unknown_subcommand(call);
}
