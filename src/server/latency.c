#include "server/latency.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "call/call.h"
#include "os/clock.h"
#include "os/lock.h"
#include "server/admin.h"
#include "server/histogram.h"

struct sample {
    int64_t seconds, ms;
};

struct history {
    struct sample samples[LATENCY_SAMPLES_MAX]; // a ring
    unsigned count, next;
    int64_t longest;
};

static const char *const names[LATENCY_EVENTS] = {"command", "fast-command", "expire-cycle", "eviction-cycle", "fork"};
static struct lock histories_lock; // guards the histories
static struct history histories[LATENCY_EVENTS];

static struct sample *last_sample(struct history *history) {
    return &history->samples[(history->next + LATENCY_SAMPLES_MAX - 1) % LATENCY_SAMPLES_MAX];
}

void latency_add(enum latency_event event, int64_t ms) {
    if (settings.latency_monitor_threshold == 0 || ms < settings.latency_monitor_threshold) return;
    struct history *history = &histories[event];
    int64_t now = clock_wall_ms() / 1000;
    lock_acquire(&histories_lock);
    if (ms > history->longest) history->longest = ms;
    struct sample *last = last_sample(history);
    if (history->count && last->seconds == now) { // one sample a second: the longest
        if (ms > last->ms) last->ms = ms;
    } else {
        history->samples[history->next] = (struct sample){now, ms};
        history->next = (history->next + 1) % LATENCY_SAMPLES_MAX;
        if (history->count < LATENCY_SAMPLES_MAX) history->count++;
    }
    lock_release(&histories_lock);
}

static const struct sample *sample_at(const struct history *history, unsigned i) {
    return &history->samples[(history->next + LATENCY_SAMPLES_MAX - history->count + i) % LATENCY_SAMPLES_MAX];
}

static struct history *history_named(struct bytes name) {
    for (int i = 0; i < LATENCY_EVENTS; i++)
        if (bytes_is(name, names[i])) return &histories[i];
    return NULL;
}

// --- LATENCY

static void latency_latest(struct call *call) {
    size_t count = 0;
    lock_acquire(&histories_lock);
    for (int i = 0; i < LATENCY_EVENTS; i++)
        count += histories[i].count != 0;
    reply_array(call->reply, count);
    for (int i = 0; i < LATENCY_EVENTS; i++) {
        if (!histories[i].count) continue;
        reply_array(call->reply, 4);
        reply_bulk_string(call->reply, names[i]);
        reply_integer(call->reply, last_sample(&histories[i])->seconds);
        reply_integer(call->reply, last_sample(&histories[i])->ms);
        reply_integer(call->reply, histories[i].longest);
    }
    lock_release(&histories_lock);
}

static void latency_history(struct call *call) {
    const struct history *history = history_named(call->argv[2]);
    lock_acquire(&histories_lock);
    unsigned count = history ? history->count : 0;
    reply_array(call->reply, count);
    for (unsigned i = 0; i < count; i++) {
        reply_array(call->reply, 2);
        reply_integer(call->reply, sample_at(history, i)->seconds);
        reply_integer(call->reply, sample_at(history, i)->ms);
    }
    lock_release(&histories_lock);
}

static void latency_reset(struct call *call) {
    int64_t count = 0;
    lock_acquire(&histories_lock);
    for (int i = 0; i < LATENCY_EVENTS; i++) {
        bool wanted = call->argc == 2;
        for (int j = 2; j < call->argc; j++)
            wanted = wanted || bytes_is(call->argv[j], names[i]);
        if (!wanted || !histories[i].count) continue;
        memset(&histories[i], 0, sizeof histories[i]);
        count++;
    }
    lock_release(&histories_lock);
    reply_integer(call->reply, count);
}

// Bars of a history, a column for each sample, the newest at the right, with how long ago each was below.
enum { GRAPH_ROWS = 4, GRAPH_COLUMNS = 80, AGE_SIZE = 4 };

