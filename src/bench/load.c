#include "bench/load.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "bench/ask.h"
#include "bench/reply_scan.h"
#include "bench/worker.h"
#include "os/clock.h"
#include "os/socket.h"

void load_fail(struct load *load, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    monitor_enter(&load->guard);
    if (!load->error[0]) vsnprintf(load->error, sizeof load->error, format, arguments);
    atomic_store(&load->stop, true);
    monitor_notify(&load->guard);
    monitor_leave(&load->guard);
    va_end(arguments);
}

static void prepare(struct load *load, const struct options *options, const struct request_shape *shape,
                    const char (*tag_of_slot)[REQUEST_TAG_SIZE], uint64_t seed) {
    memset(load, 0, sizeof *load);
    load->options = options;
    load->shape = shape;
    load->tag_of_slot = tag_of_slot;
    load->seed = seed;
    load->greeting_replies = ask_greeting(options, &load->greeting);
    atomic_init(&load->todo, (int64_t)options->requests);
    monitor_init(&load->guard);
}

// Waits for the workers' end and tells of the progress meanwhile.
static void watch(struct load *load, struct worker **workers, unsigned count, int64_t start_us,
                  load_progress *progress, void *context) {
    int64_t next_us = start_us + LOAD_PROGRESS_MS * 1000;
    while (atomic_load(&load->running)) {
        monitor_enter(&load->guard);
        int64_t left_us = next_us - clock_mono_us();
        if (atomic_load(&load->running) && left_us > 0) monitor_wait(&load->guard, left_us);
        monitor_leave(&load->guard);
        if (clock_mono_us() < next_us) continue;
        next_us += LOAD_PROGRESS_MS * 1000;
        uint64_t requests = 0, latency_us = 0;
        for (unsigned i = 0; i < count; i++)
            worker_progress(workers[i], &requests, &latency_us);
        if (progress && atomic_load(&load->running))
            progress(context, clock_mono_us() - start_us, requests, latency_us);
    }
}

bool load_run(const struct options *options, const struct request_shape *shape,
              const char (*tag_of_slot)[REQUEST_TAG_SIZE], uint64_t seed, load_progress *progress,
              void *context, struct load_result *result) {
    struct load load;
    prepare(&load, options, shape, tag_of_slot, seed);
    unsigned count = options->threads ? options->threads : 1, started = 0, first = 0;
    struct worker **workers = mem_calloc(count, sizeof *workers);
    for (unsigned i = 0; i < count; i++) {
        unsigned share = options->clients / count + (i < options->clients % count);
        workers[i] = worker_create(&load, first, share);
        first += share;
    }
    int64_t start_us = clock_mono_us();
    for (; started < count; started++) {
        atomic_fetch_add(&load.running, 1);
        int error = worker_start(workers[started]);
        if (!error) continue;
        atomic_fetch_sub(&load.running, 1);
        load_fail(&load, "Cannot start a thread: %s", strerror(error));
        break;
    }
    watch(&load, workers, started, start_us, progress, context);
    for (unsigned i = 0; i < started; i++)
        worker_join(workers[i]);
    memset(result, 0, sizeof *result);
    result->elapsed_us = clock_mono_us() - start_us;
    for (unsigned i = 0; i < count; i++) {
        worker_collect(workers[i], result);
        worker_destroy(workers[i]);
    }
    memcpy(result->error, load.error, sizeof result->error);
    mem_free(workers);
    buffer_free(&load.greeting);
    monitor_destroy(&load.guard);
    return result->error[0] == '\0';
}

static int open_idle(const struct options *options) {
    return options->socket ? socket_connect_unix(options->socket)
                           : socket_connect_wait(options->host, options->port, ASK_TIMEOUT_MS);
}

// Greets on a blocking connection; false with the reason in `error`.
static bool greet(int fd, const struct buffer *greeting, unsigned replies, char *error) {
    struct reply_scan scan = {0};
    unsigned completed = 0;
    char input[4096];
    int failed = socket_write_all(fd, greeting->data, greeting->size);
    while (!failed && completed < replies) {
        ssize_t got = socket_read(fd, input, sizeof input);
        size_t at = 0;
        if (got <= 0) {
            snprintf(error, LOAD_ERROR_MAX, "Error: %s",
                     got ? strerror((int)-got) : "Server closed the connection");
            return false;
        }
        if (reply_scan_feed(&scan, input, (size_t)got, &at, &completed) != REPLY_MORE) {
            snprintf(error, LOAD_ERROR_MAX, "Error from server: %s", scan.error);
            return false;
        }
    }
    if (failed) snprintf(error, LOAD_ERROR_MAX, "Error: %s", strerror(-failed));
    return !failed;
}

void load_idle(const struct options *options, char error[LOAD_ERROR_MAX]) {
    struct buffer greeting = BUFFER_EMPTY;
    unsigned replies = ask_greeting(options, &greeting), opened = 0;
    int *connections = mem_calloc(options->clients, sizeof *connections);
    bool well = true;
    for (; well && opened < options->clients; opened++) {
        connections[opened] = open_idle(options);
        if (connections[opened] < 0) {
            snprintf(error, LOAD_ERROR_MAX, "Could not connect: %s", strerror(-connections[opened]));
            break;
        }
        well = greet(connections[opened], &greeting, replies, error);
    }
    while (well && opened == options->clients)
        clock_sleep_us(1000000);
    for (unsigned i = 0; i < opened; i++)
        socket_close(connections[i]);
    mem_free(connections);
    buffer_free(&greeting);
}
