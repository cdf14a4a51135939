#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "call/dispatch.h"
#include "commands/tables.h"
#include "keyspace/slot_lock.h"
#include "os/memory_use.h"
#include "os/random.h"
#include "os/ticks.h"
#include "server/listener.h"
#include "server/worker.h"

static void no_close(struct session *session) {
}
static struct bytes no_peek(struct session *session) {
    return (struct bytes){NULL, 0};
}
static void no_sent(struct session *session, size_t n) {
}
static uint64_t no_backlog(struct session *session) {
    return 0;
}
static void slow(const struct session *session, const struct command *command, const struct bytes *argv, int argc, int64_t us) {
}
static bool room(struct dispatcher *d) {
    return true;
}

int main(int argc, char **argv) {
    unsigned port = 7777, threads = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--port")) port = (unsigned)atoi(argv[i + 1]);
        if (!strcmp(argv[i], "--io-threads")) threads = (unsigned)atoi(argv[i + 1]);
    }
    memory_use_thread_enter();
    ticks_init();
    hash_set_seed(random_u64());
    const struct command *tables[] = {string_commands, key_commands, transaction_commands, connection_commands, server_commands, NULL};
    const struct command_docs *docs[] = {NULL};
    command_table_install(tables, docs);
    struct keyspace *keyspace = keyspace_create(16);
    struct gate *gate = gate_create(threads);
    struct journal *journal = journal_create(DISPATCHERS_MAX, 1024 * 1024);
    workers_create(threads, keyspace, journal, gate);
    struct worker_hooks hooks = {no_close, no_peek, no_sent, no_backlog};
    worker_set_hooks(&hooks);
    struct dispatch_sinks sinks = {.slow = slow, .make_room = room};
    dispatch_set_sinks(&sinks);
    slot_lock_add_threads(keyspace, (int)threads - 1);
    if (listener_open_tcp("127.0.0.1", (uint16_t)port, 511) < 0) {
        fprintf(stderr, "can't listen\n");
        return 1;
    }
    workers_run();
    return 0;
}
