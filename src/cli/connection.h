// connection: a blocking connection to one server, with requests queued so that they can be pipelined.
// Belongs to one thread.
#ifndef SHOAL_CLI_CONNECTION_H
#define SHOAL_CLI_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "resp/reply.h"

enum { CONNECTION_ERROR_ROOM = 256 };

// Where a server listens: a Unix socket when `unix_path` is set, else host and port.
struct endpoint {
    const char *host;
    uint16_t port;
    const char *unix_path;
};

struct connection;

// Connects, waiting at most `timeout_ms` (negative: as long as the system does). NULL, with the reason in
// `error`.
struct connection *connection_open(const struct endpoint *where, int timeout_ms,
                                   char error[CONNECTION_ERROR_ROOM]);
void connection_close(struct connection *connection);

int connection_fd(const struct connection *connection);

// Reads that take longer than `timeout_ms` fail from now on; 0: never.
void connection_set_timeout(struct connection *connection, int timeout_ms);

// Queued requests, to be filled with request_append & co.; they leave with the next flush or read.
struct buffer *connection_queue(struct connection *connection);

// Sends what is queued. False when the connection is lost.
bool connection_flush(struct connection *connection);

// Sends what is queued and waits for the next reply, pushes included; it lives until the next call. NULL when
// the connection is lost or the server does not speak the protocol.
const struct reply *connection_read(struct connection *connection);

// Queues a command, sends all and waits for a reply.
const struct reply *connection_command(struct connection *connection, const struct bytes *arguments,
                                       size_t count);
const struct reply *connection_ask(struct connection *connection, const char *const *arguments);

// The same with the arguments written out.
#define CONNECTION_ASK(connection, ...) connection_ask((connection), (const char *const[]){__VA_ARGS__, NULL})

// Did the server answer, and with no error? NULL: it did not.
static inline bool connection_reply_is_fine(const struct reply *reply) {
    return reply && reply->type != REPLY_ERROR;
}

// Why the last call failed.
const char *connection_error(const struct connection *connection);

// Did the server close the connection, or was it reset?
bool connection_was_closed(const struct connection *connection);

#endif
