#include "server/invalidation_wires.h"

#include "call/invalidation.h"
#include "server/worker.h"

static struct session *find(unsigned worker, uint64_t session_id) {
    return worker_session(worker_at(worker), session_id);
}

static void send(unsigned worker, uint64_t session_id, struct bytes bytes) {
    worker_send(worker_at(worker), session_id, bytes);
}

static void post(unsigned worker, void (*run)(void *argument), void *argument) {
    worker_post(worker_at(worker), run, argument);
}

void invalidation_connect(struct keyspace *keyspace) {
    static const struct invalidation_sinks sinks = {find, send, post};
    invalidation_start(keyspace, &sinks);
}
