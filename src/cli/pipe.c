#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/modes.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/random.h"
#include "os/socket.h"
#include "resp/reply.h"

enum { PIPE_STEP = 65536, PIPE_UNSENT_MAX = 1024 * 1024, POLL_MS = 1000, MARK_SIZE = 20 };

// Standard input flows through `unsent` to the server; after its end goes an ECHO whose answer marks the end
// of the replies.
struct pipe {
    int fd;
    struct buffer unsent;
    size_t sent;
    struct reply_reader *reader;
    bool input_ended;
    bool all_replied;
    char mark[MARK_SIZE + 1];
    int64_t last_read_ms;
    long long errors;
    long long replies;
};

static void count_reply(struct pipe *pipe, const struct reply *reply) {
    if (reply->type == REPLY_STRING && bytes_equal(reply->text, bytes_of(pipe->mark, MARK_SIZE))) {
        printf("Last reply received from server.\n");
        pipe->all_replied = true;
        pipe->replies--;
    } else if (reply->type == REPLY_ERROR) {
        fprintf(stderr, "%.*s\n", (int)reply->text.size, reply->text.data);
        pipe->errors++;
    }
    pipe->replies++;
}

// Takes what the server has sent; false when the connection is of no more use.
static bool take_replies(struct pipe *pipe) {
    char *room = reply_reader_room(pipe->reader, PIPE_STEP);
    ssize_t got = room ? socket_read(pipe->fd, room, PIPE_STEP) : -ENOMEM;
    if (got == -EAGAIN) return true;
    if (got <= 0) {
        fprintf(stderr, "Error reading from the server: %s\n",
                got == 0 ? "Server closed the connection" : strerror((int)-got));
        return false;
    }
    pipe->last_read_ms = clock_mono_ms();
    reply_reader_filled(pipe->reader, (size_t)got);
    const struct reply *reply;
    enum reply_result result;
    while ((result = reply_reader_next(pipe->reader, &reply)) == REPLY_WHOLE)
        count_reply(pipe, reply);
    if (result == REPLY_BROKEN) fprintf(stderr, "Protocol error, %s\n", reply_reader_error(pipe->reader));
    return result != REPLY_BROKEN;
}

// Sends what can be sent without waiting; false when the connection is lost.
static bool send_some(struct pipe *pipe) {
    if (pipe->sent < pipe->unsent.size) {
        ssize_t put = socket_write(pipe->fd, pipe->unsent.data + pipe->sent, pipe->unsent.size - pipe->sent);
        if (put == -EAGAIN) return true;
        if (put < 0) {
            fprintf(stderr, "Error writing to the server: %s\n", strerror((int)-put));
            return false;
        }
        pipe->sent += (size_t)put;
    }
    if (pipe->sent == pipe->unsent.size) pipe->sent = pipe->unsent.size = 0;
    return true;
}

// Reads on from standard input; false when that fails.
static bool read_input(struct pipe *pipe) {
    buffer_reserve(&pipe->unsent, PIPE_STEP);
    ssize_t got = file_read(STDIN_FILENO, pipe->unsent.data + pipe->unsent.size, PIPE_STEP);
    if (got < 0) {
        fprintf(stderr, "Error reading from stdin: %s\n", strerror((int)-got));
        return false;
    }
    pipe->unsent.size += (size_t)got;
    if (got > 0) return true;
    pipe->input_ended = true;
    // The empty line ends an inline command that lacks its own end.
    buffer_appendf(&pipe->unsent, "\r\n*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n", MARK_SIZE, pipe->mark);
    printf("All data transferred. Waiting for the last reply...\n");
    pipe->last_read_ms = clock_mono_ms();
    return true;
}

static bool timed_out(const struct pipe *pipe, const struct options *options) {
    if (!pipe->input_ended || options->pipe_timeout_s <= 0) return false;
    if (clock_mono_ms() - pipe->last_read_ms <= (int64_t)options->pipe_timeout_s * 1000) return false;
    fprintf(stderr, "No replies for %d seconds: exiting.\n", options->pipe_timeout_s);
    return true;
}

static bool transfer(struct pipe *pipe, const struct options *options) {
    while (!pipe->all_replied) {
        bool want_input = !pipe->input_ended && pipe->unsent.size < PIPE_UNSENT_MAX;
        struct pollfd watched[] = {
            {.fd = pipe->fd, .events = (short)(POLLIN | (pipe->unsent.size ? POLLOUT : 0))},
            {.fd = want_input ? STDIN_FILENO : -1, .events = POLLIN},
        };
        if (poll(watched, 2, POLL_MS) < 0 && errno != EINTR) return false;
        if (watched[0].revents & (POLLIN | POLLHUP | POLLERR) && !take_replies(pipe)) return false;
        if (watched[0].revents & POLLOUT && !send_some(pipe)) return false;
        if (watched[1].revents && !read_input(pipe)) return false;
        if (timed_out(pipe, options)) return false;
    }
    return true;
}

int pipe_run(struct client *client, const struct options *options) {
    struct pipe pipe = {.fd = connection_fd(client_connection(client)), .reader = reply_reader_create()};
    random_hex(pipe.mark, MARK_SIZE);
    socket_set_blocking(pipe.fd, false);
    bool good = transfer(&pipe, options);
    if (!good) pipe.errors++;
    printf("errors: %lld, replies: %lld\n", pipe.errors, pipe.replies);
    buffer_free(&pipe.unsent);
    reply_reader_destroy(pipe.reader);
    return pipe.errors ? 1 : 0;
}
