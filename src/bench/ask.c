#include "bench/ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/numbers.h"
#include "bench/reply_scan.h"
#include "bench/request.h"
#include "os/socket.h"

enum { READ_SIZE = 16 << 10 };

static void append_request(struct buffer *out, const struct bytes *arguments, size_t count) {
    buffer_appendf(out, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) {
        buffer_appendf(out, "$%zu\r\n", arguments[i].size);
        buffer_append_bytes(out, arguments[i]);
        buffer_append_string(out, "\r\n");
    }
}

unsigned ask_greeting(const struct options *options, struct buffer *out) {
    unsigned replies = 0;
    if (options->password) {
        struct bytes user = bytes_from_string(options->user ? options->user : "default");
        struct bytes password = bytes_from_string(options->password);
        if (options->user)
            append_request(out, (struct bytes[]){BYTES("AUTH"), user, password}, 3);
        else
            append_request(out, (struct bytes[]){BYTES("AUTH"), password}, 2);
        replies++;
    }
    if (options->resp3) {
        append_request(out, (struct bytes[]){BYTES("HELLO"), BYTES("3")}, 2);
        replies++;
    }
    if (options->database && !options->cluster) {
        char number[NUMBER_TEXT_MAX];
        size_t size = number_format_unsigned(number, options->database);
        append_request(out, (struct bytes[]){BYTES("SELECT"), bytes_of(number, size)}, 2);
        replies++;
    }
    return replies;
}

static int open_connection(const struct options *options, const char *host, uint16_t port) {
    if (host) return socket_connect_wait(host, port, ASK_TIMEOUT_MS);
    int fd = socket_connect_unix(options->socket);
    if (fd >= 0) socket_set_timeout(fd, ASK_TIMEOUT_MS);
    return fd;
}

// Reads until `replies` replies have come; false with the reason in `error`.
static bool collect(int fd, unsigned replies, struct buffer *out, char *error) {
    struct reply_scan scan = {0};
    unsigned completed = 0;
    size_t at = 0;
    while (completed < replies) {
        buffer_reserve(out, READ_SIZE);
        ssize_t got =
            out->size > ASK_ANSWER_MAX ? -EMSGSIZE : socket_read(fd, out->data + out->size, READ_SIZE);
        if (got <= 0) {
            snprintf(error, ASK_ERROR_MAX, "%s", got ? strerror((int)-got) : "Server closed the connection");
            return false;
        }
        out->size += (size_t)got;
        enum reply_found found = reply_scan_feed(&scan, out->data, out->size, &at, &completed);
        if (found == REPLY_ERROR) snprintf(error, ASK_ERROR_MAX, "%s", scan.error);
        if (found == REPLY_BROKEN) snprintf(error, ASK_ERROR_MAX, "The server does not speak RESP");
        if (found != REPLY_MORE) return false;
    }
    return true;
}

// The last bulk string or line of a whole answer: walks the headers from the front.
static struct bytes last_leaf(struct bytes answer) {
    struct bytes leaf = BYTES("");
    const char *at = answer.data, *end = answer.data + answer.size;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end) break;
        if (line_end - at < 2) break;
        struct bytes line = bytes_of(at + 1, (size_t)(line_end - at) - 2);
        char type = *at;
        at = line_end + 1;
        int64_t size;
        if (type == '$' || type == '=') {
            if (!number_parse(line, &size) || size < 0) continue;
            if (size > end - at) break; // of a reply that nobody asked for, and is not whole
            leaf = bytes_of(at, (size_t)size);
            at += size + 2;
        } else if (type != '*' && type != '%') {
            leaf = line;
        }
    }
    return leaf;
}

bool ask(const struct options *options, const char *host, uint16_t port, const struct bytes *question,
         size_t count, struct buffer *answer, char error[ASK_ERROR_MAX]) {
    int fd = open_connection(options, host, port);
    if (fd < 0) {
        snprintf(error, ASK_ERROR_MAX, "%s", strerror(-fd));
        return false;
    }
    struct buffer request = BUFFER_EMPTY, replies = BUFFER_EMPTY;
    struct options plain = *options;
    plain.resp3 = false;
    unsigned awaited = ask_greeting(&plain, &request) + 1;
    append_request(&request, question, count);
    int failed = socket_write_all(fd, request.data, request.size);
    if (failed) snprintf(error, ASK_ERROR_MAX, "%s", strerror(-failed));
    bool done = !failed && collect(fd, awaited, &replies, error);
    if (done) {
        struct bytes leaf = last_leaf(buffer_bytes(&replies));
        answer->size = 0;
        buffer_append_bytes(answer, leaf);
    }
    buffer_free(&request);
    buffer_free(&replies);
    socket_close(fd);
    return done;
}
