// cluster_json: what --json of the cluster commands writes: one JSON object a line on standard output, each
// with its "event"; the words for people go to standard error then. Belongs to the main thread.
//
// An event is begun, filled with cJSON's functions and sent. Without --json it is NULL, which cJSON's
// functions take and do nothing with, so that callers need not ask.
#ifndef SHOAL_CLI_CLUSTER_JSON_H
#define SHOAL_CLI_CLUSTER_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>

// Turns --json on. Called once, before anything is printed.
void cluster_json_open(void);

bool cluster_json_is_on(void);

// A new event; NULL when --json is off.
cJSON *cluster_json_begin(const char *event);

// Writes the event as one line and frees it.
void cluster_json_send(cJSON *event);

#endif
