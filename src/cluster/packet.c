#include "cluster/packet.h"

#include <string.h>

// Where the header's fields lie.
enum {
    AT_SIZE = 4,
    AT_VERSION = 8,
    AT_PORT = 10,
    AT_TYPE = 12,
    AT_COUNT = 14,
    AT_CURRENT_EPOCH = 16,
    AT_CONFIG_EPOCH = 24,
    AT_OFFSET = 32,
    AT_SENDER = 40,
    AT_SLOTS = 80,
    AT_PRIMARY = 2128,
    AT_IP = 2168,
    AT_EXTENSIONS = 2214,
    AT_OTHER_PORT = 2246,
    AT_BUS_PORT = 2248,
    AT_FLAGS = 2250,
    AT_STATE = 2252,
    AT_MESSAGE_FLAGS = 2253,
};

enum {
    VERSION = 1,
    EXTENSION_HEAD = 8, // length u32, type u16, padding u16
    EXTENSION_ALIGN = 8,
    MODULE_HEAD = 13, // id 8, length 4, type 1
    IPV4_TEXT_MAX = 15,
};

static const char signature[4] = {'R', 'C', 'm', 'b'};

static uint16_t get16(const uint8_t *at) {
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint64_t get64(const uint8_t *at) {
    return (uint64_t)get32(at) << 32 | get32(at + 4);
}

static void put16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value) {
    put16(at, (uint16_t)(value >> 16));
    put16(at + 2, (uint16_t)value);
}

static void put64(uint8_t *at, uint64_t value) {
    put32(at, (uint32_t)(value >> 32));
    put32(at + 4, (uint32_t)value);
}

uint32_t packet_announced_size(const uint8_t *prefix) {
    if (memcmp(prefix, signature, sizeof(signature)) != 0) return 0;
    uint32_t size = get32(prefix + AT_SIZE);
    // The shortest packets that peers may send are the newer 16-byte light ones; we don't ask for them.
    return size < 16 || size > PACKET_SIZE_MAX ? 0 : size;
}

// An address on the wire is 46 bytes, terminated unless it lies.
static void get_ip(const uint8_t *at, char *ip) {
    memcpy(ip, at, CLUSTER_IP_SIZE);
    ip[CLUSTER_IP_SIZE - 1] = '\0';
}

// Walks one extension at `at`; false when its length doesn't fit in `room`.
static bool extension_at(const uint8_t *at, uint32_t room, uint32_t *length, uint16_t *type) {
    if (room < EXTENSION_HEAD) return false;
    *length = get32(at);
    *type = get16(at + 4);
    return *length >= EXTENSION_HEAD && *length <= room && *length % EXTENSION_ALIGN == 0;
}

static bool gossip_fits(const struct packet *packet) {
    uint32_t used = (uint32_t)packet->count * PACKET_GOSSIP_SIZE;
    if (used > packet->data_size) return false;
    if (!(packet->message_flags[0] & PACKET_HAS_EXTENSIONS)) return used == packet->data_size;
    for (uint16_t i = 0; i < packet->extensions; i++) {
        uint32_t length;
        uint16_t type;
        if (!extension_at(packet->data + used, packet->data_size - used, &length, &type)) return false;
        used += length;
    }
    return used == packet->data_size;
}

static bool publish_fits(const struct packet *packet) {
    if (packet->data_size < 8) return false;
    uint64_t channel = get32(packet->data), message = get32(packet->data + 4);
    return 8 + channel + message == packet->data_size;
}

static bool module_fits(const struct packet *packet) {
    return packet->data_size >= MODULE_HEAD &&
           MODULE_HEAD + (uint64_t)get32(packet->data + 8) == packet->data_size;
}

static bool update_fits(const struct packet *packet) {
    return packet->data_size == PACKET_UPDATE_SIZE && get64(packet->data) <= PACKET_EPOCH_MAX;
}

