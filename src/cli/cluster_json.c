#include "cli/cluster_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static FILE *out; // the standard output that was; NULL: --json is off

void cluster_json_open(void) {
    fflush(stdout);
    int copy = dup(STDOUT_FILENO);
    out = copy < 0 ? NULL : fdopen(copy, "w");
    if (!out || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        perror("--json");
        exit(1);
    }
}

bool cluster_json_is_on(void) {
    return out != NULL;
}

cJSON *cluster_json_begin(const char *event) {
    if (!out) return NULL;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "event", event);
    return object;
}

void cluster_json_send(cJSON *event) {
    if (!event) return;
    char *text = cJSON_PrintUnformatted(event);
    if (text) fprintf(out, "%s\n", text);
    fflush(out);
    cJSON_free(text);
    cJSON_Delete(event);
}
