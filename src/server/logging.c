#include "server/logging.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "call/settings.h"
#include "os/clock.h"
#include "persistence/snapshot.h"
#include "server/config.h"
#include "server/system_log.h"

enum { LINE_MAX_SIZE = 1400 };

static bool serving;
static pid_t serving_pid;
static bool syslog_open;

static char role_letter(pid_t pid) {
    if (!serving || pid != serving_pid) return 'C';
    return __atomic_load_n(&role.replica, __ATOMIC_RELAXED) ? 'S' : 'M';
}

static int open_log_file(void) {
    return open(config.logfile, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

static bool has_log_file(void) {
    return config.logfile && config.logfile[0];
}

static void sink(enum log_level level, const char *line) {
    static const char marks[] = ".-*#";
    int64_t now = clock_wall_ms();
    time_t seconds = (time_t)(now / 1000);
    struct tm parts;
    localtime_r(&seconds, &parts);
    char date[64], whole[LINE_MAX_SIZE];
    strftime(date, sizeof date, "%d %b %Y %H:%M:%S", &parts);
    pid_t pid = getpid();
    int size = snprintf(whole, sizeof whole, "%d:%c %s.%03d %c %s\n", (int)pid, role_letter(pid), date,
                        (int)(now % 1000), marks[level], line);
    if (size >= (int)sizeof whole) size = sizeof whole - 1;
    int fd = STDOUT_FILENO;
    bool to_file = has_log_file();
    if (to_file) fd = open_log_file();
    if (fd >= 0 && write(fd, whole, (size_t)size) < 0 && errno == EPIPE) fd = -1; // nobody listens any more
    if (to_file && fd >= 0) close(fd);
    if (syslog_open) system_log_write((int)level, line);
}

// A log that nobody could read later is no log: better not to start.
static bool is_log_file_good(void) {
    int fd = open_log_file();
    if (fd >= 0) {
        close(fd);
        return true;
    }
    fprintf(stderr, "Can't open the log file: %s\n", strerror(errno));
    return false;
}

bool logging_start(void) {
    if (has_log_file() && !is_log_file_good()) return false;
    log_set_sink(sink);
    log_set_level((enum log_level)config.log_level);
    if (config.syslog_enabled && !syslog_open) {
        system_log_open(config.syslog_ident, config.syslog_facility);
        syslog_open = true;
    }
    return true;
}

void logging_serving(void) {
    serving = true;
    serving_pid = getpid();
}

int logging_crash_fd(void) {
    if (!has_log_file()) return STDOUT_FILENO;
    int fd = open_log_file();
    return fd >= 0 ? fd : STDOUT_FILENO;
}