// Does the packet have the length that its type and counts ask for?
static enum packet_verdict body_verdict(const struct packet *packet) {
    bool fits;
    switch (packet->type) {
    case PACKET_PING:
    case PACKET_PONG:
    case PACKET_MEET: fits = gossip_fits(packet); break;
    case PACKET_FAIL: fits = packet->data_size == CLUSTER_ID_SIZE; break;
    case PACKET_PUBLISH:
    case PACKET_PUBLISHSHARD: fits = publish_fits(packet); break;
    case PACKET_AUTH_REQUEST:
    case PACKET_AUTH_ACK:
    case PACKET_MFSTART: fits = packet->data_size == 0; break;
    case PACKET_UPDATE: fits = update_fits(packet); break;
    case PACKET_MODULE: fits = module_fits(packet); break;
    default: return PACKET_UNKNOWN;
    }
    return fits ? PACKET_OK : PACKET_BAD;
}

enum packet_verdict packet_decode(struct bytes bytes, struct packet *packet) {
    const uint8_t *at = (const uint8_t *)bytes.data;
    if (bytes.size < PACKET_PREFIX_SIZE || packet_announced_size(at) != bytes.size) return PACKET_BAD;
    if (get16(at + AT_VERSION) != VERSION) return PACKET_UNKNOWN;
    if (bytes.size < PACKET_HEADER_SIZE)
        return get16(at + AT_TYPE) < PACKET_TYPES ? PACKET_BAD : PACKET_UNKNOWN;
    packet->type = get16(at + AT_TYPE);
    packet->count = get16(at + AT_COUNT);
    packet->extensions = get16(at + AT_EXTENSIONS);
    packet->port = get16(at + AT_PORT);
    packet->other_port = get16(at + AT_OTHER_PORT);
    packet->bus_port = get16(at + AT_BUS_PORT);
    packet->flags = get16(at + AT_FLAGS);
    packet->current_epoch = get64(at + AT_CURRENT_EPOCH);
    packet->config_epoch = get64(at + AT_CONFIG_EPOCH);
    packet->offset = get64(at + AT_OFFSET);
    memcpy(packet->sender, at + AT_SENDER, CLUSTER_ID_SIZE);
    memcpy(packet->primary, at + AT_PRIMARY, CLUSTER_ID_SIZE);
    get_ip(at + AT_IP, packet->ip);
    packet->state = at[AT_STATE];
    memcpy(packet->message_flags, at + AT_MESSAGE_FLAGS, sizeof(packet->message_flags));
    packet->slots = at + AT_SLOTS;
    packet->data = at + PACKET_HEADER_SIZE;
    packet->data_size = (uint32_t)(bytes.size - PACKET_HEADER_SIZE);
    if (packet->current_epoch > PACKET_EPOCH_MAX || packet->config_epoch > PACKET_EPOCH_MAX)
        return PACKET_BAD;
    return body_verdict(packet);
}

void packet_gossip_at(const struct packet *packet, uint16_t index, struct packet_gossip *gossip) {
    const uint8_t *at = packet->data + (size_t)index * PACKET_GOSSIP_SIZE;
    memcpy(gossip->id, at, CLUSTER_ID_SIZE);
    gossip->ping_sent = get32(at + 40);
    gossip->pong_received = get32(at + 44);
    get_ip(at + 48, gossip->ip);
    gossip->port = get16(at + 94);
    gossip->bus_port = get16(at + 96);
    gossip->flags = get16(at + 98);
    gossip->other_port = get16(at + 100);
}

const char *packet_gossip_id(const struct packet *packet, uint16_t index) {
    return (const char *)packet->data + (size_t)index * PACKET_GOSSIP_SIZE;
}

uint32_t packet_gossip_pong(const struct packet *packet, uint16_t index) {
    return get32(packet->data + (size_t)index * PACKET_GOSSIP_SIZE + 44);
}