static void age_of(int64_t seconds, char text[AGE_SIZE + 1]) {
    static const struct {
        int64_t unit;
        char letter;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    size_t i = 0;
    while (i < 3 && seconds < units[i].unit)
        i++;
    int64_t number = seconds / units[i].unit;
    snprintf(text, AGE_SIZE + 1, "%d%c", (int)(number > 999 ? 999 : number), units[i].letter);
}

static void draw(const struct history *history, struct buffer *out) {
    static const char marks[] = "_o#";
    unsigned columns = history->count < GRAPH_COLUMNS ? history->count : GRAPH_COLUMNS;
    unsigned from = history->count - columns;
    int64_t low = INT64_MAX, high = 0, now = clock_wall_ms() / 1000;
    for (unsigned i = 0; i < columns; i++) {
        int64_t ms = sample_at(history, from + i)->ms;
        if (ms < low) low = ms;
        if (ms > high) high = ms;
    }
    buffer_appendf(out, " - high %" PRId64 " ms, low %" PRId64 " ms (all time high %" PRId64 " ms)\n", high, low,
                   history->longest);
    for (unsigned i = 0; i < GRAPH_COLUMNS; i++)
        buffer_append_byte(out, '-');
    buffer_append_byte(out, '\n');
    int64_t steps = GRAPH_ROWS * 3, range = high > low ? high - low : 1;
    for (int row = GRAPH_ROWS - 1; row >= 0; row--) {
        for (unsigned i = 0; i < columns; i++) {
            int64_t height = (sample_at(history, from + i)->ms - low) * (steps - 1) / range - row * 3;
            buffer_append_byte(out, height < 0 ? ' ' : height > 2 ? '|' : marks[height]);
        }
        buffer_append_byte(out, '\n');
    }
    buffer_append_byte(out, '\n');
    for (unsigned line = 0; line < AGE_SIZE; line++) {
        for (unsigned i = 0; i < columns; i++) {
            char text[AGE_SIZE + 1] = "";
            age_of(now - sample_at(history, from + i)->seconds, text);
            buffer_append_byte(out, line < strlen(text) ? text[line] : ' ');
        }
        buffer_append_byte(out, '\n');
    }
}

static void latency_graph(struct call *call) {
    const struct history *history = history_named(call->argv[2]);
    struct buffer text = BUFFER_EMPTY;
    lock_acquire(&histories_lock);
    if (history && history->count) {
        buffer_append_string(&text, names[history - histories]);
        draw(history, &text);
    }
    lock_release(&histories_lock);
    if (text.size)
        reply_verbatim(call->reply, "txt", buffer_bytes(&text));
    else
        reply_errorf(call->reply, "ERR No samples available for event '%.*s'", (int)call->argv[2].size,
                     call->argv[2].data);
    buffer_free(&text);
}

static void describe(int event, const struct history *history, struct buffer *out) {
    int64_t sum = 0, low = INT64_MAX;
    for (unsigned i = 0; i < history->count; i++) {
        sum += sample_at(history, i)->ms;
        if (sample_at(history, i)->ms < low) low = sample_at(history, i)->ms;
    }
    int64_t first = sample_at(history, 0)->seconds, last = sample_at(history, history->count - 1)->seconds;
    buffer_appendf(out,
                   "%s: %u spikes (average %" PRId64 " ms, shortest %" PRId64 " ms, longest ever %" PRId64
                   " ms), over a period of %" PRId64 " seconds.\n",
                   names[event], history->count, sum / history->count, low, history->longest, last - first);
    static const char *const advice[LATENCY_EVENTS] = {
        "Look into SLOWLOG for the commands, and avoid those that work through many keys at once.",
        "Commands that take constant time were slow: the machine may lack CPU time, or it swaps.",
        "Many keys expire at the same moment: spread their times to live.",
        "Memory is at maxmemory: raise it, or write less.",
        "Forking for snapshots is slow on this machine: save less often.",
    };
    buffer_appendf(out, "   %s\n", advice[event]);
}

static void latency_doctor(struct call *call) {
    struct buffer text = BUFFER_EMPTY;
    if (settings.latency_monitor_threshold == 0)
        buffer_append_string(&text, "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Shoal "
                                    "instance. You may use \"CONFIG SET latency-monitor-threshold <milliseconds>.\" in "
                                    "order to enable it.\n");
    lock_acquire(&histories_lock);
    for (int i = 0; i < LATENCY_EVENTS && settings.latency_monitor_threshold; i++)
        if (histories[i].count) describe(i, &histories[i], &text);
    lock_release(&histories_lock);
    if (text.size == 0) buffer_append_string(&text, "Dave, no latency spike was observed during the lifetime of this "
                                                    "Shoal instance, not in the slightest bit. I honestly think you "
                                                    "ought to sit down calmly, take a stress pill, and think things "
                                                    "over.\n");
    reply_verbatim(call->reply, "txt", buffer_bytes(&text));
    buffer_free(&text);
}

// One command's calls: those that took up to 1, 2, 4 ... microseconds, as far as there are more of them.
static void reply_histogram(struct reply *reply, const struct command *command, const struct histogram *histogram) {
    enum { POWERS = 32 };
    reply_bulk_string(reply, command->full_name);
    reply_map(reply, 2);
    reply_bulk_string(reply, "calls");
    reply_integer(reply, (int64_t)histogram->total);
    reply_bulk_string(reply, "histogram_usec");
    size_t place = reply_array_begin(reply), count = 0;
    uint64_t before = 0;
    for (unsigned power = 0; power < POWERS && before < histogram->total; power++) {
        uint64_t now = power == POWERS - 1 ? histogram->total : histogram_up_to(histogram, 1ull << power);
        if (now == before) continue;
        reply_integer(reply, (int64_t)(1ull << power));
        reply_integer(reply, (int64_t)now);
        before = now;
        count++;
    }
    reply_map_end(reply, place, count);
}

// The histograms of a command and of its subcommands (NULL: of all commands) that were called; their number.
static size_t reply_histograms(struct reply *reply, const struct command *wanted) {
    size_t count = 0;
    for (unsigned i = 0; i < command_count(); i++) {
        const struct command *command = command_at(i);
        struct histogram histogram;
        if (wanted && command != wanted && command->parent != wanted) continue;
        if (!histogram_of_command(i, &histogram)) continue;
        reply_histogram(reply, command, &histogram);
        count++;
    }
    return count;
}

// In the order in which they were asked for; twice if twice.
static void latency_histogram(struct call *call) {
    size_t place = reply_array_begin(call->reply), count = 0;
    if (call->argc == 2) count = reply_histograms(call->reply, NULL);
    for (int i = 2; i < call->argc; i++) {
        const struct command *wanted = command_lookup_name(call->argv[i]);
        if (wanted) count += reply_histograms(call->reply, wanted);
    }
    reply_map_end(call->reply, place, count);
}

static void latency_help(struct call *call) {
    static const char *const lines[] = {
        "DOCTOR",
        "    Return a human readable latency analysis report.",
        "GRAPH <event>",
        "    Return an ASCII latency graph for the <event> class.",
        "HISTORY <event>",
        "    Return time-latency samples for the <event> class.",
        "LATEST",
        "    Return the latest latency samples for all events.",
        "RESET [<event> ...]",
        "    Reset latency data of one or more <event> classes.",
        "    (default: reset all data for all event classes)",
        "HISTOGRAM [COMMAND ...]",
        "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
        "    If no commands are specified then all histograms are replied.",
        NULL};
    call_reply_help(call, lines);
}

enum { LATENCY_FLAGS = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE };

static const struct command subcommands[] = {
    {.name = "latest", .run = latency_latest, .arity = 2, .flags = LATENCY_FLAGS},
    {.name = "history", .run = latency_history, .arity = 3, .flags = LATENCY_FLAGS},
    {.name = "reset", .run = latency_reset, .arity = -2, .flags = LATENCY_FLAGS},
    {.name = "graph", .run = latency_graph, .arity = 3, .flags = LATENCY_FLAGS},
    {.name = "doctor", .run = latency_doctor, .arity = 2, .flags = LATENCY_FLAGS},
    {.name = "histogram", .run = latency_histogram, .arity = -2, .flags = LATENCY_FLAGS, .admission = ADMIT_EXCLUSIVE},
    {.name = "help", .run = latency_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE},
    {.name = NULL},
};

const struct command latency_commands[] = {
    {.name = "latency", .arity = -2, .subcommands = subcommands},
    {.name = NULL},
};
