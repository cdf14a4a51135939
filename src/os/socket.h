// socket: TCP and Unix stream sockets. All are close-on-exec; errors come back as negative errno. Thread:
// any.
#ifndef SHOAL_OS_SOCKET_H
#define SHOAL_OS_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { SOCKET_NAME_MAX = 256 };

// Listening sockets, non-blocking. `address` is an IPv4, IPv6 or "*" / "::*" (any); returns the fd or -errno.
int socket_listen_tcp(const char *address, uint16_t port, int backlog);
int socket_listen_unix(const char *path, unsigned mode, int backlog);

// One waiting connection, non-blocking; -EAGAIN when there is none.
int socket_accept(int listener);

// Is it an error of socket_accept which says that the system has nothing left for another connection? The one
// that waits goes on waiting, and a level-triggered listener would tell of it again and again.
bool socket_is_shortage(int error);

// Starts connecting, non-blocking: the fd (writable once it is through; then ask socket_error), or -errno.
// `source`: the local address to leave from, or NULL.
int socket_connect_start(const char *address, uint16_t port, const char *source);

// Connects and waits at most `timeout_ms`; the fd is blocking, with that timeout on reads and writes. -errno.
// `address` may be a host name.
int socket_connect_wait(const char *address, uint16_t port, int timeout_ms);
int socket_connect_unix(const char *path);

// The second half of the above, for what socket_connect_start began. 0 or -errno; the fd stays open either
// way.
int socket_connect_finish(int fd, int timeout_ms);

// Whoever waits for the socket, on any thread, stops waiting: its stream is at its end.
void socket_interrupt(int fd);

// The pending error of a socket: 0 or an errno.
int socket_error(int fd);

// Bytes read or written, 0 at the end of the stream (reads), -EAGAIN when it would block, or another -errno.
ssize_t socket_read(int fd, void *data, size_t size);
ssize_t socket_write(int fd, const void *data, size_t size);
struct iovec;
ssize_t socket_writev(int fd, const struct iovec *parts, int count);

// Writes everything, or fails with -errno; for blocking sockets.
int socket_write_all(int fd, const void *data, size_t size);

void socket_set_nodelay(int fd, bool on);
void socket_set_keepalive(int fd, unsigned seconds); // 0: off
void socket_set_blocking(int fd, bool blocking);
void socket_set_timeout(int fd, int timeout_ms);

// Address and port of the peer or of our end. IPv6 without brackets; a Unix socket gives its path or "" and
// port 0.
bool socket_peer_name(int fd, char address[SOCKET_NAME_MAX], uint16_t *port);
bool socket_local_name(int fd, char address[SOCKET_NAME_MAX], uint16_t *port);

void socket_close(int fd);

// Resolves a host name to a numeric address (IPv4 preferred). False when there is none.
bool socket_resolve(const char *host, char address[SOCKET_NAME_MAX]);

#endif
