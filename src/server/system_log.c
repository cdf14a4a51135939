#include "server/system_log.h"

#include <syslog.h>

const struct directive_word system_log_facilities[] = {
    {"user", LOG_USER},     {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2},
    {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6},
    {"local7", LOG_LOCAL7}, {NULL, 0},
};

void system_log_open(const char *identity, int facility) {
    openlog(identity, LOG_PID | LOG_NDELAY | LOG_NOWAIT, facility);
}

void system_log_write(int level, const char *line) {
    static const int priorities[] = {LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING};
    syslog(priorities[level], "%s", line);
}
