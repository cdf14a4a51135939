#include "os/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
    struct sockaddr_storage room;
};

// Fills `out` from a numeric address; its length, or 0 when the text is no address.
static socklen_t parse_address(const char *text, uint16_t port, union address *out) {
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        return sizeof out->v4;
    }
    if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        return sizeof out->v6;
    }
    return 0;
}

static int fail_closing(int fd) {
    int error = errno;
    close(fd);
    return -error;
}

int socket_listen_tcp(const char *address, uint16_t port, int backlog) {
    union address where;
    const char *text = strcmp(address, "*") == 0 ? "0.0.0.0" : strcmp(address, "::*") == 0 ? "::" : address;
    socklen_t size = parse_address(text, port, &where);
    char resolved[SOCKET_NAME_MAX];
    if (!size && socket_resolve(text, resolved)) size = parse_address(resolved, port, &where);
    if (!size) return -EADDRNOTAVAIL;
    int fd = socket(where.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (where.any.sa_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, &where.any, size) != 0 || listen(fd, backlog) != 0) return fail_closing(fd);
    return fd;
}

int socket_listen_unix(const char *path, unsigned mode, int backlog) {
    union address where;
    memset(&where, 0, sizeof where);
    if (strlen(path) >= sizeof where.local.sun_path) return -ENAMETOOLONG;
    where.local.sun_family = AF_UNIX;
    strncpy(where.local.sun_path, path, sizeof where.local.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    unlink(path);
    if (bind(fd, &where.any, sizeof where.local) != 0) return fail_closing(fd);
    if (mode && chmod(path, (mode_t)mode) != 0) return fail_closing(fd);
    if (listen(fd, backlog) != 0) return fail_closing(fd);
    return fd;
}

int socket_accept(int listener) {
    int fd;
    do
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

bool socket_is_shortage(int error) {
    return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

int socket_connect_start(const char *address, uint16_t port, const char *source) {
    union address where, from;
    socklen_t size = parse_address(address, port, &where);
    char resolved[SOCKET_NAME_MAX];
    if (!size && socket_resolve(address, resolved)) size = parse_address(resolved, port, &where);
    if (!size) return -EADDRNOTAVAIL;
    int fd = socket(where.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    if (source && *source) {
        socklen_t from_size = parse_address(source, 0, &from);
        if (from_size && bind(fd, &from.any, from_size) != 0) return fail_closing(fd);
    }
    if (connect(fd, &where.any, size) != 0 && errno != EINPROGRESS) return fail_closing(fd);
    return fd;
}

int socket_connect_finish(int fd, int timeout_ms) {
    struct pollfd waiting = {.fd = fd, .events = POLLOUT};
    int ready = poll(&waiting, 1, timeout_ms);
    int error = ready == 0 ? ETIMEDOUT : ready < 0 ? errno : socket_error(fd);
    if (error) return -error;
    socket_set_blocking(fd, true);
    socket_set_timeout(fd, timeout_ms);
    socket_set_nodelay(fd, true);
    return 0;
}

int socket_connect_wait(const char *address, uint16_t port, int timeout_ms) {
    int fd = socket_connect_start(address, port, NULL);
    if (fd < 0) return fd;
    int result = socket_connect_finish(fd, timeout_ms);
    if (result == 0) return fd;
    close(fd);
    return result;
}

void socket_interrupt(int fd) {
    shutdown(fd, SHUT_RDWR);
}

int socket_connect_unix(const char *path) {
    union address where;
    memset(&where, 0, sizeof where);
    if (strlen(path) >= sizeof where.local.sun_path) return -ENAMETOOLONG;
    where.local.sun_family = AF_UNIX;
    strncpy(where.local.sun_path, path, sizeof where.local.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (connect(fd, &where.any, sizeof where.local) != 0) return fail_closing(fd);
    return fd;
}

int socket_error(int fd) {
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

ssize_t socket_read(int fd, void *data, size_t size) {
    ssize_t got;
    do
        got = recv(fd, data, size, 0);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

ssize_t socket_write(int fd, const void *data, size_t size) {
    ssize_t put;
    do
        put = send(fd, data, size, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : put;
}

ssize_t socket_writev(int fd, const struct iovec *parts, int count) {
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
    ssize_t put;
    do
        put = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : put;
}

int socket_write_all(int fd, const void *data, size_t size) {
    const char *at = data;
    while (size) {
        ssize_t put = socket_write(fd, at, size);
        if (put < 0) return (int)put;
        at += put;
        size -= (size_t)put;
    }
    return 0;
}

void socket_set_nodelay(int fd, bool on) {
    int value = on;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value);
}

void socket_set_keepalive(int fd, unsigned seconds) {
    int on = seconds > 0;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (!on) return;
    int idle = (int)seconds, interval = (int)seconds / 3, probes = 3;
    if (interval == 0) interval = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

void socket_set_blocking(int fd, bool blocking) {
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

void socket_set_timeout(int fd, int timeout_ms) {
    struct timeval time = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

static bool describe(const union address *where, char address[SOCKET_NAME_MAX], uint16_t *port) {
    address[0] = '\0';
    *port = 0;
    switch (where->any.sa_family) {
    case AF_INET:
        *port = ntohs(where->v4.sin_port);
        return inet_ntop(AF_INET, &where->v4.sin_addr, address, SOCKET_NAME_MAX) != NULL;
    case AF_INET6:
        *port = ntohs(where->v6.sin6_port);
        return inet_ntop(AF_INET6, &where->v6.sin6_addr, address, SOCKET_NAME_MAX) != NULL;
    case AF_UNIX: snprintf(address, SOCKET_NAME_MAX, "%s", where->local.sun_path); return true;
    default: return false;
    }
}

bool socket_peer_name(int fd, char address[SOCKET_NAME_MAX], uint16_t *port) {
    union address where;
    memset(&where, 0, sizeof where);
    socklen_t size = sizeof where;
    address[0] = '\0';
    *port = 0;
    return getpeername(fd, &where.any, &size) == 0 && describe(&where, address, port);
}

bool socket_local_name(int fd, char address[SOCKET_NAME_MAX], uint16_t *port) {
    union address where;
    memset(&where, 0, sizeof where);
    socklen_t size = sizeof where;
    address[0] = '\0';
    *port = 0;
    return getsockname(fd, &where.any, &size) == 0 && describe(&where, address, port);
}

void socket_close(int fd) {
    close(fd);
}

bool socket_resolve(const char *host, char address[SOCKET_NAME_MAX]) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    if (getaddrinfo(host, NULL, &hints, &found) != 0) return false;
    const struct addrinfo *best = found;
    for (const struct addrinfo *at = found; at; at = at->ai_next)
        if (at->ai_family == AF_INET) {
            best = at;
            break;
        }
    union address where;
    memset(&where, 0, sizeof where);
    memcpy(&where, best->ai_addr, best->ai_addrlen);
    freeaddrinfo(found);
    uint16_t port;
    return describe(&where, address, &port);
}
