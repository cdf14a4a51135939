// The threads that carry keys to their targets, over sockets that are kept open for a while.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "migration/migration_private.h"
#include "os/clock.h"
#include "os/socket.h"
#include "os/thread.h"
#include "resp/request.h"

enum { COURIERS = 4, CACHED_MAX = 64, KEEP_MS = 10000, READ_ROOM = 16 * 1024, REPLY_LINE_MAX = 64 * 1024 };

struct target {
    int fd; // -1: free place
    char host[TARGET_HOST_MAX];
    uint16_t port;
    int64_t db; // that the connection has selected
    int64_t used_ms;
};

static struct monitor monitor; // guards what follows
static struct list_node queue = {&queue, &queue};
static struct target cache[CACHED_MAX];
static bool stopping;
static int at_work[COURIERS + 1]; // the socket that each courier, and a worker inside EXEC, may be waiting for, -1: none
static unsigned started;
static struct thread threads[COURIERS];
static void (*job_ended)(struct job *job);

// --- Connections.

static void close_old(int64_t now) {
    for (int i = 0; i < CACHED_MAX; i++) {
        if (cache[i].fd < 0 || now - cache[i].used_ms <= KEEP_MS) continue;
        socket_close(cache[i].fd);
        cache[i].fd = -1;
    }
}

// Takes a kept connection out of the cache; false: there is none.
static bool take_cached(const struct job *job, struct target *target) {
    bool found = false;
    monitor_enter(&monitor);
    close_old(clock_mono_ms());
    for (int i = 0; i < CACHED_MAX && !found; i++) {
        if (cache[i].fd < 0 || cache[i].port != job->port || strcmp(cache[i].host, job->host) != 0) continue;
        *target = cache[i];
        cache[i].fd = -1;
        found = true;
    }
    monitor_leave(&monitor);
    return found;
}

// The sockets that threads wait for are known, so that the end of the server need not wait with them.
// False: it is the end.
static bool take_up(unsigned courier, int fd) {
    monitor_enter(&monitor);
    bool fine = !stopping;
    at_work[courier] = fd;
    monitor_leave(&monitor);
    return fine;
}

static void lay_down(unsigned courier) {
    monitor_enter(&monitor);
    at_work[courier] = -1;
    monitor_leave(&monitor);
}

static void keep(struct target *target) {
    target->used_ms = clock_mono_ms();
    monitor_enter(&monitor);
    for (int i = 0; i < CACHED_MAX; i++) {
        if (cache[i].fd >= 0) continue;
        cache[i] = *target;
        target->fd = -1;
        break;
    }
    monitor_leave(&monitor);
    if (target->fd >= 0) socket_close(target->fd);
}

unsigned migration_cached_sockets(void) {
    unsigned count = 0;
    if (!started) return 0;
    monitor_enter(&monitor);
    for (int i = 0; i < CACHED_MAX; i++)
        count += cache[i].fd >= 0;
    monitor_leave(&monitor);
    return count;
}

// --- One exchange.

// Reads the next reply, which is one line for all that is asked here, into `line`. 0 or -errno.
static int read_line(int fd, struct buffer *input, size_t *at, struct buffer *line) {
    for (;;) {
        char *end = input->size > *at ? memchr(input->data + *at, '\n', input->size - *at) : NULL;
        if (end) {
            size_t size = (size_t)(end - (input->data + *at));
            line->size = 0;
            buffer_append(line, input->data + *at, size && end[-1] == '\r' ? size - 1 : size);
            buffer_string(line);
            *at += size + 1;
            return 0;
        }
        if (input->size - *at > REPLY_LINE_MAX) return -EPROTO;
        buffer_reserve(input, READ_ROOM);
        ssize_t got = socket_read(fd, input->data + input->size, READ_ROOM);
        if (got <= 0) return got == 0 ? -ECONNRESET : (int)got;
        input->size += (size_t)got;
    }
}

static void set_error(struct job *job, const char *text) {
    if (job->error.size) return; // the first one is told
    buffer_append_string(&job->error, text);
}

static void target_error(struct job *job, const char *line) {
    if (job->error.size) return;
    buffer_appendf(&job->error, "ERR Target instance replied with error: %s", line + 1);
}

// What is said with a target about one job.
struct talk {
    struct job *job;
    struct target *target;
    struct buffer input, line;
    size_t at;        // the input is read up to here
    unsigned answers; // that have come
    bool usable;      // nothing stands against the keys so far
};

// Says who we are and which database we mean. *due: how many answers that asks for. 0 or -errno.
static int send_prefix(const struct talk *talk, bool selects, unsigned *due) {
    struct buffer prefix = BUFFER_EMPTY;
    buffer_append_bytes(&prefix, buffer_bytes(&talk->job->authentication));
    *due = (talk->job->authentication.size > 0) + selects;
    if (selects) {
        request_begin(&prefix, 2);
        request_string(&prefix, "SELECT");
        request_integer(&prefix, talk->job->target_db);
    }
    int result = prefix.size ? socket_write_all(talk->target->fd, prefix.data, prefix.size) : 0;
    buffer_free(&prefix);
    return result;
}

static int send_keys(const struct talk *talk) {
    return socket_write_all(talk->target->fd, talk->job->requests.data, talk->job->requests.size);
}

static int read_answer(struct talk *talk) {
    int result = read_line(talk->target->fd, &talk->input, &talk->at, &talk->line);
    if (result == 0) talk->answers++;
    return result;
}

