// file: whole files, atomic replacement, locks. Errors are negative errno. Thread: any.
#ifndef SHOAL_OS_FILE_H
#define SHOAL_OS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/bytes.h"

// Opens for reading / for writing anew; the fd or -errno.
int file_open_read(const char *path);
int file_create(const char *path);

// Up to `size` bytes (0 at the end), or -errno.
ssize_t file_read(int fd, void *data, size_t size);

// Everything, or -errno.
int file_write_all(int fd, const void *data, size_t size);
int file_sync(int fd);
void file_close(int fd);

// Appends the whole file to `out`; refuses (-EFBIG) one larger than `limit`. 0 or -errno.
int file_load(const char *path, size_t limit, struct buffer *out);

// Replaces `path` with `contents` so that a crash leaves either the old file or the new one: written beside it, synced,
// renamed, the folder synced. 0 or -errno.
int file_replace(const char *path, struct bytes contents);

// As file_replace, for a file that this process keeps locked: the new one is locked before it takes its place, and
// *lock_fd (from file_lock) is exchanged for it. 0 or -errno.
int file_replace_locked(const char *path, struct bytes contents, int *lock_fd);

// Renames and syncs the folder. 0 or -errno.
int file_rename(const char *from, const char *to);
void file_remove(const char *path);
bool file_exists(const char *path);
int64_t file_size(const char *path);

// Opens (creating it) and locks `path` against other processes, as long as the returned fd is open. -EWOULDBLOCK when
// another process holds it.
int file_lock(const char *path);

#endif
