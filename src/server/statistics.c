#include "server/statistics.h"

#include <string.h>

#include "base/counter.h"
#include "base/memory.h"
#include "call/slot_stats.h"
#include "os/lock.h"
#include "os/memory_use.h"
#include "server/histogram.h"
#include "server/listener.h"

static struct statistics at_reset;
static struct command_counter *commands_at_reset;
static uint64_t peak_memory, startup_memory;

struct sampler {
    uint64_t last;
    uint64_t rates[STATISTICS_SAMPLES];
};
static struct sampler samplers[4];
static unsigned next_sample;
static int64_t last_sample_ms;

static struct lock errors_lock; // guards the two below
static struct error_count errors[ERROR_CODES_MAX];
static unsigned error_codes;

void statistics_start(void) {
    commands_at_reset = mem_calloc(command_count(), sizeof *commands_at_reset);
    startup_memory = peak_memory = memory_use_heap();
}

static void sum_now(struct statistics *sum) {
    memset(sum, 0, sizeof *sum);
    for (unsigned i = 0; i < DISPATCHERS_MAX; i++) {
        const struct dispatch_counters *one = dispatch_counters(i);
        sum->calls.commands += counter_read(&one->commands);
        sum->calls.hits += counter_read(&one->hits);
        sum->calls.misses += counter_read(&one->misses);
        sum->calls.expired += counter_read(&one->expired);
        sum->calls.evicted += counter_read(&one->evicted);
        sum->calls.changes += counter_read(&one->changes);
        sum->calls.errors += counter_read(&one->errors);
    }
    workers_network(&sum->network);
    sum->rejected = listener_rejected();
}

static void command_now(unsigned number, struct command_counter *sum) {
    *sum = (struct command_counter){0};
    for (unsigned i = 0; i < DISPATCHERS_MAX; i++) {
        const struct dispatch_counters *one = dispatch_counters(i);
        if (!one->by_command) continue;
        sum->calls += one->by_command[number].calls;
        sum->ticks += one->by_command[number].ticks;
        sum->rejected += one->by_command[number].rejected;
        sum->failed += one->by_command[number].failed;
    }
}

void statistics_sum(struct statistics *sum) {
    sum_now(sum);
    sum->calls.commands -= at_reset.calls.commands;
    sum->calls.hits -= at_reset.calls.hits;
    sum->calls.misses -= at_reset.calls.misses;
    sum->calls.expired -= at_reset.calls.expired;
    sum->calls.evicted -= at_reset.calls.evicted;
    sum->calls.errors -= at_reset.calls.errors;
    sum->network.connections -= at_reset.network.connections;
    sum->network.bytes_in -= at_reset.network.bytes_in;
    sum->network.bytes_out -= at_reset.network.bytes_out;
    sum->network.reads -= at_reset.network.reads;
    sum->network.writes -= at_reset.network.writes;
    sum->network.query_buffer_kills -= at_reset.network.query_buffer_kills;
    sum->network.output_buffer_kills -= at_reset.network.output_buffer_kills;
    sum->network.replica_bytes_out -= at_reset.network.replica_bytes_out;
    sum->rejected -= at_reset.rejected;
}

void statistics_command(unsigned number, struct command_counter *sum) {
    command_now(number, sum);
    const struct command_counter *before = &commands_at_reset[number];
    sum->calls -= before->calls;
    sum->ticks -= before->ticks;
    sum->rejected -= before->rejected;
    sum->failed -= before->failed;
}

uint64_t statistics_changes(void) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < DISPATCHERS_MAX; i++)
        sum += counter_read(&dispatch_counters(i)->changes);
    return sum;
}

void statistics_reset(void) {
    sum_now(&at_reset);
    for (unsigned i = 0; i < command_count(); i++)
        command_now(i, &commands_at_reset[i]);
    histogram_reset();
    slot_stats_forget_all();
    memset(samplers, 0, sizeof samplers);
    last_sample_ms = 0;
    peak_memory = memory_use_heap();
    lock_acquire(&errors_lock);
    error_codes = 0;
    lock_release(&errors_lock);
}

static void sample(struct sampler *sampler, uint64_t now, int64_t ms) {
    if (ms > 0 && now >= sampler->last) sampler->rates[next_sample] = (now - sampler->last) * 1000 / (uint64_t)ms;
    sampler->last = now;
}

void statistics_sample(int64_t mono_ms) {
    size_t heap = memory_use_heap();
    if (heap > peak_memory) peak_memory = heap;
    if (mono_ms - last_sample_ms < STATISTICS_SAMPLE_MS) return;
    struct statistics sum;
    sum_now(&sum);
    int64_t ms = last_sample_ms ? mono_ms - last_sample_ms : 0;
    sample(&samplers[0], sum.calls.commands, ms);
    sample(&samplers[1], sum.network.bytes_in, ms);
    sample(&samplers[2], sum.network.bytes_out, ms);
    sample(&samplers[3], sum.network.replica_bytes_out, ms);
    next_sample = (next_sample + 1) % STATISTICS_SAMPLES;
    last_sample_ms = mono_ms;
}

static uint64_t average(const struct sampler *sampler) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < STATISTICS_SAMPLES; i++)
        sum += sampler->rates[i];
    return sum / STATISTICS_SAMPLES;
}

void statistics_rates(struct statistics_rates *rates) {
    rates->commands = average(&samplers[0]);
    rates->bytes_in = average(&samplers[1]);
    rates->bytes_out = average(&samplers[2]);
    rates->replica_bytes_out = average(&samplers[3]);
}

uint64_t statistics_peak_memory(void) {
    size_t heap = memory_use_heap();
    if (heap > peak_memory) peak_memory = heap;
    return peak_memory;
}

uint64_t statistics_startup_memory(void) {
    return startup_memory;
}

void statistics_error(const char *code, unsigned size) {
    if (size >= ERROR_CODE_SIZE) size = ERROR_CODE_SIZE - 1;
    lock_acquire(&errors_lock);
    unsigned i = 0;
    while (i < error_codes && (strncmp(errors[i].code, code, size) != 0 || errors[i].code[size]))
        i++;
    if (i == error_codes && i < ERROR_CODES_MAX) {
        memset(&errors[i], 0, sizeof errors[i]);
        memcpy(errors[i].code, code, size);
        error_codes++;
    }
    if (i < ERROR_CODES_MAX) errors[i].count++;
    lock_release(&errors_lock);
}

unsigned statistics_errors(struct error_count out[ERROR_CODES_MAX]) {
    lock_acquire(&errors_lock);
    unsigned count = error_codes;
    memcpy(out, errors, count * sizeof *out);
    lock_release(&errors_lock);
    return count;
}
