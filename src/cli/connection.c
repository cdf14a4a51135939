#include "cli/connection.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "os/socket.h"
#include "resp/request.h"

enum { READ_STEP = 65536, KEEPALIVE_SECONDS = 15, QUEUE_KEPT = 1024 * 1024 };

struct connection {
    int fd;
    struct buffer queue;
    struct reply_reader *reader;
    bool closed;
    char error[CONNECTION_ERROR_ROOM];
};

// A host that can't be resolved comes back from os/ as EADDRNOTAVAIL.
static const char *describe(int error) {
    return error == EADDRNOTAVAIL ? "Name or service not known" : strerror(error);
}

struct connection *connection_open(const struct endpoint *where, int timeout_ms,
                                   char error[CONNECTION_ERROR_ROOM]) {
    int fd = where->unix_path ? socket_connect_unix(where->unix_path)
                              : socket_connect_wait(where->host, where->port, timeout_ms);
    if (fd < 0) {
        snprintf(error, CONNECTION_ERROR_ROOM, "%s", describe(-fd));
        return NULL;
    }
    if (!where->unix_path) socket_set_keepalive(fd, KEEPALIVE_SECONDS);
    socket_set_timeout(fd, 0);
    struct connection *connection = mem_calloc(1, sizeof *connection);
    connection->fd = fd;
    connection->reader = reply_reader_create();
    return connection;
}

void connection_close(struct connection *connection) {
    if (!connection) return;
    socket_close(connection->fd);
    buffer_free(&connection->queue);
    reply_reader_destroy(connection->reader);
    mem_free(connection);
}

int connection_fd(const struct connection *connection) {
    return connection->fd;
}

void connection_set_timeout(struct connection *connection, int timeout_ms) {
    socket_set_timeout(connection->fd, timeout_ms);
}

struct buffer *connection_queue(struct connection *connection) {
    return &connection->queue;
}

const char *connection_error(const struct connection *connection) {
    return connection->error;
}

bool connection_was_closed(const struct connection *connection) {
    return connection->closed;
}

static bool fail(struct connection *connection, int error) {
    connection->closed = error == 0 || error == ECONNRESET || error == EPIPE;
    const char *why = error == 0        ? "Server closed the connection"
                      : error == EAGAIN ? "Timeout"
                                        : strerror(error);
    snprintf(connection->error, sizeof connection->error, "%s", why);
    return false;
}

bool connection_flush(struct connection *connection) {
    struct buffer *queue = &connection->queue;
    if (!queue->size) return true;
    int result = socket_write_all(connection->fd, queue->data, queue->size);
    queue->size = 0;
    if (queue->capacity > QUEUE_KEPT) buffer_free(queue);
    return result == 0 || fail(connection, -result);
}

const struct reply *connection_read(struct connection *connection) {
    if (!connection_flush(connection)) return NULL;
    for (;;) {
        const struct reply *reply;
        switch (reply_reader_next(connection->reader, &reply)) {
        case REPLY_WHOLE: return reply;
        case REPLY_BROKEN:
            snprintf(connection->error, sizeof connection->error, "Protocol error, %s",
                     reply_reader_error(connection->reader));
            return NULL;
        case REPLY_MORE: break;
        }
        char *room = reply_reader_room(connection->reader, READ_STEP);
        ssize_t got = room ? socket_read(connection->fd, room, READ_STEP) : -ENOMEM;
        if (got <= 0) {
            fail(connection, (int)-got);
            return NULL;
        }
        reply_reader_filled(connection->reader, (size_t)got);
    }
}

const struct reply *connection_command(struct connection *connection, const struct bytes *arguments,
                                       size_t count) {
    request_append(&connection->queue, arguments, count);
    return connection_read(connection);
}

const struct reply *connection_ask(struct connection *connection, const char *const *arguments) {
    size_t count = 0;
    while (arguments[count])
        count++;
    request_begin(&connection->queue, count);
    for (size_t i = 0; i < count; i++)
        request_string(&connection->queue, arguments[i]);
    return connection_read(connection);
}
