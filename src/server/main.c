// main: puts the house together, floor by floor, and runs it.
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "commands/services.h"
#include "commands/tables.h"
#include "commands/version.h"
#include "keyspace/slot_lock.h"
#include "os/clock.h"
#include "os/memory_use.h"
#include "os/random.h"
#include "os/ticks.h"
#include "replication/replication.h"
#include "server/admin.h"
#include "server/config.h"
#include "server/logging.h"
#include "server/sockets.h"
#include "server/statistics.h"
#include "server/worker.h"

static void install_commands(void) {
    const struct command *const tables[] = {string_commands, key_commands,         transaction_commands,
                                            connection_commands, server_commands, replication_commands,
                                            config_commands, NULL};
    const struct command_docs *const docs[] = {command_docs_string,     command_docs_generic, command_docs_transactions,
                                               command_docs_connection, command_docs_server,  command_docs_cluster,
                                               NULL};
    command_table_install(tables, docs);
}

static void slow(const struct session *session, const struct command *command, const struct bytes *argv, int argc,
                 int64_t us) {
}

static bool room(struct dispatcher *dispatcher) {
    return true;
}

int main(int argc, char **argv) {
    memory_use_thread_enter();
    enum config_start start = config_start(argc, argv);
    if (start != CONFIG_RUN) return start == CONFIG_EXIT_OK ? 0 : 1;
    ticks_init();
    hash_set_seed(random_u64());
    logging_start();
    log_write(LOG_NOTICE, "oO0OoO0OoO0Oo Shoal is starting oO0OoO0OoO0Oo");
    install_commands();
    struct keyspace *keyspace = keyspace_create(settings.databases);
    struct gate *gate = gate_create(config.threads);
    struct journal *journal = journal_create(DISPATCHERS_MAX, replication_settings.backlog_size);
    workers_create(config.threads, keyspace, journal, gate);
    replication_settings.port = config.port;
    replication_start(worker_dispatcher(worker_at(0)), worker_loop(worker_at(0)), workers_wake);
    static const struct worker_hooks hooks = {replication_closing, replication_peek, replication_sent,
                                              replication_backlog};
    worker_set_hooks(&hooks);
    static const struct dispatch_sinks sinks = {.slow = slow, .make_room = room};
    dispatch_set_sinks(&sinks);
    statistics_start();
    slot_lock_add_threads(keyspace, (int)config.threads - 1);
    struct buffer error = BUFFER_EMPTY;
    if (!sockets_open(&error)) {
        log_write(LOG_WARNING, "Failed listening on port %u (TCP), aborting.", config.port);
        return 1;
    }
    logging_serving();
    log_write(LOG_NOTICE, "Ready to accept connections tcp");
    workers_run();
    return 0;
}
