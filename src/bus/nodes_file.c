// nodes.conf: read and locked at the start, written on a thread of its own, so that a slow disk holds up what must wait
// for it and nothing else. Of several saves that wait, the last is written: it covers the others.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "bus/bus_private.h"
#include "os/file.h"
#include "os/thread.h"

enum { NODES_FILE_MAX = 64 * 1024 * 1024, PATH_ROOM = 4096 };

static struct {
    struct monitor monitor; // guards what follows
    bool created, ending;
    uint64_t wanted; // number of the save to be written, 0: none
    struct buffer text;
    struct thread thread;
    char path[PATH_ROOM]; // constant once the thread runs
    int lock_fd;          // the thread's, -1: none
} file = {.lock_fd = -1};

struct saved {
    uint64_t number;
    bool ok;
};

// On the bus thread.
static void tell_saved(void *argument) {
    struct saved *saved = argument;
    struct cluster_event event = {.kind = CLUSTER_EVENT_SAVED, .saved = {saved->number, saved->ok}};
    if (saved->ok) bus.saved = saved->number;
    bus_step(&event);
    if (saved->ok) {
        links_flush_held();
    } else {
        links_drop_held(saved->number);
        orders_fail(saved->number);
    }
    mem_free(saved);
}

static void write_file(uint64_t number, struct bytes text) {
    int error = file_replace_locked(file.path, text, &file.lock_fd);
    if (error) log_write(LOG_WARNING, "Can't save the cluster configuration to %s: %s", file.path, strerror(-error));
    struct saved *saved = mem_alloc(sizeof *saved);
    *saved = (struct saved){number, error == 0};
    loop_post(bus.loop, tell_saved, saved);
}

static void run(void *argument) {
    for (;;) {
        monitor_enter(&file.monitor);
        while (!file.wanted && !file.ending)
            monitor_wait(&file.monitor, -1);
        uint64_t number = file.wanted;
        struct buffer text = file.text;
        file.text = BUFFER_EMPTY;
        file.wanted = 0;
        monitor_leave(&file.monitor);
        if (!number) return;
        write_file(number, buffer_bytes(&text));
        buffer_free(&text);
    }
}

bool nodes_file_open(const char *path, struct buffer *text, struct buffer *error) {
    strncpy(file.path, path, sizeof file.path - 1);
    bool is_new = !file_exists(path);
    file.lock_fd = file_lock(path);
    if (file.lock_fd < 0) {
        buffer_appendf(error,
                       file.lock_fd == -EWOULDBLOCK
                           ? "Sorry, the cluster configuration file %s is already used by a different node. Please make "
                             "sure that different nodes use different cluster configuration files. (%s)"
                           : "Can't open the cluster configuration file %s: %s",
                       path, strerror(-file.lock_fd));
        buffer_string(error);
        return false;
    }
    int failed = file_load(path, NODES_FILE_MAX, text);
    if (failed || (!is_new && text->size == 0 && file_size(path) != 0)) {
        buffer_appendf(error, "Can't read the cluster configuration file %s: %s", path, strerror(-failed));
        buffer_string(error);
        return false;
    }
    monitor_init(&file.monitor);
    file.created = thread_start(&file.thread, "nodes-file", run, NULL) == 0;
    return file.created;
}

void nodes_file_save(uint64_t number, struct bytes text) {
    monitor_enter(&file.monitor);
    file.text.size = 0;
    buffer_append_bytes(&file.text, text);
    file.wanted = number;
    monitor_notify(&file.monitor);
    monitor_leave(&file.monitor);
}

void nodes_file_close(void) {
    if (file.created) {
        monitor_enter(&file.monitor);
        file.ending = true; // what is wanted is still written
        monitor_notify(&file.monitor);
        monitor_leave(&file.monitor);
        thread_join(&file.thread);
        monitor_destroy(&file.monitor);
        buffer_free(&file.text);
        file.created = false;
    }
    if (file.lock_fd >= 0) file_close(file.lock_fd);
    file.lock_fd = -1;
}
