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
    bool to_file = config.logfile && config.logfile[0];
    if (to_file) fd = open(config.logfile, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd >= 0 && write(fd, whole, (size_t)size) < 0 && errno == EPIPE) fd = -1; // nobody listens any more
    if (to_file && fd >= 0) close(fd);
    if (syslog_open) system_log_write((int)level, line);
}

void logging_start(void) {
    log_set_sink(sink);
    log_set_level((enum log_level)config.log_level);
    if (config.syslog_enabled && !syslog_open) {
        system_log_open(config.syslog_ident, config.syslog_facility);
        syslog_open = true;
    }
}

void logging_serving(void) {
    serving = true;
    serving_pid = getpid();
}

int logging_crash_fd(void) {
    if (!config.logfile || !config.logfile[0]) return STDOUT_FILENO;
    int fd = open(config.logfile, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    return fd >= 0 ? fd : STDOUT_FILENO;
}
