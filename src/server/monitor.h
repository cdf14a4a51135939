// monitor: MONITOR: every command, as it is about to run, to the clients that asked to see them.
//
// A worker that runs a command appends its line to the feed of each worker that has monitors; one message at a time tells
// that worker to deliver. A feed that grows beyond MONITOR_FEED_MAX drops lines.
#ifndef SHOAL_SERVER_MONITOR_H
#define SHOAL_SERVER_MONITOR_H

#include "call/dispatch.h"

enum { MONITOR_FEED_MAX = 64 * 1024 * 1024 };

// For dispatch_sinks.monitor.
void monitor_command(struct dispatcher *dispatcher, const struct session *session, const struct bytes *argv, int argc);

// A session closes. Its worker's thread.
void monitor_closing(struct session *session);

#endif
