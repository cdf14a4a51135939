// Cores: quotas of control groups, what the kernel tells of cores and threads.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/cores.h"

static char mount[] = "/tmp/shoal-cores-XXXXXX";

static void write_quota(const char *group, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s%s", mount, group);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s%s/cpu.max", mount, group);
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
}

static void forget_quota(const char *group) {
    char path[256];
    snprintf(path, sizeof path, "%s%s/cpu.max", mount, group);
    unlink(path);
    snprintf(path, sizeof path, "%s%s", mount, group);
    rmdir(path);
}

static int make_mount(void **state) {
    return mkdtemp(mount) ? 0 : -1;
}

static int remove_mount(void **state) {
    forget_quota("/a/b");
    forget_quota("/a");
    forget_quota("");
    return 0;
}

static void the_least_quota_counts(void **state) {
    assert_true(cores_of_group(mount, "/a/b") == 0); // nothing there
    write_quota("/a", "max 100000\n");
    write_quota("/a/b", "max 100000\n");
    assert_true(cores_of_group(mount, "/a/b") == 0);
    write_quota("/a/b", "150000 100000\n");
    assert_true(cores_of_group(mount, "/a/b") == 1.5);
    write_quota("/a", "50000 100000\n");
    assert_true(cores_of_group(mount, "/a/b") == 0.5);
    write_quota("/a", "400000 100000\n");
    assert_true(cores_of_group(mount, "/a/b") == 1.5);
    write_quota("", "20000 20000\n"); // as a container sees its own group
    assert_true(cores_of_group(mount, "/a/b") == 1);
    assert_true(cores_of_group(mount, "/") == 1);
    write_quota("", "rubbish\n");
    assert_true(cores_of_group(mount, "/") == 0);
}

static void there_is_a_core_for_us(void **state) {
    unsigned usable = cores_usable();
    assert_true(usable >= 1 && (long)usable <= sysconf(_SC_NPROCESSORS_CONF));
}

static void free_time_grows_no_faster_than_the_clock(void **state) {
    int64_t before = cores_free_us(), since = clock_mono_us();
    assert_true(before >= 0);
    clock_sleep_us(50 * 1000);
    int64_t grown = cores_free_us() - before, passed = clock_mono_us() - since;
    enum { TICK_US = 10000 }; // of each core's count
    int64_t cores = sysconf(_SC_NPROCESSORS_CONF);
    assert_true(grown >= 0 && grown <= cores * (passed + 2 * TICK_US));
}

static void a_thread_that_works_has_run(void **state) {
    int64_t ran, waited, ran_later, waited_later;
    if (!cores_thread_times(cores_thread_id(), &ran, &waited)) skip();
    int64_t until = clock_thread_cpu_us() + 20 * 1000;
    while (clock_thread_cpu_us() < until)
        ;
    assert_true(cores_thread_times(cores_thread_id(), &ran_later, &waited_later));
    assert_true(ran_later - ran >= 10 * 1000000 && waited_later >= waited);
    assert_false(cores_thread_times(0, &ran, &waited));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_least_quota_counts, make_mount, remove_mount),
        cmocka_unit_test(there_is_a_core_for_us),
        cmocka_unit_test(free_time_grows_no_faster_than_the_clock),
        cmocka_unit_test(a_thread_that_works_has_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
