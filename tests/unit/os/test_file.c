// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/file.h"

static char folder[64];

// Good until the fourth call from here.
static const char *path_of(const char *name) {
    static char paths[4][256];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state) {
    snprintf(folder, sizeof folder, "/tmp/shoal-unit-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    DIR *open = opendir(folder);
    for (struct dirent *entry; (entry = readdir(open));)
        if (entry->d_name[0] != '.') unlink(path_of(entry->d_name));
    closedir(open);
    return rmdir(folder);
}

static unsigned files_in_folder(void) {
    unsigned count = 0;
    DIR *open = opendir(folder);
    for (struct dirent *entry; (entry = readdir(open));)
        count += entry->d_name[0] != '.';
    closedir(open);
    return count;
}

static void expect_contents(const char *path, struct bytes expected) {
    struct buffer contents = BUFFER_EMPTY;
    assert_int_equal(file_load(path, 1 << 20, &contents), 0);
    assert_true(bytes_equal(buffer_bytes(&contents), expected));
    assert_int_equal(file_size(path), expected.size);
    buffer_free(&contents);
}

static void test_replace(void **state) {
    const char *path = path_of("replaced");
    assert_false(file_exists(path));
    assert_int_equal(file_size(path), -ENOENT);
    assert_int_equal(file_replace(path, BYTES("first\0one")), 0);
    assert_true(file_exists(path));
    expect_contents(path, BYTES("first\0one"));
    assert_int_equal(file_replace(path, BYTES("")), 0);
    expect_contents(path, BYTES(""));
    assert_int_equal(files_in_folder(), 1); // nothing is left beside it
    file_remove(path);
    assert_false(file_exists(path));
}

// A replacement that can't be finished leaves the old file, and nothing else.
static void test_replace_fails_cleanly(void **state) {
    assert_int_equal(file_replace(path_of("no/such/folder"), BYTES("x")), -ENOENT);
    static char long_name[5000];
    memset(long_name, 'x', sizeof long_name - 1);
    assert_int_equal(file_replace(long_name, BYTES("x")), -ENAMETOOLONG);
    assert_int_equal(file_replace("/proc/self/status", BYTES("x")) < 0, 1);
    assert_int_equal(files_in_folder(), 0);
}

static void test_load_limits(void **state) {
    static char data[200000];
    memset(data, 'x', sizeof data);
    const char *path = path_of("large");
    assert_int_equal(file_replace(path, bytes_of(data, sizeof data)), 0);
    struct buffer contents = BUFFER_EMPTY;
    assert_int_equal(file_load(path, sizeof data, &contents), 0);
    assert_int_equal(contents.size, sizeof data);
    buffer_free(&contents);
    assert_int_equal(file_load(path, sizeof data - 1, &contents), -EFBIG);
    buffer_free(&contents);
    assert_int_equal(file_load(path_of("missing"), 10, &contents), -ENOENT);
    assert_int_equal(file_load(folder, 10, &contents), -EISDIR);
    buffer_free(&contents);
    file_remove(path);
}

static void test_write_and_read(void **state) {
    const char *path = path_of("plain");
    int fd = file_create(path);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, "hello ", 6), 0);
    assert_int_equal(file_write_all(fd, "world", 5), 0);
    assert_int_equal(file_sync(fd), 0);
    file_close(fd);
    assert_int_equal(file_write_all(-1, "x", 1), -EBADF);
    fd = file_open_read(path);
    char data[20];
    assert_int_equal(file_read(fd, data, 5), 5);
    assert_memory_equal(data, "hello", 5);
    assert_int_equal(file_read(fd, data, sizeof data), 6);
    assert_int_equal(file_read(fd, data, sizeof data), 0);
    file_close(fd);
    assert_int_equal(file_open_read(path_of("missing")), -ENOENT);
    fd = file_create("/dev/full");
    assert_int_equal(file_write_all(fd, "x", 1), -ENOSPC);
    file_close(fd);

    const char *from = path_of("plain");
    assert_int_equal(file_rename(from, path_of("renamed")), 0);
    assert_false(file_exists(from));
    expect_contents(path_of("renamed"), BYTES("hello world"));
    assert_int_equal(file_rename(from, path_of("renamed")), -ENOENT);
    file_remove(path_of("renamed"));
}

// Is the lock to be had by another process?
static bool other_process_gets(const char *path) {
    pid_t child = fork();
    if (child == 0) _exit(file_lock(path) >= 0 ? 0 : 1);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) == 0;
}

static void test_lock(void **state) {
    const char *path = path_of("lock");
    int fd = file_lock(path);
    assert_true(fd >= 0);
    assert_false(other_process_gets(path));
    assert_int_equal(file_lock(path), -EWOULDBLOCK); // nor by another opening of our own
    file_close(fd);
    assert_true(other_process_gets(path));
    file_remove(path);
    assert_int_equal(file_lock(path_of("no/folder")), -ENOENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replace),     cmocka_unit_test(test_replace_fails_cleanly),
        cmocka_unit_test(test_load_limits), cmocka_unit_test(test_write_and_read),
        cmocka_unit_test(test_lock),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
