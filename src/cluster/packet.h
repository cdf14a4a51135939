// packet: the bytes of Redis Cluster bus version 1, read and written; nothing else. Pure.
//
// A packet is big-endian: a header of 2,256 bytes, then what its type says. Reading checks every length and
// count against the bytes that are there, so that what has been decoded can be walked without further checks.
// What is read points into the packet's bytes, which must outlive it and need not be aligned.
#ifndef SHOAL_CLUSTER_PACKET_H
#define SHOAL_CLUSTER_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "cluster/cluster_config.h"

enum packet_type {
    PACKET_PING,
    PACKET_PONG,
    PACKET_MEET,
    PACKET_FAIL,
    PACKET_PUBLISH,
    PACKET_AUTH_REQUEST,
    PACKET_AUTH_ACK,
    PACKET_UPDATE,
    PACKET_MFSTART,
    PACKET_MODULE,
    PACKET_PUBLISHSHARD,
    PACKET_TYPES,
};

enum {
    PACKET_PREFIX_SIZE = 8, // signature and total length: enough to know how much to read
    PACKET_HEADER_SIZE = 2256,
    PACKET_SLOTS_SIZE = 2048, // 16384 bits
    PACKET_GOSSIP_SIZE = 104,
    PACKET_UPDATE_SIZE = 8 + CLUSTER_ID_SIZE + PACKET_SLOTS_SIZE,
    PACKET_SECRET_SIZE = 40,
    PACKET_SIZE_MAX = 64 * 1024 * 1024,
};

// A greater epoch is a lie: nobody counts so far, and who believed it would come to zero by counting on.
#define PACKET_EPOCH_MAX (UINT64_MAX - UINT32_MAX)

enum packet_message_flag { PACKET_PAUSED = 1, PACKET_FORCE_ACK = 2, PACKET_HAS_EXTENSIONS = 4 };

enum packet_extension_type {
    PACKET_EXTENSION_HOSTNAME,
    PACKET_EXTENSION_HUMAN_NODENAME,
    PACKET_EXTENSION_FORGOTTEN_NODE,
    PACKET_EXTENSION_SHARD_ID,
    PACKET_EXTENSION_FOUR, // two things, told apart by length: see packet_extensions
};

// The header, and where the rest lies.
struct packet {
    uint16_t type;
    uint16_t count; // gossip entries
    uint16_t extensions;
    uint16_t port, other_port, bus_port;
    uint16_t flags; // the sender's, enum cluster_node_flag
    uint64_t current_epoch, config_epoch, offset;
    char sender[CLUSTER_ID_SIZE];
    char primary[CLUSTER_ID_SIZE]; // zeros: the sender is a primary
    char ip[CLUSTER_IP_SIZE];      // announced; empty: take the link's. Terminated
    uint8_t state;                 // 0 ok, 1 fail
    uint8_t message_flags[3];
    const uint8_t *slots; // PACKET_SLOTS_SIZE bytes
    const uint8_t *data;  // behind the header
    uint32_t data_size;
};

struct packet_gossip {
    char id[CLUSTER_ID_SIZE];
    uint32_t ping_sent, pong_received; // unix seconds
    char ip[CLUSTER_IP_SIZE];          // terminated; for writing, zeros to its end
    uint16_t port, bus_port, flags, other_port;
};

// What the extensions of a PING, PONG or MEET say. Absent ones are empty views.
struct packet_extensions {
    struct bytes hostname;
    struct bytes human_nodename;
    struct bytes shard_id;
    struct bytes forgotten_id;
    uint64_t forgotten_ttl; // seconds
    // Read only. Kind 4 is the address that Valkey shows to clients over IPv4, text of at most 15 bytes; or
    // what Redis 8 calls the internal secret of the cluster, PACKET_SECRET_SIZE bytes. We act on neither.
    struct bytes client_ipv4;
    struct bytes secret;
};

struct packet_update {
    uint64_t config_epoch;
    char id[CLUSTER_ID_SIZE];
    const uint8_t *slots;
};

enum packet_verdict {
    PACKET_OK,
    PACKET_BAD,     // not this protocol, or it lies about its lengths or epochs: the link is worth nothing
    PACKET_UNKNOWN, // whole, but of a version or type that we don't know: skip it
};

// The total length that the first PACKET_PREFIX_SIZE bytes announce; 0 when they don't begin a packet or
// announce more than PACKET_SIZE_MAX or less than the shortest packet.
uint32_t packet_announced_size(const uint8_t *prefix);

enum packet_verdict packet_decode(struct bytes bytes, struct packet *packet);

// Entry `index` < packet->count of a decoded PING, PONG or MEET.
void packet_gossip_at(const struct packet *packet, uint16_t index, struct packet_gossip *gossip);

// Parts of it, without copying: the name (CLUSTER_ID_SIZE bytes), the unix time of the last pong, the flags.
const char *packet_gossip_id(const struct packet *packet, uint16_t index);
uint32_t packet_gossip_pong(const struct packet *packet, uint16_t index);
uint16_t packet_gossip_flags(const struct packet *packet, uint16_t index);

// All extensions of a decoded PING, PONG or MEET; unknown ones are skipped.
void packet_extensions_read(const struct packet *packet, struct packet_extensions *extensions);

// The body of a decoded UPDATE, and the node that a decoded FAIL names (CLUSTER_ID_SIZE bytes).
void packet_update_read(const struct packet *packet, struct packet_update *update);
const char *packet_fail_id(const struct packet *packet);

// ---- Writing. `to` has room for what is written. ----

// The whole header; `total` is the packet's length. Reserved bytes are zero. packet->slots NULL means no
// slots.
void packet_header_write(uint8_t *to, const struct packet *packet, uint32_t total);

// The header's count, extension count and total length alone, once they are known.
void packet_counts_write(uint8_t *to, uint16_t count, uint16_t extensions, uint32_t total);

void packet_gossip_write(uint8_t *to, const struct packet_gossip *gossip);

// PACKET_UPDATE_SIZE bytes.
void packet_update_write(uint8_t *to, const struct packet_update *update);

// How long the extensions are, and how many.
uint32_t packet_extensions_size(const struct packet_extensions *extensions, uint16_t *count);

// Writes packet_extensions_size bytes.
void packet_extensions_write(uint8_t *to, const struct packet_extensions *extensions);

#endif
