// bench-floor: what a request costs a server that does nothing but receive and send. It answers each GET with 64 bytes
// without looking at it, one recv and one send for whatever has come, and lets requests gather as shoal-server does.
// What Redis's ratio to it leaves over is all that a better server could save: see docs/benchmarks.md.
//
//   bench-floor --port N [what a real server would want to be told]
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define FIRST_GET "*2\r\n$3\r\nGET\r\n"
#define VALUE_16 "xxxxxxxxxxxxxxxx"
#define VALUE_REPLY "$64\r\n" VALUE_16 VALUE_16 VALUE_16 VALUE_16 "\r\n"
#define OTHER_REPLY "+PONG\r\n"

enum {
    INPUT_BYTES = 64 * 1024,
    REPLIES = INPUT_BYTES / (sizeof FIRST_GET - 1), // no input holds more requests
    EVENTS = 256,
    BACKLOG = 512,
    GATHER_NANOSECONDS = 40000,
    GATHER_SERVED = 6, // of 50 clients: as shoal-server's rule has it
};

static char replies[REPLIES * (sizeof VALUE_REPLY - 1)];

static void die(const char *what) {
    fprintf(stderr, "bench-floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(int poller, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
}

static int listen_on(unsigned port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, BACKLOG) != 0) die("listen");
    return fd;
}

static void accept_client(int poller, int listener) {
    int fd = accept(listener, NULL, NULL), on = 1;
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(poller, fd);
}

// A request has one asterisk, and load generators never send the end of one without its beginning.
static size_t count_requests(const char *input, size_t size) {
    size_t count = 0;
    const char *end = input + size;
    for (const char *at = input; (at = memchr(at, '*', (size_t)(end - at))); at++)
        count++;
    return count;
}

// Answers what has come from a client; false: nothing had.
static bool serve(int fd) {
    static char input[INPUT_BYTES];
    ssize_t size = recv(fd, input, sizeof input, 0);
    if (size <= 0) {
        close(fd);
        return false;
    }
    size_t count = count_requests(input, (size_t)size);
    bool gets = (size_t)size >= sizeof FIRST_GET - 1 && memcmp(input, FIRST_GET, sizeof FIRST_GET - 1) == 0;
    if (gets)
        send(fd, replies, count * (sizeof VALUE_REPLY - 1), MSG_NOSIGNAL);
    else
        for (; count; count--)
            send(fd, OTHER_REPLY, sizeof OTHER_REPLY - 1, MSG_NOSIGNAL);
    return true;
}

int main(int argc, char **argv) {
    unsigned port = 0;
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], "--port") == 0) port = (unsigned)atoi(argv[i + 1]);
    if (port == 0 || port > UINT16_MAX) {
        fprintf(stderr, "usage: bench-floor --port N\n");
        return 2;
    }
    for (size_t i = 0; i < REPLIES; i++)
        memcpy(replies + i * (sizeof VALUE_REPLY - 1), VALUE_REPLY, sizeof VALUE_REPLY - 1);
    int listener = listen_on(port), poller = epoll_create1(0);
    if (poller < 0) die("epoll_create1");
    watch(poller, listener);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(poller, events, EVENTS, -1), served = 0;
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                accept_client(poller, listener);
            else
                served += serve(events[i].data.fd);
        }
        if (served && served <= GATHER_SERVED) nanosleep(&(struct timespec){.tv_nsec = GATHER_NANOSECONDS}, NULL);
    }
}
