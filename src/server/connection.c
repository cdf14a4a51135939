#include "server/connection.h"

#include <errno.h>
#include <sys/uio.h>

#include "os/socket.h"

enum {
    READ_ROOM = 16 * 1024,
    KEEP_CAPACITY = 64 * 1024, // a buffer that grew beyond this is given back once it is empty
    PARTS_MAX = 64,            // of one writev
    WANTED_MAX =
        64 * 1024 * 1024, // room made at once for a bulk that announces itself; beyond it grows as bytes come
};

static bool make_room(struct connection *connection) {
    struct buffer *input = &connection->input;
    size_t room = connection->parser.wanted > READ_ROOM ? connection->parser.wanted : READ_ROOM;
    if (room > WANTED_MAX) room = WANTED_MAX;
    if (input->capacity - input->size >= room) return true;
    // A large bulk's announced size is taken exactly (it would double otherwise), if the memory is there.
    return buffer_try_reserve(input, room);
}

enum read_result connection_read(struct connection *connection, uint64_t limit, size_t *count) {
    struct buffer *input = &connection->input;
    *count = 0;
    if (!make_room(connection)) return READ_OVER_LIMIT;
    size_t room = input->capacity - input->size;
    ssize_t got = socket_read(connection->source.fd, input->data + input->size, room);
    if (got == -EAGAIN) {
        connection->readable = false;
        return READ_NOTHING;
    }
    if (got <= 0) return READ_CLOSED;
    input->size += (size_t)got;
    *count = (size_t)got;
    connection->readable = (size_t)got == room; // a short read has emptied the socket
    // What a transaction has queued is input that waits, too.
    size_t waiting = input->size - connection->executed + connection->session.transaction.memory;
    return limit && waiting > limit ? READ_OVER_LIMIT : READ_SOME;
}

void connection_compact(struct connection *connection) {
    struct buffer *input = &connection->input;
    if (connection->executed == input->size) {
        input->size = 0;
        if (input->capacity > KEEP_CAPACITY) buffer_free(input);
    } else if (connection->executed < input->size - connection->executed) {
        return; // moved once it is worth it, else a long pipeline is moved again and again
    } else {
        buffer_drop_front(input, connection->executed);
    }
    connection->parsed -= connection->executed;
    connection->executed = 0;
}

// What is to be sent next, in order: the output's bytes up to an attachment, that, the bytes up to the next
// ...
static int gather(const struct connection *connection, struct iovec *parts) {
    const struct buffer *output = &connection->session.output;
    const struct attachments *attachments = &connection->session.attachments;
    size_t from = connection->sent;
    int count = 0;
    for (unsigned i = attachments->first; i < attachments->count; i++) {
        const struct attachment *attachment = &attachments->items[i];
        if (count + 2 > PARTS_MAX) return count;
        if (attachment->at > from)
            parts[count++] = (struct iovec){output->data + from, attachment->at - from};
        parts[count++] = (struct iovec){(char *)attachment->bytes.data, attachment->bytes.size};
        from = attachment->at;
    }
    if (count < PARTS_MAX && output->size > from)
        parts[count++] = (struct iovec){output->data + from, output->size - from};
    return count;
}

static size_t lesser(size_t a, size_t b) {
    return a < b ? a : b;
}

static void note_sent(struct connection *connection, size_t count) {
    struct attachments *attachments = &connection->session.attachments;
    while (count) {
        bool attached = attachments->first < attachments->count;
        const struct attachment *next = attached ? &attachments->items[attachments->first] : NULL;
        size_t part =
            lesser(count, (attached ? next->at : connection->session.output.size) - connection->sent);
        connection->sent += part;
        count -= part;
        if (!attached || connection->sent < next->at) continue;
        part = lesser(count, next->bytes.size);
        attachments_sent(attachments, part);
        count -= part;
    }
}

static ssize_t send_some(struct connection *connection) {
    const struct buffer *output = &connection->session.output;
    int fd = connection->source.fd;
    if (__builtin_expect(connection->session.attachments.count == 0, 1))
        return socket_write(fd, output->data + connection->sent, output->size - connection->sent);
    struct iovec parts[PARTS_MAX];
    return socket_writev(fd, parts, gather(connection, parts));
}

// A client that stays behind for long must not keep what it has taken. Moved once it is worth it, like the input.
static void drop_sent(struct connection *connection) {
    struct buffer *output = &connection->session.output;
    if (connection->sent < KEEP_CAPACITY || connection->sent < output->size / 2) return;
    buffer_drop_front(output, connection->sent);
    attachments_move_up(&connection->session.attachments, connection->sent);
    connection->sent = 0;
}

bool connection_flush(struct connection *connection, size_t *count) {
    struct buffer *output = &connection->session.output;
    *count = 0;
    while (connection->sent < output->size) {
        ssize_t put = send_some(connection);
        if (put == -EAGAIN) {
            connection->blocked = true;
            drop_sent(connection);
            return true;
        }
        if (put < 0) return false;
        note_sent(connection, (size_t)put);
        *count += (size_t)put;
    }
    connection->sent = output->size = 0;
    if (output->capacity > KEEP_CAPACITY) buffer_free(output);
    return true;
}

ssize_t connection_send(struct connection *connection, struct bytes bytes) {
    ssize_t put = socket_write(connection->source.fd, bytes.data, bytes.size);
    if (put == -EAGAIN) {
        connection->blocked = true;
        return 0;
    }
    return put < 0 ? -1 : put;
}
