// Feeds bytes from the bus to a core that is in the middle of a cluster: whatever comes, it must live, and
// what it saves must be readable.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cluster/cluster.h"
#include "cluster/cluster_view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccc"

static const char conf[] = A " 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5000\n" B
                             " 127.0.0.1:7001@17001 master - 0 0 2 connected 5001-16383\n" C
                             " 127.0.0.1:7002@17002 slave " A " 0 0 1 connected\n"
                             "vars currentEpoch 2 lastVoteEpoch 0\n";

enum { HEADER = 2256, STEP_MS = 300 };

// The rest of a header that the input need not bother with.
static void complete(uint8_t *packet, size_t size, uint8_t choice) {
    static const char *const senders[] = {B, C, A};
    packet[0] = 'R', packet[1] = 'C', packet[2] = 'm', packet[3] = 'b';
    packet[4] = (uint8_t)(size >> 24), packet[5] = (uint8_t)(size >> 16);
    packet[6] = (uint8_t)(size >> 8), packet[7] = (uint8_t)size;
    packet[8] = 0, packet[9] = 1, packet[12] = 0;
    if (choice & 3) memcpy(packet + 40, senders[(choice & 3) - 1], 40);
}

static void check_saved(struct cluster *cluster, const struct cluster_config *config, uint64_t now) {
    struct buffer text = BUFFER_EMPTY, error = BUFFER_EMPTY;
    cluster_nodes_conf(cluster, &text);
    struct cluster *again = cluster_create(config, buffer_bytes(&text), 2, now, now, &error);
    if (again == NULL) abort();
    cluster_destroy(again);
    buffer_free(&text);
    buffer_free(&error);
}

// The input: a byte of choice and a size of two bytes before each packet.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct cluster_config config;
    struct buffer error = BUFFER_EMPTY;
    cluster_config_default(&config);
    config.port = 7000, config.bus_port = 17000, config.node_timeout = 1000;
    struct cluster *cluster = cluster_create(&config, BYTES(conf), 1, 0, 1000, &error);
    uint64_t now = 0;
    cluster_node linked = 0;
    while (size >= 3) {
        uint8_t choice = data[0];
        size_t length = (size_t)(data[1] << 8 | data[2]);
        data += 3, size -= 3;
        if (length > size) length = size;
        size_t whole = choice & 4 ? HEADER + length : length;
        uint8_t *packet = mem_calloc(1, whole + HEADER);
        memcpy(packet + (choice & 8 && whole > length ? HEADER : 0), data, length);
        if (choice & 4) complete(packet, whole, choice);
        if (choice & 8) packet[13] = choice >> 4;
        struct cluster_event event = {.kind = CLUSTER_EVENT_PACKET, .now = now, .unix_now = now + 1000};
        event.packet.bytes = bytes_of(packet, whole);
        event.packet.link =
            choice & 1 && linked ? (struct cluster_link){linked, 0} : (struct cluster_link){0, 7};
        event.packet.peer_ip = event.packet.local_ip = "127.0.0.1";
        cluster_step(cluster, &event);
        mem_free(packet);
        now += STEP_MS;
        event = (struct cluster_event){.kind = CLUSTER_EVENT_TICK, .now = now, .unix_now = now + 1000};
        const struct cluster_actions *actions = cluster_step(cluster, &event);
        linked = 0;
        for (size_t i = 0; i < actions->count; i++)
            if (actions->items[i].kind == CLUSTER_ACTION_CONNECT) linked = actions->items[i].connect.node;
        if (linked) {
            event.kind = CLUSTER_EVENT_LINK_UP;
            event.link = (struct cluster_link){linked, 0};
            cluster_step(cluster, &event);
        }
        data += length, size -= length;
    }
    check_saved(cluster, &config, now);
    cluster_destroy(cluster);
    buffer_free(&error);
    return 0;
}
