// Feeds bytes from the bus to the decoder, and to a core that is in the middle of a cluster: whatever comes,
// it must live, and what it saves must be readable. (Packets that make sense: fuzz_cluster_step.)
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cluster/cluster.h"
#include "cluster/cluster_view.h"
#include "cluster/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccc"

static const char conf[] = A " 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5000\n" B
                             " 127.0.0.1:7001@17001 master - 0 0 2 connected 5001-16383\n" C
                             " 127.0.0.1:7002@17002 slave " A " 0 0 1 connected\n"
                             "vars currentEpoch 2 lastVoteEpoch 0\n";

enum { HEADER = 2256, MESSAGE_FLAGS_AT = 2253, STEP_MS = 300 };

// The rest of a header that the input need not bother with.
static void complete(uint8_t *packet, size_t size, uint8_t choice) {
    static const char *const senders[] = {B, C, A};
    packet[0] = 'R', packet[1] = 'C', packet[2] = 'm', packet[3] = 'b';
    packet[4] = (uint8_t)(size >> 24), packet[5] = (uint8_t)(size >> 16);
    packet[6] = (uint8_t)(size >> 8), packet[7] = (uint8_t)size;
    packet[8] = 0, packet[9] = 1, packet[12] = 0;
    if (choice & 3) memcpy(packet + 40, senders[(choice & 3) - 1], 40);
}

// What lies behind the header is of no use without the counts that tell of it: its first bytes choose them.
static void announce(uint8_t *packet, const uint8_t *body, size_t size) {
    if (size < 2) return;
    packet_counts_write(packet, body[0] & 3, body[0] >> 2 & 7, (uint32_t)(HEADER + size));
    packet[MESSAGE_FLAGS_AT] = body[1];
}

static void must(bool holds) {
    if (!holds) abort();
}

static bool lies_within(struct bytes part, struct bytes whole) {
    return part.size == 0 || (part.data >= whole.data && part.data + part.size <= whole.data + whole.size);
}

static bool same_extensions(const struct packet_extensions *a, const struct packet_extensions *b) {
    return bytes_equal(a->hostname, b->hostname) && bytes_equal(a->human_nodename, b->human_nodename) &&
           bytes_equal(a->shard_id, b->shard_id) && bytes_equal(a->forgotten_id, b->forgotten_id) &&
           a->forgotten_ttl == b->forgotten_ttl;
}

// What was read of extensions is written and read again to the same.
static void check_extensions(const struct packet *packet, struct bytes whole) {
    struct packet_extensions read, again;
    packet_extensions_read(packet, &read);
    must(lies_within(read.hostname, whole) && lies_within(read.human_nodename, whole));
    must(lies_within(read.shard_id, whole) && lies_within(read.forgotten_id, whole));
    must(lies_within(read.client_ipv4, whole) && lies_within(read.secret, whole));
    struct packet other = {.type = PACKET_PONG, .message_flags = {PACKET_HAS_EXTENSIONS}};
    uint32_t size = HEADER + packet_extensions_size(&read, &other.extensions);
    uint8_t *copy = mem_alloc(size);
    packet_header_write(copy, &other, size);
    packet_extensions_write(copy + HEADER, &read);
    must(packet_decode(bytes_of(copy, size), &other) == PACKET_OK);
    packet_extensions_read(&other, &again);
    must(same_extensions(&read, &again));
    mem_free(copy);
}

// The decoder alone: whatever it lets pass can be walked to its end.
static void check_decoded(struct bytes bytes) {
    struct packet packet;
    struct packet_gossip gossip;
    struct packet_update update;
    if (packet_decode(bytes, &packet) != PACKET_OK) return;
    must(packet.type < PACKET_TYPES && packet.current_epoch <= PACKET_EPOCH_MAX);
    must(memchr(packet.ip, '\0', sizeof(packet.ip)) != NULL);
    for (uint16_t i = 0; packet.type <= PACKET_MEET && i < packet.count; i++) {
        packet_gossip_at(&packet, i, &gossip);
        must(memchr(gossip.ip, '\0', sizeof(gossip.ip)) != NULL);
        must(memcmp(gossip.id, packet_gossip_id(&packet, i), sizeof(gossip.id)) == 0);
        must(gossip.flags == packet_gossip_flags(&packet, i));
        must(gossip.pong_received == packet_gossip_pong(&packet, i));
    }
    if (packet.type <= PACKET_MEET) check_extensions(&packet, bytes);
    if (packet.type == PACKET_FAIL)
        must(lies_within(bytes_of(packet_fail_id(&packet), CLUSTER_ID_SIZE), bytes));
    if (packet.type != PACKET_UPDATE) return;
    packet_update_read(&packet, &update);
    must(lies_within(bytes_of(update.slots, PACKET_SLOTS_SIZE), bytes));
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
        if ((choice & 12) == 12) announce(packet, data, length);
        char *exact = mem_alloc(whole ? whole : 1); // a sanitiser sees who reads beyond its end
        memcpy(exact, packet, whole);
        mem_free(packet);
        check_decoded(bytes_of(exact, whole));
        struct cluster_event event = {.kind = CLUSTER_EVENT_PACKET, .now = now, .unix_now = now + 1000};
        event.packet.bytes = bytes_of(exact, whole);
        event.packet.link =
            choice & 1 && linked ? (struct cluster_link){linked, 0} : (struct cluster_link){0, 7};
        event.packet.peer_ip = event.packet.local_ip = "127.0.0.1";
        cluster_step(cluster, &event);
        mem_free(exact);
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
