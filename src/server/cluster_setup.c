#include "server/cluster_setup.h"

#include <stdio.h>
#include <string.h>

#include "base/counter.h"
#include "base/log.h"
#include "bus/bus.h"
#include "call/settings.h"
#include "replication/replication.h"
#include "server/config.h"
#include "server/worker.h"

enum { BUS_PORT_DISTANCE = 10000 };

static uint16_t bus_port(void) {
    return config.cluster_port ? config.cluster_port : (uint16_t)(config.port + BUS_PORT_DISTANCE);
}

static void copy_text(char *to, size_t room, const char *from) {
    snprintf(to, room, "%s", from);
}

static void fill(struct bus_config *bus) {
    *bus = (struct bus_config){.endpoint = (enum bus_endpoint)config.cluster_preferred_endpoint,
                               .reads_when_down = config.cluster_allow_reads_when_down,
                               .link_buffer_limit = config.cluster_link_sendbuf_limit,
                               .stall_timeout = config.cluster_stall_timeout};
    struct cluster_config *cluster = &bus->cluster;
    cluster_config_default(cluster);
    cluster->node_timeout = config.cluster_node_timeout;
    cluster->ping_interval = config.cluster_ping_interval;
    cluster->replica_validity_factor = config.cluster_replica_validity_factor;
    cluster->repl_ping_replica_period = 1000 * (uint64_t)replication_settings.ping_period_seconds;
    cluster->migration_barrier = config.cluster_migration_barrier;
    cluster->require_full_coverage = config.cluster_require_full_coverage;
    cluster->replica_no_failover = config.cluster_replica_no_failover;
    cluster->allow_replica_migration = config.cluster_allow_replica_migration;
    cluster->crash_detection = config.cluster_crash_detection;
    cluster->port = config.cluster_announce_port ? config.cluster_announce_port : config.port;
    cluster->bus_port = config.cluster_announce_bus_port ? config.cluster_announce_bus_port : bus_port();
    copy_text(cluster->announce_ip, sizeof cluster->announce_ip, config.cluster_announce_ip);
    copy_text(cluster->announce_hostname, sizeof cluster->announce_hostname, config.cluster_announce_hostname);
    copy_text(cluster->announce_human_nodename, sizeof cluster->announce_human_nodename,
              config.cluster_announce_human_nodename);
}

// Turns of the workers' loops, and commands: each one that ends is another number. On the bus thread.
static uint64_t progress(bool *at_work) {
    uint64_t sum = 0;
    *at_work = false;
    for (unsigned i = 0; i < workers_count(); i++) {
        bool busy;
        worker_heartbeat_ms(worker_at(i), &busy);
        *at_work |= busy;
        const struct dispatcher *dispatcher = worker_dispatcher(worker_at(i));
        sum += gate_turns(dispatcher->gate, i) + counter_read(&dispatcher->counters->commands);
    }
    return sum;
}

// The addresses of the clients' sockets serve for the bus, too; those that may be missing are left out.
static void choose_addresses(const char *addresses[BIND_ADDRESSES_MAX + 1]) {
    unsigned count = 0;
    for (unsigned i = 0; i < config.bind_count; i++)
        if (config.bind[i][0] != '-') addresses[count++] = config.bind[i];
    if (count == 0) addresses[count++] = "*";
    addresses[count] = NULL;
}

bool cluster_start(struct keyspace *keyspace, struct gate *gate, struct buffer *error) {
    if (!config.cluster_port && config.port > UINT16_MAX - BUS_PORT_DISTANCE) {
        buffer_append_string(error, "Cluster bus port number too high! Cluster bus port is calculated by adding 10000 to "
                                    "the server port. Port number must be less than 55536. You may also explicitly "
                                    "specify cluster-port.");
        buffer_string(error);
        return false;
    }
    const char *addresses[BIND_ADDRESSES_MAX + 1];
    choose_addresses(addresses);
    struct bus_options options = {.nodes_path = config.cluster_config_file,
                                  .addresses = addresses,
                                  .listen_port = bus_port(),
                                  .source_address = replication_settings.bind_source,
                                  .keyspace = keyspace,
                                  .gate = gate,
                                  .worker_loop = worker_loop(worker_at(0)),
                                  .dispatcher = worker_dispatcher(worker_at(0)),
                                  .progress = progress};
    fill(&options.config);
    return bus_start(&options, error);
}

void cluster_configure(void) {
    if (!settings.cluster_enabled) return;
    struct bus_config bus;
    fill(&bus);
    bus_configure(&bus);
}

void cluster_stop(void) {
    bus_stop();
}
