// Packets of bus version 1: what a redis-server 7.0.15 sent on a real link (golden/) must be read, and
// written back to the same bytes; what lies about itself must be refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/prng.h"
#include "cluster/packet.h"

enum { ROOM = 1 << 20 };

static size_t load(const char *name, uint8_t *to) {
    char path[1024];
    const char *slash = strrchr(__FILE__, '/');
    snprintf(path, sizeof(path), "%.*s/golden/%s.bin", (int)(slash - __FILE__), __FILE__, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(to, 1, ROOM, file);
    fclose(file);
    return size;
}

// Writes again what has been read.
static size_t rewrite(const struct packet *packet, uint8_t *to) {
    uint8_t *at = to + PACKET_HEADER_SIZE;
    packet_header_write(to, packet, 0);
    if (packet->type <= PACKET_MEET) {
        struct packet_extensions extensions;
        uint16_t count;
        packet_extensions_read(packet, &extensions);
        for (uint16_t i = 0; i < packet->count; i++, at += PACKET_GOSSIP_SIZE) {
            struct packet_gossip gossip;
            packet_gossip_at(packet, i, &gossip);
            packet_gossip_write(at, &gossip);
        }
        packet_extensions_write(at, &extensions);
        at += packet_extensions_size(&extensions, &count);
        assert_int_equal(count, packet->extensions);
    } else if (packet->type == PACKET_UPDATE) {
        struct packet_update update;
        packet_update_read(packet, &update);
        packet_update_write(at, &update);
        at += PACKET_UPDATE_SIZE;
    } else {
        memcpy(at, packet->data, packet->data_size);
        at += packet->data_size;
    }
    packet_counts_write(to, packet->count, packet->extensions, (uint32_t)(at - to));
    return (size_t)(at - to);
}

static const struct {
    const char *name;
    unsigned type, count;
} golden[] = {
    {"ping-bare", PACKET_PING, 0},
    {"ping-gossip-hostname", PACKET_PING, 3},
    {"pong-gossip-hostname", PACKET_PONG, 2},
    {"meet-hostname", PACKET_MEET, 1},
    {"fail", PACKET_FAIL, 0},
    {"publish", PACKET_PUBLISH, 0},
    {"auth-request", PACKET_AUTH_REQUEST, 0},
    {"auth-ack", PACKET_AUTH_ACK, 0},
    {"update", PACKET_UPDATE, 0},
    {"mfstart", PACKET_MFSTART, 0},
};

static void golden_packets_survive(void **state) {
    uint8_t *original = mem_alloc(ROOM), *copy = mem_alloc(ROOM);
    for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
        struct packet packet;
        size_t size = load(golden[i].name, original);
        assert_int_equal(packet_announced_size(original), size);
        assert_int_equal(packet_decode(bytes_of(original, size), &packet), PACKET_OK);
        assert_int_equal(packet.type, golden[i].type);
        assert_int_equal(packet.count, golden[i].count);
        memset(copy, 0xee, size);
        assert_int_equal(rewrite(&packet, copy), size);
        assert_memory_equal(original, copy, size);
    }
    mem_free(original);
    mem_free(copy);
}

static void fields_are_where_they_belong(void **state) {
    uint8_t *bytes = mem_alloc(ROOM);
    struct packet packet;
    struct packet_gossip gossip;
    struct packet_extensions extensions;
    size_t size = load("ping-gossip-hostname", bytes);
    assert_int_equal(packet_decode(bytes_of(bytes, size), &packet), PACKET_OK);
    assert_true(packet.port >= 27101 && packet.port <= 27104);
    assert_int_equal(packet.bus_port, packet.port + 10000);
    assert_int_equal(packet.flags & ~256, 17); // myself, master
    packet_gossip_at(&packet, 0, &gossip);
    assert_string_equal(gossip.ip, "127.0.0.1");
    assert_int_equal(gossip.bus_port, gossip.port + 10000);
    packet_extensions_read(&packet, &extensions);
    assert_int_equal(extensions.hostname.size, strlen("host-27101.example"));
    assert_memory_equal(extensions.hostname.data, "host-2710", 9);
    load("update", bytes);
    struct packet_update update;
    assert_int_equal(packet_decode(bytes_of(bytes, packet_announced_size(bytes)), &packet), PACKET_OK);
    packet_update_read(&packet, &update);
    assert_int_equal(update.config_epoch, 5);
    assert_memory_equal(update.id, packet.sender, CLUSTER_ID_SIZE);
    assert_int_equal(update.slots[0], 0xff);
    assert_int_equal(update.slots[12], 0x1f); // slots 0 to 100
    assert_int_equal(update.slots[13], 0);
    mem_free(bytes);
}