static int read_prefix(struct talk *talk, unsigned due) {
    int result = 0;
    for (unsigned i = 0; i < due && result == 0; i++) {
        result = read_answer(talk);
        if (result || talk->line.data[0] != '-') continue;
        target_error(talk->job, talk->line.data);
        talk->usable = false;
    }
    return result;
}

// Notes which keys have arrived.
static int read_keys(struct talk *talk) {
    struct job *job = talk->job;
    int result = 0;
    for (int i = 0; i < job->key_count && result == 0; i++) {
        result = read_answer(talk);
        if (result) break;
        if (talk->line.data[0] == '-')
            target_error(job, talk->line.data);
        else
            job->keys[i].arrived = talk->usable;
    }
    return result;
}

// Sends the job and reads the answers. The keys of another database than the connection's wait until that is selected:
// at a target that does not have it they would else be left in the wrong one. *sending, *reading: 0 or -errno.
static void converse(struct talk *talk, int *sending, int *reading) {
    bool selects = talk->target->db != talk->job->target_db;
    unsigned due;
    *reading = 0;
    *sending = send_prefix(talk, selects, &due);
    if (!*sending && !selects) *sending = send_keys(talk);
    if (!*sending) *reading = read_prefix(talk, due);
    if (*sending || *reading) return;
    if (selects) {
        talk->target->db = talk->usable ? talk->job->target_db : -1;
        if (!talk->usable) return;
        *sending = send_keys(talk);
    }
    if (!*sending) *reading = read_keys(talk);
}

// 0 or -errno.
static int connect_to(const struct job *job, struct target *target, unsigned courier) {
    snprintf(target->host, sizeof target->host, "%s", job->host);
    target->db = 0;
    target->fd = socket_connect_start(job->host, job->port, NULL);
    if (target->fd < 0) return target->fd;
    int result = take_up(courier, target->fd) ? socket_connect_finish(target->fd, job->timeout_ms) : -ECANCELED;
    lay_down(courier);
    if (result) socket_close(target->fd);
    return result;
}

// Sends the job and reads its answers. *sending, *reading: 0 or -errno; *answers: how many came.
static void exchange(struct job *job, struct target *target, unsigned courier, int *sending, int *reading,
                     unsigned *answers) {
    struct talk talk = {.job = job, .target = target, .input = BUFFER_EMPTY, .line = BUFFER_EMPTY, .usable = true};
    *sending = -ECANCELED;
    *reading = 0;
    socket_set_timeout(target->fd, job->timeout_ms);
    if (take_up(courier, target->fd)) converse(&talk, sending, reading);
    lay_down(courier);
    *answers = talk.answers;
    buffer_free(&talk.input);
    buffer_free(&talk.line);
}

static void carry(struct job *job, unsigned courier) {
    static const char writing_failed[] = "IOERR error or timeout writing to target instance";
    for (int attempt = 0; attempt < 2; attempt++) {
        struct target target = {.fd = -1, .port = job->port, .db = -1};
        bool cached = attempt == 0 && take_cached(job, &target);
        int failed = cached ? 0 : connect_to(job, &target, courier);
        if (failed) { // Redis finds out that nobody listens when it writes
            bool found = failed != -EADDRNOTAVAIL;
            set_error(job, found ? writing_failed : "IOERR error or timeout connecting to the client");
            return;
        }
        int sending, reading;
        unsigned answers;
        exchange(job, &target, courier, &sending, &reading, &answers);
        if (!sending && !reading) {
            keep(&target);
            return;
        }
        socket_close(target.fd);
        // A kept connection may have been closed by the target meanwhile: once more with a new one.
        if (cached && answers == 0 && sending != -EAGAIN && reading != -EAGAIN) continue;
        // Redis's words, letter by letter.
        set_error(job, sending ? writing_failed : "IOERR error or timeout reading to target instance");
        return;
    }
}

// --- The threads.

static void run(void *argument) {
    unsigned courier = (unsigned)(uintptr_t)argument;
    for (;;) {
        monitor_enter(&monitor);
        while (list_empty(&queue) && !stopping)
            monitor_wait(&monitor, -1);
        struct list_node *node = stopping ? NULL : queue.next;
        if (node) list_remove(node);
        monitor_leave(&monitor);
        if (!node) return;
        struct job *job = LIST_ENTRY(node, struct job, node);
        carry(job, courier);
        job_ended(job);
    }
}

void courier_start(void (*ended)(struct job *job)) {
    job_ended = ended;
    monitor_init(&monitor);
    for (int i = 0; i < CACHED_MAX; i++)
        cache[i].fd = -1;
    for (int i = 0; i <= COURIERS; i++)
        at_work[i] = -1;
    for (started = 0; started < COURIERS; started++)
        if (thread_start(&threads[started], "courier", run, (void *)(uintptr_t)started) != 0) break;
    if (started == 0) log_write(LOG_WARNING, "no thread for MIGRATE could be started");
}

void courier_send(struct job *job) {
    monitor_enter(&monitor);
    list_append(&queue, &job->node);
    monitor_notify(&monitor);
    monitor_leave(&monitor);
}

void courier_carry(struct job *job) {
    carry(job, COURIERS);
}

void courier_stop(void) {
    if (!started) return;
    monitor_enter(&monitor);
    stopping = true;
    for (int i = 0; i <= COURIERS; i++)
        if (at_work[i] >= 0) socket_interrupt(at_work[i]);
    monitor_notify(&monitor);
    monitor_leave(&monitor);
    while (started)
        thread_join(&threads[--started]);
    for (int i = 0; i < CACHED_MAX; i++)
        if (cache[i].fd >= 0) socket_close(cache[i].fd);
    monitor_destroy(&monitor);
}
