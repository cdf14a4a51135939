// The courier: a target that answers, refuses, is gone, or was gone when its kept connections are used again.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "migration/migration_private.h"
#include "os/clock.h"
#include "os/socket.h"
#include "os/thread.h"
#include "resp/request.h"

static int listener;
static uint16_t port;
static _Atomic unsigned ended_count;

static void ended(struct job *job) {
    ended_count++;
}

static int open_target(void **state) {
    char address[SOCKET_NAME_MAX];
    listener = socket_listen_tcp("127.0.0.1", 0, 16);
    if (listener < 0 || !socket_local_name(listener, address, &port)) return -1;
    socket_set_blocking(listener, true);
    ended_count = 0;
    return 0;
}

static int close_target(void **state) {
    socket_close(listener);
    return 0;
}

static struct job *send_keys(int keys, int64_t db) {
    struct job *job = mem_calloc(1, sizeof *job);
    strcpy(job->host, "127.0.0.1");
    job->port = port;
    job->timeout_ms = 2000;
    job->target_db = db;
    job->key_count = keys;
    job->keys = mem_calloc((size_t)keys, sizeof *job->keys);
    for (int i = 0; i < keys; i++) {
        request_begin(&job->requests, 4);
        request_string(&job->requests, "RESTORE");
        request_string(&job->requests, "key");
        request_integer(&job->requests, 0);
        request_string(&job->requests, "payload");
    }
    list_init(&job->node);
    courier_send(job);
    return job;
}

static void wait_for(unsigned count) {
    int64_t deadline = clock_mono_ms() + 20000;
    while (ended_count < count && clock_mono_ms() < deadline)
        clock_sleep_us(1000);
    assert_int_equal(ended_count, count);
}

static int take_connection(void) {
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    return fd;
}

// Reads until `text` has come, then answers.
static void answer(int fd, const char *text, const char *reply) {
    char got[8192];
    size_t size = 0;
    do {
        ssize_t more = read(fd, got + size, sizeof got - 1 - size);
        assert_true(more > 0);
        size += (size_t)more;
        got[size] = '\0';
    } while (!strstr(got, text));
    assert_int_equal(write(fd, reply, strlen(reply)), strlen(reply));
}

static void expect(struct job *job, const char *error, const char *arrived) {
    assert_string_equal(job->error.size ? buffer_string(&job->error) : "", error);
    for (int i = 0; i < job->key_count; i++)
        assert_int_equal(job->keys[i].arrived, arrived[i] == '1');
    job_free(job);
}

static void keys_that_are_answered_have_arrived(void **state) {
    courier_start(ended);
    struct job *job = send_keys(3, 0);
    int fd = take_connection();
    answer(fd, "payload", "+OK\r\n-BUSYKEY Target key name already exists.\r\n+OK\r\n");
    wait_for(1);
    expect(job, "ERR Target instance replied with error: BUSYKEY Target key name already exists.", "101");
    // The connection is kept, and selects the other database that is wanted.
    assert_int_equal(migration_cached_sockets(), 1);
    job = send_keys(1, 5);
    answer(fd, "SELECT\r\n$1\r\n5\r\n", "+OK\r\n");
    answer(fd, "payload", "+OK\r\n");
    wait_for(2);
    expect(job, "", "1");
    // A database that can't be selected: no key is sent, since it would come into another one.
    job = send_keys(2, 99);
    answer(fd, "SELECT\r\n$2\r\n99\r\n", "-ERR DB index is out of range\r\n");
    wait_for(3);
    expect(job, "ERR Target instance replied with error: ERR DB index is out of range", "00");
    // Where the connection stands now is not taken for known.
    job = send_keys(1, 5);
    answer(fd, "SELECT\r\n$1\r\n5\r\n", "+OK\r\n");
    answer(fd, "payload", "+OK\r\n");
    wait_for(4);
    expect(job, "", "1");
    socket_close(fd);

    // Two kept connections, both closed by the target meanwhile: the third try must be a new one.
    struct job *first = send_keys(1, 0), *second = send_keys(1, 0);
    int one = take_connection(), two;
    two = take_connection();
    answer(one, "payload", "+OK\r\n");
    answer(two, "payload", "+OK\r\n");
    wait_for(6);
    expect(first, "", "1");
    expect(second, "", "1");
    assert_int_equal(migration_cached_sockets(), 2);
    socket_close(one);
    socket_close(two);
    job = send_keys(1, 0);
    fd = take_connection();
    answer(fd, "payload", "+OK\r\n");
    wait_for(7);
    expect(job, "", "1");

    // The target goes in the middle of its answers.
    job = send_keys(3, 0);
    answer(fd, "payload", "+OK\r\n");
    socket_close(fd);
    wait_for(8);
    expect(job, "IOERR error or timeout reading to target instance", "100");

    // A target that says nothing.
    job = send_keys(1, 0);
    int64_t before = clock_mono_ms();
    fd = take_connection();
    wait_for(9);
    assert_in_range(clock_mono_ms() - before, 1500, 15000);
    expect(job, "IOERR error or timeout reading to target instance", "0");
    socket_close(fd);

    // And one that is not there.
    socket_close(listener);
    job = send_keys(1, 0);
    wait_for(10);
    assert_non_null(strstr(buffer_string(&job->error), "IOERR error or timeout writing to target instance"));
    assert_false(job->keys[0].arrived);
    job_free(job);
    listener = socket_listen_tcp("127.0.0.1", 0, 1);
    courier_stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_that_are_answered_have_arrived, open_target, close_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