static void own_extensions_survive(void **state) {
    struct packet_extensions in = {.hostname = BYTES("a.example"),
                                   .human_nodename = BYTES("left-rack"),
                                   .shard_id = BYTES("0123456789012345678901234567890123456789"),
                                   .forgotten_id = BYTES("abcdefabcdabcdefabcdabcdefabcdabcdefabcd"),
                                   .forgotten_ttl = 60};
    struct packet_extensions out;
    struct packet header = {.type = PACKET_PONG, .message_flags = {PACKET_HAS_EXTENSIONS}}, packet;
    uint8_t bytes[PACKET_HEADER_SIZE + 512];
    uint32_t size = PACKET_HEADER_SIZE + packet_extensions_size(&in, &header.extensions);
    packet_header_write(bytes, &header, size);
    packet_extensions_write(bytes + PACKET_HEADER_SIZE, &in);
    assert_int_equal(header.extensions, 4);
    assert_int_equal(packet_decode(bytes_of(bytes, size), &packet), PACKET_OK);
    packet_extensions_read(&packet, &out);
    assert_true(bytes_equal(in.hostname, out.hostname));
    assert_true(bytes_equal(in.human_nodename, out.human_nodename));
    assert_true(bytes_equal(in.shard_id, out.shard_id));
    assert_true(bytes_equal(in.forgotten_id, out.forgotten_id));
    assert_int_equal(out.forgotten_ttl, 60);
}

// The bytes of one extension as a peer sends them, behind a header that announces it and a hostname after it.
static void decode_extension(const uint8_t *extension, uint32_t size, struct packet_extensions *out) {
    static uint8_t bytes[PACKET_HEADER_SIZE + 512];
    static const uint8_t hostname[] = {0, 0, 0, 16, 0, 0, 0, 0, 'a', '.', 'h', 'o', 's', 't', 0, 0};
    struct packet header = {.type = PACKET_PING, .message_flags = {PACKET_HAS_EXTENSIONS}, .extensions = 2},
                  packet;
    uint32_t total = PACKET_HEADER_SIZE + size + sizeof(hostname);
    packet_header_write(bytes, &header, total);
    memcpy(bytes + PACKET_HEADER_SIZE, extension, size);
    memcpy(bytes + PACKET_HEADER_SIZE + size, hostname, sizeof(hostname));
    assert_int_equal(packet_decode(bytes_of(bytes, total), &packet), PACKET_OK);
    packet_extensions_read(&packet, out);
    assert_true(bytes_equal(out->hostname, BYTES("a.host"))); // whatever stood before it
}

// Kind 4 is two things: of Valkey and of Redis 8.
static void extension_four_is_told_by_its_length(void **state) {
    struct packet_extensions out;
    static const uint8_t valkey[] = {0,   0,   0,   24,  0,   4,   0,   0,   '1', '0', '.', '1',
                                     '1', '.', '1', '2', '.', '1', '3', '0', 0,   0,   0,   0};
    static const uint8_t shortest[] = {0, 0, 0, 16, 0, 4, 0, 0, '1', '.', '2', '.', '3', '.', '4', 0};
    static const uint8_t longest[] = {0,   0,   0,   24,  0,   4,   0,   0,   '2', '5', '5', '.',
                                      '2', '5', '5', '.', '2', '5', '5', '.', '2', '5', '5', 0};
    static const uint8_t redis[48] = {0, 0,   0,   48,  0,   4,   0,   0,   0xff,
                                      0, 'x', '1', '.', '2', '.', '3', '.', '4'};
    static const uint8_t neither[40] = {0, 0, 0, 40, 0, 4, 0, 0, '1', '.', '2', '.', '3', '.', '4'};
    static const uint8_t unterminated[24] = {0,   0,   0,   24,  0,   4,   0,   0,   '1', '1', '1', '1',
                                             '1', '1', '1', '1', '1', '1', '1', '1', '1', '1', '1', '1'};
    decode_extension(valkey, sizeof(valkey), &out);
    assert_true(bytes_equal(out.client_ipv4, BYTES("10.11.12.130")) && out.secret.size == 0);
    decode_extension(shortest, sizeof(shortest), &out);
    assert_true(bytes_equal(out.client_ipv4, BYTES("1.2.3.4")) && out.secret.size == 0);
    decode_extension(longest, sizeof(longest), &out);
    assert_true(bytes_equal(out.client_ipv4, BYTES("255.255.255.255")) && out.secret.size == 0);
    decode_extension(redis, sizeof(redis), &out);
    assert_true(out.client_ipv4.size == 0 &&
                bytes_equal(out.secret, bytes_of(redis + 8, PACKET_SECRET_SIZE)));
    decode_extension(neither, sizeof(neither), &out);
    assert_true(out.client_ipv4.size == 0 && out.secret.size == 0);
    decode_extension(unterminated, sizeof(unterminated), &out);
    assert_true(out.client_ipv4.size == 0 && out.secret.size == 0);
}

