// Messages are the same bytes when they are unpacked, however many are packed beside them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/prng.h"
#include "cluster/packet.h"
#include "sim/packed.h"

enum { NODES = 40, MESSAGES = 500, GOSSIP_MAX = 30, UNIX_TIME = 1700000000, HOUR = 3600 };

static struct prng prng;
static struct message_pool *pool;

static uint32_t some_time(void) {
    return prng_below(&prng, 3) ? UNIX_TIME + (uint32_t)prng_below(&prng, HOUR) : 0;
}

// A node as others tell of it: its name and address are always the same.
static struct packet_gossip node_at(unsigned index) {
    struct packet_gossip node = {.port = (uint16_t)(7000 + index),
                                 .bus_port = (uint16_t)(17000 + index),
                                 .ping_sent = some_time(),
                                 .pong_received = some_time(),
                                 .flags = (uint16_t)prng_next(&prng)};
    memset(node.id, 'a' + (int)(index % 26), sizeof node.id);
    node.id[0] = (char)('0' + index / 26);
    memcpy(node.ip, "10.1.2.3", 9);
    return node;
}

static struct cluster_message *heartbeat(void) {
    uint16_t count = (uint16_t)prng_below(&prng, GOSSIP_MAX + 1), extensions = 0;
    struct packet_extensions tail = {0};
    if (prng_below(&prng, 2)) tail.hostname = bytes_from_string("a-host");
    uint32_t tail_size = packet_extensions_size(&tail, &extensions);
    uint32_t size = (uint32_t)(PACKET_HEADER_SIZE + (size_t)count * PACKET_GOSSIP_SIZE + tail_size);
    uint8_t slots[PACKET_SLOTS_SIZE];
    memset(slots, (int)prng_below(&prng, 3), sizeof slots);
    struct packet packet = {.type = (uint16_t)prng_below(&prng, PACKET_MEET + 1),
                            .count = count,
                            .extensions = extensions,
                            .current_epoch = prng_below(&prng, 1 << 20),
                            .message_flags = {PACKET_HAS_EXTENSIONS},
                            .slots = slots};
    memset(packet.sender, 'f', sizeof packet.sender);
    struct cluster_message *message = message_create(pool, size);
    packet_header_write(message->data, &packet, size);
    uint8_t *at = message->data + PACKET_HEADER_SIZE;
    for (unsigned i = 0; i < count; i++, at += PACKET_GOSSIP_SIZE) {
        struct packet_gossip gossip = node_at((unsigned)prng_below(&prng, NODES));
        packet_gossip_write(at, &gossip);
    }
    packet_extensions_write(at, &tail);
    return message;
}

static void unpacked_is_the_same(void **state) {
    struct packer *packer = packer_create();
    struct cluster_message *messages[MESSAGES];
    struct packed *packed[MESSAGES];
    for (unsigned i = 0; i < MESSAGES; i++) {
        messages[i] = heartbeat();
        packed[i] = packer_pack(packer, messages[i]);
        assert_non_null(packed[i]);
    }
    for (unsigned i = 0; i < MESSAGES; i++) {
        if (prng_below(&prng, 2)) {
            packer_drop(packer, packed[i]);
        } else {
            struct cluster_message *again = packer_unpack(packer, packed[i]);
            assert_int_equal(again->size, messages[i]->size);
            assert_memory_equal(again->data, messages[i]->data, again->size);
            cluster_message_release(again);
        }
        cluster_message_release(messages[i]);
    }
    packer_free(packer);
}

static void other_packets_are_packed_too(void **state) {
    struct packer *packer = packer_create();
    struct packet packet = {.type = PACKET_FAIL};
    struct cluster_message *message = message_create(pool, PACKET_HEADER_SIZE + CLUSTER_ID_SIZE);
    packet_header_write(message->data, &packet, message->size);
    memset(message->data + PACKET_HEADER_SIZE, 'a', CLUSTER_ID_SIZE);
    struct packed *packed = packer_pack(packer, message);
    assert_non_null(packed);
    struct cluster_message *again = packer_unpack(packer, packed);
    assert_int_equal(again->size, message->size);
    assert_memory_equal(again->data, message->data, again->size);
    cluster_message_release(again);
    cluster_message_release(message);
    packer_free(packer);
}

static void what_is_no_packet_is_left_alone(void **state) {
    struct packer *packer = packer_create();
    struct cluster_message *message = heartbeat();
    message->data[0] = 'x';
    assert_null(packer_pack(packer, message));
    cluster_message_release(message);
    packer_free(packer);
}

