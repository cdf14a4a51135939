#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_ROOM = 4096, READ_STEP = 65536 };

int file_open_read(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int file_create(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return fd < 0 ? -errno : fd;
}

ssize_t file_read(int fd, void *data, size_t size) {
    ssize_t got;
    do
        got = read(fd, data, size);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

int file_write_all(int fd, const void *data, size_t size) {
    const char *at = data;
    while (size) {
        ssize_t put = write(fd, at, size);
        if (put < 0) {
            if (errno == EINTR) continue;
            return -errno;
        }
        at += put;
        size -= (size_t)put;
    }
    return 0;
}

int file_sync(int fd) {
    return fdatasync(fd) == 0 ? 0 : -errno;
}

void file_close(int fd) {
    close(fd);
}

int file_load(const char *path, size_t limit, struct buffer *out) {
    int fd = file_open_read(path);
    if (fd < 0) return fd;
    int result = 0;
    for (;;) {
        if (!buffer_try_reserve(out, READ_STEP)) {
            result = -ENOMEM;
            break;
        }
        ssize_t got = file_read(fd, out->data + out->size, READ_STEP);
        if (got <= 0) {
            result = (int)got;
            break;
        }
        out->size += (size_t)got;
        if (out->size > limit) {
            result = -EFBIG;
            break;
        }
    }
    file_close(fd);
    return result;
}

static int sync_folder_of(const char *path) {
    char folder[PATH_ROOM];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == folder)
        slash[1] = '\0';
    else if (slash)
        *slash = '\0';
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int result = fsync(fd) == 0 ? 0 : -errno;
    close(fd);
    return result;
}

int file_rename(const char *from, const char *to) {
    if (rename(from, to) != 0) return -errno;
    return sync_folder_of(to);
}

// Writes `contents` beside `path` and puts it in its place; with `lock_fd`, locked and kept open.
static int replace(const char *path, struct bytes contents, int *lock_fd) {
    char beside[PATH_ROOM];
    int size = snprintf(beside, sizeof beside, "%s.tmp-%d", path, (int)getpid());
    if (size >= (int)sizeof beside) return -ENAMETOOLONG;
    int fd = file_create(beside);
    if (fd < 0) return fd;
    int result = lock_fd && flock(fd, LOCK_EX | LOCK_NB) != 0 ? -errno : 0;
    if (result == 0) result = file_write_all(fd, contents.data, contents.size);
    if (result == 0) result = file_sync(fd);
    if (result == 0) result = file_rename(beside, path);
    if (result != 0) unlink(beside);
    if (lock_fd && result == 0) {
        file_close(*lock_fd);
        *lock_fd = fd;
    } else {
        file_close(fd);
    }
    return result;
}

int file_replace(const char *path, struct bytes contents) {
    return replace(path, contents, NULL);
}

int file_replace_locked(const char *path, struct bytes contents, int *lock_fd) {
    return replace(path, contents, lock_fd);
}

void file_remove(const char *path) {
    unlink(path);
}

bool file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

int64_t file_size(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 ? (int64_t)status.st_size : -errno;
}

int file_lock(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}