// The other kinds, by hand.
static void extensions_are_where_they_belong(void **state) {
    struct packet_extensions out;
    uint8_t bytes[64] = {0, 0, 0, 16, 0, 1, 0, 0, 'l', 'e', 'f', 't'};
    decode_extension(bytes, 16, &out);
    assert_true(bytes_equal(out.human_nodename, BYTES("left")));
    memset(bytes, 'f', sizeof(bytes));
    memcpy(bytes, "\0\0\0\x38\0\2\0\0", 8);
    memcpy(bytes + 48, "\0\0\0\0\0\0\1\2", 8);
    decode_extension(bytes, 56, &out);
    assert_true(out.forgotten_id.size == CLUSTER_ID_SIZE && out.forgotten_ttl == 258);
    bytes[3] = 48; // too short for its time
    decode_extension(bytes, 48, &out);
    assert_true(out.forgotten_id.size == 0);
    bytes[5] = 3;
    decode_extension(bytes, 48, &out);
    assert_true(bytes_equal(out.shard_id, BYTES("ffffffffffffffffffffffffffffffffffffffff")));
    bytes[3] = 40;
    decode_extension(bytes, 40, &out);
    assert_true(out.shard_id.size == 0);
    bytes[5] = 99;
    decode_extension(bytes, 40, &out);
    assert_true(out.shard_id.size + out.client_ipv4.size + out.secret.size + out.human_nodename.size == 0);
}

// An epoch from which one could count on to zero, in the header or in an UPDATE.
static void epochs_at_the_end_of_time_are_refused(void **state) {
    static uint8_t bytes[PACKET_HEADER_SIZE + PACKET_UPDATE_SIZE], slots[PACKET_SLOTS_SIZE];
    const struct packet good = {.type = PACKET_UPDATE, .current_epoch = PACKET_EPOCH_MAX, .config_epoch = 1};
    struct packet_update update = {.config_epoch = PACKET_EPOCH_MAX, .slots = slots};
    for (int wrong = 0; wrong < 4; wrong++) {
        struct packet header = good, packet;
        header.current_epoch += wrong == 1;
        if (wrong == 2) header.config_epoch = UINT64_MAX;
        update.config_epoch = PACKET_EPOCH_MAX + (wrong == 3);
        packet_header_write(bytes, &header, sizeof(bytes));
        packet_update_write(bytes + PACKET_HEADER_SIZE, &update);
        assert_int_equal(packet_decode(bytes_of(bytes, sizeof(bytes)), &packet),
                         wrong ? PACKET_BAD : PACKET_OK);
    }
}

// Of every golden packet: cut anywhere, with a length, a count or an extension that lies.
static void liars_are_refused(void **state) {
    uint8_t *bytes = mem_alloc(ROOM);
    struct packet packet;
    for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
        size_t size = load(golden[i].name, bytes);
        for (size_t cut = 0; cut < size; cut += 1 + cut / 16)
            assert_int_equal(packet_decode(bytes_of(bytes, cut), &packet), PACKET_BAD);
        // The length agrees with the bytes, but not with what the type needs.
        if (golden[i].type != PACKET_PUBLISH) {
            packet_counts_write(bytes, golden[i].count, 1, (uint32_t)size + 3);
            assert_int_equal(packet_decode(bytes_of(bytes, size + 3), &packet), PACKET_BAD);
        }
        if (golden[i].type > PACKET_MEET) continue;
        packet_counts_write(bytes, 0xffff, 0, (uint32_t)size);
        assert_int_equal(packet_decode(bytes_of(bytes, size), &packet), PACKET_BAD);
        packet_counts_write(bytes, (uint16_t)golden[i].count, 0xffff, (uint32_t)size);
        if (bytes[2253] & PACKET_HAS_EXTENSIONS)
            assert_int_equal(packet_decode(bytes_of(bytes, size), &packet), PACKET_BAD);
    }
    size_t size = load("ping-bare", bytes);
    bytes[9] = 9; // version
    assert_int_equal(packet_decode(bytes_of(bytes, size), &packet), PACKET_UNKNOWN);
    bytes[9] = 1;
    bytes[13] = 77; // type
    assert_int_equal(packet_decode(bytes_of(bytes, size), &packet), PACKET_UNKNOWN);
    memcpy(bytes, "GET /", 5);
    assert_int_equal(packet_announced_size(bytes), 0);
    mem_free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_packets_survive),
        cmocka_unit_test(fields_are_where_they_belong),
        cmocka_unit_test(own_extensions_survive),
        cmocka_unit_test(extension_four_is_told_by_its_length),
        cmocka_unit_test(extensions_are_where_they_belong),
        cmocka_unit_test(epochs_at_the_end_of_time_are_refused),
        cmocka_unit_test(liars_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
