// Feeds text to the reader of nodes.conf: it reads it or refuses it; what it has read it reads again after
// writing it.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "cluster/cluster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct cluster_config config;
    struct buffer error = BUFFER_EMPTY, text = BUFFER_EMPTY;
    cluster_config_default(&config);
    struct cluster *cluster = size ? cluster_create(&config, bytes_of(data, size), 1, 0, 1000, &error) : NULL;
    if (cluster) {
        cluster_nodes_conf(cluster, &text);
        struct cluster *again = cluster_create(&config, buffer_bytes(&text), 1, 0, 1000, &error);
        if (again == NULL) abort();
        cluster_destroy(again);
        cluster_destroy(cluster);
    }
    buffer_free(&text);
    buffer_free(&error);
    return 0;
}
