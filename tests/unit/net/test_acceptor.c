// The acceptor: accepts all that waits, rests when there is no descriptor left, moves from loop to loop, closes.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <arpa/inet.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/acceptor.h"
#include "net/loop.h"
#include "os/clock.h"
#include "os/socket.h"

enum { AT_ONCE = 3, TURN_US = 20 * 1000, GAPS_MAX = 4096 };

static struct loop *loop, *other_loop;
static struct acceptor acceptor;
static uint16_t port;
static int accepted_fds[64];
static unsigned accepted_count;

static void accepted(int fd, bool is_unix) {
    assert_false(is_unix);
    accepted_fds[accepted_count++] = fd;
}

static int open_all(void **state) {
    loop = loop_create();
    other_loop = loop_create();
    acceptor_init(&acceptor, loop, "a test's connection", AT_ONCE, accepted);
    int fd = socket_listen_tcp("127.0.0.1", 0, 64);
    char name[SOCKET_NAME_MAX];
    socket_local_name(fd, name, &port);
    accepted_count = 0;
    return acceptor_add(&acceptor, fd, false);
}

static int close_all(void **state) {
    while (accepted_count)
        socket_close(accepted_fds[--accepted_count]);
    acceptor_close(&acceptor);
    loop_destroy(loop);
    loop_destroy(other_loop);
    return 0;
}

// A client's socket; -1: the connection is refused.
static int call_in(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    close(fd);
    return -1;
}

static void all_that_wait_are_accepted(void **state) {
    int clients[5];
    for (int i = 0; i < 5; i++)
        clients[i] = call_in();
    loop_turn(loop, TURN_US, NULL, NULL);
    assert_int_equal(accepted_count, AT_ONCE); // the rest in the next turn: others have events, too
    loop_turn(loop, TURN_US, NULL, NULL);
    assert_int_equal(accepted_count, 5);
    for (int i = 0; i < 5; i++)
        close(clients[i]);
}

static unsigned highest_descriptor(void) {
    unsigned highest = 0;
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(directory));) {
        unsigned number = (unsigned)strtoul(entry->d_name, NULL, 10);
        if (number > highest) highest = number;
    }
    closedir(directory);
    return highest;
}

static void without_descriptors_it_rests_and_comes_back(void **state) {
    int client = call_in();
    struct rlimit before, low;
    getrlimit(RLIMIT_NOFILE, &before);
    int taken[GAPS_MAX], count = 0; // the gaps below the limit
    low = before;
    low.rlim_cur = highest_descriptor() + 1;
    setrlimit(RLIMIT_NOFILE, &low);
    while (count < GAPS_MAX && (taken[count] = dup(0)) >= 0)
        count++;
    loop_turn(loop, TURN_US, NULL, NULL);
    assert_int_equal(accepted_count, 0);
    int64_t since = clock_mono_us();
    loop_turn(loop, TURN_US, NULL, NULL); // it is not told again at once: the turn waits
    assert_true(clock_mono_us() - since >= TURN_US / 2);
    setrlimit(RLIMIT_NOFILE, &before);
    while (count)
        close(taken[--count]);
    for (int i = 0; i < 50 && !accepted_count; i++)
        loop_turn(loop, TURN_US, NULL, NULL);
    assert_int_equal(accepted_count, 1);
    close(client);
}

static void another_loop_can_watch(void **state) {
    acceptor_leave(&acceptor, other_loop);
    int client = call_in();
    loop_turn(loop, TURN_US, NULL, NULL);
    assert_int_equal(accepted_count, 0);
    loop_turn(other_loop, TURN_US, NULL, NULL);
    assert_int_equal(accepted_count, 0); // not before it enters
    acceptor_enter(&acceptor);
    loop_turn(other_loop, TURN_US, NULL, NULL);
    assert_int_equal(accepted_count, 1);
    close(client);
}

static void who_closes_between_two_loops_leaves_nothing_behind(void **state) {
    acceptor_leave(&acceptor, other_loop);
    acceptor_close(&acceptor);
    assert_int_equal(call_in(), -1);
    int fd = socket_listen_tcp("127.0.0.1", 0, 64);
    char name[SOCKET_NAME_MAX];
    socket_local_name(fd, name, &port);
    assert_int_equal(acceptor_add(&acceptor, fd, false), 0); // watched at once
    acceptor_enter(&acceptor);                                // and not twice
    int client = call_in();
    loop_turn(other_loop, TURN_US, NULL, NULL);
    assert_int_equal(accepted_count, 1);
    close(client);
}

static void errors_of_listening_pass_through(void **state) {
    assert_int_equal(acceptor_add(&acceptor, -98, false), -98);
    assert_int_equal(acceptor.count, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_that_wait_are_accepted, open_all, close_all),
        cmocka_unit_test_setup_teardown(without_descriptors_it_rests_and_comes_back, open_all, close_all),
        cmocka_unit_test_setup_teardown(another_loop_can_watch, open_all, close_all),
        cmocka_unit_test_setup_teardown(who_closes_between_two_loops_leaves_nothing_behind, open_all, close_all),
        cmocka_unit_test_setup_teardown(errors_of_listening_pass_through, open_all, close_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