uint16_t packet_gossip_flags(const struct packet *packet, uint16_t index) {
    return get16(packet->data + (size_t)index * PACKET_GOSSIP_SIZE + 98);
}

// Text in an extension is terminated by zeros up to the alignment.
static struct bytes text_of(const uint8_t *at, uint32_t size) {
    return bytes_of(at, strnlen((const char *)at, size));
}

// A body of another length is a third thing, of somebody whom we don't know.
static void read_four(const uint8_t *body, uint32_t size, struct packet_extensions *extensions) {
    struct bytes text = text_of(body, size);
    if (size == PACKET_SECRET_SIZE)
        extensions->secret = bytes_of(body, PACKET_SECRET_SIZE);
    else if (text.size <= IPV4_TEXT_MAX && size <= IPV4_TEXT_MAX + 1)
        extensions->client_ipv4 = text;
}

void packet_extensions_read(const struct packet *packet, struct packet_extensions *extensions) {
    memset(extensions, 0, sizeof(*extensions));
    if (!(packet->message_flags[0] & PACKET_HAS_EXTENSIONS)) return;
    const uint8_t *at = packet->data + (size_t)packet->count * PACKET_GOSSIP_SIZE;
    const uint8_t *end = packet->data + packet->data_size;
    for (uint16_t i = 0; i < packet->extensions; i++) {
        uint32_t length;
        uint16_t type;
        if (!extension_at(at, (uint32_t)(end - at), &length, &type)) return;
        const uint8_t *body = at + EXTENSION_HEAD;
        uint32_t size = length - EXTENSION_HEAD;
        if (type == PACKET_EXTENSION_HOSTNAME) extensions->hostname = text_of(body, size);
        if (type == PACKET_EXTENSION_HUMAN_NODENAME) extensions->human_nodename = text_of(body, size);
        if (type == PACKET_EXTENSION_SHARD_ID && size >= CLUSTER_ID_SIZE)
            extensions->shard_id = bytes_of(body, CLUSTER_ID_SIZE);
        if (type == PACKET_EXTENSION_FORGOTTEN_NODE && size >= CLUSTER_ID_SIZE + 8) {
            extensions->forgotten_id = bytes_of(body, CLUSTER_ID_SIZE);
            extensions->forgotten_ttl = get64(body + CLUSTER_ID_SIZE);
        }
        if (type == PACKET_EXTENSION_FOUR) read_four(body, size, extensions);
        at += length;
    }
}

void packet_update_read(const struct packet *packet, struct packet_update *update) {
    update->config_epoch = get64(packet->data);
    memcpy(update->id, packet->data + 8, CLUSTER_ID_SIZE);
    update->slots = packet->data + 8 + CLUSTER_ID_SIZE;
}

const char *packet_fail_id(const struct packet *packet) {
    return (const char *)packet->data;
}

void packet_counts_write(uint8_t *to, uint16_t count, uint16_t extensions, uint32_t total) {
    put32(to + AT_SIZE, total);
    put16(to + AT_COUNT, count);
    put16(to + AT_EXTENSIONS, extensions);
}

void packet_header_write(uint8_t *to, const struct packet *packet, uint32_t total) {
    memcpy(to, signature, sizeof(signature));
    put16(to + AT_VERSION, VERSION);
    put16(to + AT_PORT, packet->port);
    put16(to + AT_TYPE, packet->type);
    put64(to + AT_CURRENT_EPOCH, packet->current_epoch);
    put64(to + AT_CONFIG_EPOCH, packet->config_epoch);
    put64(to + AT_OFFSET, packet->offset);
    memcpy(to + AT_SENDER, packet->sender, CLUSTER_ID_SIZE);
    if (packet->slots)
        memcpy(to + AT_SLOTS, packet->slots, PACKET_SLOTS_SIZE);
    else
        memset(to + AT_SLOTS, 0, PACKET_SLOTS_SIZE);
    memcpy(to + AT_PRIMARY, packet->primary, CLUSTER_ID_SIZE);
    memset(to + AT_IP, 0, AT_FLAGS - AT_IP); // the address field, the reserved bytes
    memcpy(to + AT_IP, packet->ip, strnlen(packet->ip, CLUSTER_IP_SIZE - 1));
    put16(to + AT_OTHER_PORT, packet->other_port);
    put16(to + AT_BUS_PORT, packet->bus_port);
    put16(to + AT_FLAGS, packet->flags);
    to[AT_STATE] = packet->state;
    memcpy(to + AT_MESSAGE_FLAGS, packet->message_flags, sizeof(packet->message_flags));
    packet_counts_write(to, packet->count, packet->extensions, total);
}