// A message to all waits in many places: once packed, it is the same for all, and goes with the last.
static void several_holders_share_what_is_packed(void **state) {
    struct packer *packer = packer_create();
    struct cluster_message *message = heartbeat(), *copy = heartbeat();
    cluster_message_retain(message);
    struct packed *one = packer_pack(packer, message), *other = packer_pack(packer, message);
    assert_ptr_equal(one, other);
    struct packed *third = packer_pack(packer, copy);
    assert_ptr_not_equal(one, third);
    packer_drop(packer, third);
    packer_drop(packer, one);
    struct cluster_message *again = packer_unpack(packer, other);
    assert_int_equal(again->size, message->size);
    assert_memory_equal(again->data, message->data, again->size);
    cluster_message_release(again);
    cluster_message_release(copy);
    cluster_message_release(message);
    cluster_message_release(message);
    packer_free(packer);
}

static struct packed *pack_one_of_time(struct packer *packer, uint32_t time) {
    struct packet packet = {.count = 1};
    struct packet_gossip gossip = {.port = 7000, .bus_port = 17000, .pong_received = time};
    struct cluster_message *message = message_create(pool, PACKET_HEADER_SIZE + PACKET_GOSSIP_SIZE);
    memset(gossip.id, 'a', sizeof gossip.id);
    packet_header_write(message->data, &packet, message->size);
    packet_gossip_write(message->data + PACKET_HEADER_SIZE, &gossip);
    struct packed *packed = packer_pack(packer, message);
    cluster_message_release(message);
    return packed;
}

// As long as something is packed, times are counted from its own.
static void times_far_apart_are_left_alone(void **state) {
    struct packer *packer = packer_create();
    struct packed *packed = pack_one_of_time(packer, UNIX_TIME), *near;
    assert_non_null(packed);
    assert_null(pack_one_of_time(packer, UNIX_TIME + 20 * HOUR));
    assert_null(pack_one_of_time(packer, UNIX_TIME - 20 * HOUR));
    near = pack_one_of_time(packer, UNIX_TIME - 2 * HOUR);
    assert_non_null(near);
    packer_drop(packer, near);
    packer_drop(packer, packed);
    packed = pack_one_of_time(packer, UNIX_TIME + 20 * HOUR);
    assert_non_null(packed);
    packer_drop(packer, packed);
    packer_free(packer);
}

// More nodes than a packer has numbers for.
static void too_many_nodes_are_left_alone(void **state) {
    enum { PER_MESSAGE = 500, FULL_AFTER = 65536 / PER_MESSAGE };
    struct packer *packer = packer_create();
    struct packet packet = {.count = PER_MESSAGE};
    struct packet_gossip gossip = {.port = 7000, .bus_port = 17000};
    struct packed *held = pack_one_of_time(packer, UNIX_TIME); // else it would begin anew
    for (unsigned i = 0; i <= FULL_AFTER; i++) {
        struct cluster_message *message =
            message_create(pool, PACKET_HEADER_SIZE + PER_MESSAGE * PACKET_GOSSIP_SIZE);
        packet_header_write(message->data, &packet, message->size);
        for (unsigned j = 0; j < PER_MESSAGE; j++) {
            for (size_t k = 0; k < sizeof gossip.id; k++)
                gossip.id[k] = (char)('a' + prng_below(&prng, 16));
            packet_gossip_write(message->data + PACKET_HEADER_SIZE + (size_t)j * PACKET_GOSSIP_SIZE, &gossip);
        }
        struct packed *packed = packer_pack(packer, message);
        assert_int_equal(packed == NULL, i == FULL_AFTER);
        if (packed) packer_drop(packer, packed);
        cluster_message_release(message);
    }
    packer_drop(packer, held);
    packer_free(packer);
}

static int make_pool(void **state) {
    prng_seed(&prng, 1);
    pool = message_pool_create();
    return 0;
}

static int drop_pool(void **state) {
    message_pool_destroy(pool);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unpacked_is_the_same),
        cmocka_unit_test(other_packets_are_packed_too),
        cmocka_unit_test(what_is_no_packet_is_left_alone),
        cmocka_unit_test(several_holders_share_what_is_packed),
        cmocka_unit_test(times_far_apart_are_left_alone),
        cmocka_unit_test(too_many_nodes_are_left_alone),
    };
    return cmocka_run_group_tests(tests, make_pool, drop_pool);
}
