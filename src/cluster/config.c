#include <string.h>

#include "cluster/cluster_config.h"

void cluster_config_default(struct cluster_config *config) {
    memset(config, 0, sizeof(*config));
    config->node_timeout = 15000;
    config->replica_validity_factor = 10;
    config->repl_ping_replica_period = 10000;
    config->manual_failover_timeout = 5000;
    config->blacklist_ttl = 60000;
    config->migration_barrier = 1;
    config->require_full_coverage = true;
    config->allow_replica_migration = true;
    config->crash_detection = true;
}
