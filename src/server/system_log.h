// system_log: syslog, apart from base/log.h since both name their levels alike. Thread: any, once opened.
#ifndef SHOAL_SERVER_SYSTEM_LOG_H
#define SHOAL_SERVER_SYSTEM_LOG_H

#include "server/directive.h"

extern const struct directive_word system_log_facilities[];

void system_log_open(const char *identity, int facility);
void system_log_write(int level, const char *line); // level: enum log_level

#endif
