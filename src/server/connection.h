// connection: a client's socket with its buffers. Belongs to one worker at a time; only worker.c, worker_clients.c and
// connection.c look inside.
#ifndef SHOAL_SERVER_CONNECTION_H
#define SHOAL_SERVER_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/list.h"
#include "call/session.h"
#include "net/loop.h"
#include "resp/parser.h"

struct connection {
    struct source source;
    struct worker *worker;
    struct buffer input;
    size_t parsed;   // bytes of input that are parsed
    size_t executed; // bytes of input whose commands were executed; parsed >= executed
    struct resp_parser parser;
    const char *protocol_error; // told when everything before it is executed
    size_t sent;                // bytes of session.output that are sent; what is attached before them, too
    bool readable;   // the socket may hold more
    bool blocked;    // the socket took no more: wait for it to become writable
    bool held_back;  // a command of it was parked: the rest of its wave must wait
    struct list_node ready;  // has input to be parsed
    struct list_node dirty;  // has output to be sent
    struct list_node hungry; // must be read again without waiting for an edge
    struct list_node parked; // session.waiting is not WAIT_NOTHING
    struct list_node unsettled; // its place is to be looked for when the turn ends
    struct session session;
    struct list_node all; // of the worker
    struct connection *next_by_id;
    uint64_t number; // in the order of coming; its place among the workers depends on it
    uint32_t crew;   // crew_now() when that was looked for
    unsigned early_reads; // so far, while it has only just come
    int64_t soft_limit_since_ms; // the output has been over its soft limit since, 0: it is not
};

enum read_result { READ_SOME, READ_NOTHING, READ_CLOSED, READ_OVER_LIMIT };

// Reads once into the input buffer. *count: bytes read.
enum read_result connection_read(struct connection *connection, uint64_t limit, size_t *count);

// Drops the executed bytes from the input; gives back a buffer that grew large. Nothing may point into it any more.
void connection_compact(struct connection *connection);

// Sends session.output, and what is attached to it, as far as the socket takes it. False: the connection is
// broken. *count: bytes sent.
bool connection_flush(struct connection *connection, size_t *count);

// Sends bytes that are not in the output (a replica's stream). -1: broken, else how many were taken.
ssize_t connection_send(struct connection *connection, struct bytes bytes);

#endif
