// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/socket.h"

static void wait_for(int fd, short events) {
    struct pollfd waiting = {.fd = fd, .events = events};
    assert_int_equal(poll(&waiting, 1, 5000), 1);
}

// A listener on a port that the kernel chose.
static int listen_somewhere(const char *address, uint16_t *port) {
    int listener = socket_listen_tcp(address, 0, 10);
    assert_true(listener >= 0);
    char name[SOCKET_NAME_MAX];
    assert_true(socket_local_name(listener, name, port));
    assert_string_equal(name, address);
    return listener;
}

static void exchange(int client, int server) {
    assert_int_equal(socket_write_all(client, "question", 8), 0);
    wait_for(server, POLLIN);
    char data[64];
    assert_int_equal(socket_read(server, data, sizeof data), 8);
    assert_memory_equal(data, "question", 8);
    assert_int_equal(socket_read(server, data, sizeof data), -EAGAIN);
    struct iovec parts[] = {{(char[]){"ans"}, 3}, {(char[]){"wer"}, 3}};
    assert_int_equal(socket_writev(server, parts, 2), 6);
    wait_for(client, POLLIN);
    assert_int_equal(socket_read(client, data, sizeof data), 6);
    assert_memory_equal(data, "answer", 6);
    socket_close(client);
    wait_for(server, POLLIN);
    assert_int_equal(socket_read(server, data, sizeof data), 0);
    socket_close(server);
}

static void test_tcp(void **state) {
    uint16_t port;
    int listener = listen_somewhere("127.0.0.1", &port);
    assert_int_equal(socket_accept(listener), -EAGAIN);

    int client = socket_connect_start("127.0.0.1", port, "127.0.0.2");
    assert_true(client >= 0);
    wait_for(client, POLLOUT);
    assert_int_equal(socket_error(client), 0);
    wait_for(listener, POLLIN);
    int server = socket_accept(listener);
    assert_true(server >= 0);

    char name[SOCKET_NAME_MAX];
    uint16_t number;
    assert_true(socket_peer_name(server, name, &number));
    assert_string_equal(name, "127.0.0.2"); // it left from where we said
    assert_true(socket_peer_name(client, name, &number));
    assert_int_equal(number, port);
    socket_set_nodelay(client, true);
    socket_set_keepalive(server, 300);
    socket_set_keepalive(server, 0);
    exchange(client, server);
    socket_close(listener);
}

static void test_connect_wait(void **state) {
    uint16_t port;
    int listener = listen_somewhere("127.0.0.1", &port);
    int client = socket_connect_wait("localhost", port, 2000);
    assert_true(client >= 0);
    wait_for(listener, POLLIN);
    exchange(client, socket_accept(listener));

    // The timeout given holds for reads too.
    client = socket_connect_wait("127.0.0.1", port, 50);
    char data[1];
    assert_int_equal(socket_read(client, data, 1), -EAGAIN);
    socket_close(client);
    socket_close(listener);
    assert_int_equal(socket_connect_wait("127.0.0.1", port, 2000), -ECONNREFUSED);
}

static void test_taken_port(void **state) {
    uint16_t port;
    int listener = listen_somewhere("127.0.0.1", &port);
    assert_int_equal(socket_listen_tcp("127.0.0.1", port, 10), -EADDRINUSE);
    socket_close(listener);
    assert_int_equal(socket_listen_tcp("192.0.2.1", 0, 10), -EADDRNOTAVAIL); // an address that is not ours
}

static void test_ipv6(void **state) {
    int probe = socket_listen_tcp("::1", 0, 1);
    if (probe == -EADDRNOTAVAIL || probe == -EAFNOSUPPORT) skip(); // a machine without IPv6
    socket_close(probe);
    uint16_t port;
    int listener = listen_somewhere("::1", &port);
    int client = socket_connect_wait("::1", port, 2000);
    assert_true(client >= 0);
    wait_for(listener, POLLIN);
    int server = socket_accept(listener);
    char name[SOCKET_NAME_MAX];
    uint16_t number;
    assert_true(socket_peer_name(server, name, &number));
    assert_string_equal(name, "::1");
    socket_set_blocking(client, false);
    exchange(client, server);
    socket_close(listener);
}

static void test_unix(void **state) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/shoal-unit-socket-%d", (int)getpid());
    int stale = socket_listen_unix(path, 0, 10);
    socket_close(stale); // its file stays, as after a crash
    int listener = socket_listen_unix(path, 0700, 10);
    assert_true(listener >= 0);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    int client = socket_connect_unix(path);
    assert_true(client >= 0);
    wait_for(listener, POLLIN);
    int server = socket_accept(listener);
    char name[SOCKET_NAME_MAX];
    uint16_t number;
    assert_true(socket_peer_name(client, name, &number));
    assert_string_equal(name, path);
    assert_int_equal(number, 0);
    exchange(client, server);
    socket_close(listener);
    unlink(path);
    assert_int_equal(socket_connect_unix(path), -ENOENT);
    char longest[200];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(socket_listen_unix(longest, 0, 10), -ENAMETOOLONG);
    assert_int_equal(socket_connect_unix(longest), -ENAMETOOLONG);
}

// A peer that is gone gives an error, not a signal that ends the process.
static void test_broken_pipe(void **state) {
    uint16_t port;
    int listener = listen_somewhere("127.0.0.1", &port);
    int client = socket_connect_wait("127.0.0.1", port, 2000);
    wait_for(listener, POLLIN);
    socket_close(socket_accept(listener));
    int error = 0;
    for (int i = 0; i < 1000 && error == 0; i++)
        error = socket_write_all(client, "x", 1);
    assert_true(error == -EPIPE || error == -ECONNRESET);
    socket_close(client);
    socket_close(listener);
}

static void test_resolve(void **state) {
    char address[SOCKET_NAME_MAX];
    assert_true(socket_resolve("localhost", address));
    assert_string_equal(address, "127.0.0.1"); // IPv4 preferred
    assert_true(socket_resolve("10.1.2.3", address));
    assert_string_equal(address, "10.1.2.3");
    assert_false(socket_resolve("not a name", address));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp),        cmocka_unit_test(test_connect_wait),
        cmocka_unit_test(test_taken_port), cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_unix),       cmocka_unit_test(test_broken_pipe),
        cmocka_unit_test(test_resolve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