void packet_gossip_write(uint8_t *to, const struct packet_gossip *gossip) {
    memcpy(to, gossip->id, CLUSTER_ID_SIZE);
    put32(to + 40, gossip->ping_sent);
    put32(to + 44, gossip->pong_received);
    memcpy(to + 48, gossip->ip, CLUSTER_IP_SIZE);
    put16(to + 94, gossip->port);
    put16(to + 96, gossip->bus_port);
    put16(to + 98, gossip->flags);
    put16(to + 100, gossip->other_port);
    memset(to + 102, 0, PACKET_GOSSIP_SIZE - 102);
}

void packet_update_write(uint8_t *to, const struct packet_update *update) {
    put64(to, update->config_epoch);
    memcpy(to + 8, update->id, CLUSTER_ID_SIZE);
    memcpy(to + 8 + CLUSTER_ID_SIZE, update->slots, PACKET_SLOTS_SIZE);
}

// Head, body and padding; text brings its terminator.
static uint32_t extension_size(uint32_t body) {
    return (EXTENSION_HEAD + body + EXTENSION_ALIGN - 1) & ~(uint32_t)(EXTENSION_ALIGN - 1);
}

uint32_t packet_extensions_size(const struct packet_extensions *extensions, uint16_t *count) {
    uint32_t size = 0;
    *count = 0;
    if (extensions->hostname.size)
        (*count)++, size += extension_size((uint32_t)extensions->hostname.size + 1);
    if (extensions->human_nodename.size)
        (*count)++, size += extension_size((uint32_t)extensions->human_nodename.size + 1);
    if (extensions->forgotten_id.size) (*count)++, size += extension_size(CLUSTER_ID_SIZE + 8);
    if (extensions->shard_id.size) (*count)++, size += extension_size(CLUSTER_ID_SIZE);
    return size;
}

// Head and body at `to`, with zeros behind it; returns what follows. `tail` bytes of zero belong to the body.
static uint8_t *extension_write(uint8_t *to, uint16_t type, struct bytes body, uint32_t tail) {
    uint32_t length = extension_size((uint32_t)body.size + tail);
    memset(to, 0, length);
    put32(to, length);
    put16(to + 4, type);
    memcpy(to + EXTENSION_HEAD, body.data, body.size);
    return to + length;
}

void packet_extensions_write(uint8_t *to, const struct packet_extensions *extensions) {
    if (extensions->hostname.size)
        to = extension_write(to, PACKET_EXTENSION_HOSTNAME, extensions->hostname, 1);
    if (extensions->human_nodename.size)
        to = extension_write(to, PACKET_EXTENSION_HUMAN_NODENAME, extensions->human_nodename, 1);
    if (extensions->forgotten_id.size) {
        uint8_t *body = to + EXTENSION_HEAD;
        to = extension_write(to, PACKET_EXTENSION_FORGOTTEN_NODE, extensions->forgotten_id, 8);
        put64(body + CLUSTER_ID_SIZE, extensions->forgotten_ttl);
    }
    if (extensions->shard_id.size) extension_write(to, PACKET_EXTENSION_SHARD_ID, extensions->shard_id, 0);
}
