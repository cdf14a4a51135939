#include "sim/packed.h"

#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/memory.h"
#include "cluster/packet.h"

enum {
    SHELVES_FIRST = 1024,
    RUN_ENTRIES = 16, // of gossip
    RUN_SIZE = RUN_ENTRIES * PACKET_GOSSIP_SIZE,
    GOSSIP_TIMES_AT = CLUSTER_ID_SIZE, // of a gossip entry: two times of 4 bytes,
    GOSSIP_TIMES_SIZE = 8,
    GOSSIP_FLAGS_AT = 98, // and its flags
    GOSSIP_FLAGS_SIZE = 2,
};

// What several packets have in common: bytes that are kept once.
struct shared {
    struct shared *next; // on its shelf
    uint64_t hash;
    uint32_t references, size;
    _Alignas(void *) uint8_t bytes[];
};

// A gossip entry: a shared one, with times and flags zeroed, and these.
struct news {
    uint8_t times[GOSSIP_TIMES_SIZE];
    uint8_t flags[GOSSIP_FLAGS_SIZE];
};

// Some entries in a row, of which the last run of a packet has fewer; shared, too.
struct run {
    struct shared *nodes[RUN_ENTRIES];
    struct news news[RUN_ENTRIES];
};
_Static_assert(sizeof(struct run) == RUN_ENTRIES * (sizeof(struct shared *) + sizeof(struct news)),
               "no padding");

// The packet: what stands before the slots, the slots, what stands between them and the gossip, the gossip,
// and what follows it (extensions).
struct packed {
    struct shared *slots;
    uint32_t size, slots_at, count, tail_at;
    struct shared *runs[]; // of gossip entries; behind them the bytes that are not shared
};

struct packer {
    struct message_pool *pool;
    struct shared **shelves;
    uint64_t shelf_count, shared_count; // shelf_count is a power of two
};

struct packer *packer_create(void) {
    struct packer *packer = mem_calloc(1, sizeof *packer);
    packer->pool = message_pool_create();
    packer->shelf_count = SHELVES_FIRST;
    packer->shelves = mem_calloc(packer->shelf_count, sizeof *packer->shelves);
    return packer;
}

void packer_free(struct packer *packer) {
    message_pool_destroy(packer->pool);
    mem_free(packer->shelves);
    mem_free(packer);
}

// -- what is shared
// ----------------------------------------------------------------------------------------------------------

static struct shared **shelf_of(const struct packer *packer, uint64_t hash) {
    return &packer->shelves[hash & (packer->shelf_count - 1)];
}

static void put(struct packer *packer, struct shared *shared) {
    struct shared **shelf = shelf_of(packer, shared->hash);
    shared->next = *shelf;
    *shelf = shared;
}

static void add_shelves(struct packer *packer) {
    struct shared **old = packer->shelves;
    uint64_t count = packer->shelf_count;
    packer->shelf_count = count * 2;
    packer->shelves = mem_calloc(packer->shelf_count, sizeof *packer->shelves);
    for (uint64_t i = 0; i < count; i++) {
        for (struct shared *shared = old[i], *next; shared; shared = next) {
            next = shared->next;
            put(packer, shared);
        }
    }
    mem_free(old);
}

static struct shared *share(struct packer *packer, const uint8_t *bytes, uint32_t size) {
    uint64_t hash = hash_bytes(bytes, size);
    for (struct shared *shared = *shelf_of(packer, hash); shared; shared = shared->next) {
        if (shared->hash != hash || shared->size != size || memcmp(shared->bytes, bytes, size) != 0) continue;
        shared->references++;
        return shared;
    }
    if (packer->shared_count++ == packer->shelf_count) add_shelves(packer);
    struct shared *shared = mem_alloc(sizeof *shared + size);
    *shared = (struct shared){.hash = hash, .references = 1, .size = size};
    memcpy(shared->bytes, bytes, size);
    put(packer, shared);
    return shared;
}

static void unshare(struct packer *packer, struct shared *shared) {
    if (--shared->references) return;
    struct shared **at = shelf_of(packer, shared->hash);
    while (*at != shared)
        at = &(*at)->next;
    *at = shared->next;
    packer->shared_count--;
    mem_free(shared);
}

// -- packing
// ----------------------------------------------------------------------------------------------------------

static uint32_t runs_of(uint32_t entries) {
    return (entries + RUN_ENTRIES - 1) / RUN_ENTRIES;
}

// How many entries run `index` has, of a packet of `count`.
static uint32_t run_length(uint32_t count, uint32_t index) {
    uint32_t left = count - index * RUN_ENTRIES;
    return left < RUN_ENTRIES ? left : RUN_ENTRIES;
}

static uint8_t *own_bytes(struct packed *packed) {
    return (uint8_t *)&packed->runs[runs_of(packed->count)];
}

static struct shared *pack_entry(struct packer *packer, const uint8_t *from, struct news *news) {
    uint8_t node[PACKET_GOSSIP_SIZE];
    memcpy(node, from, sizeof node);
    memcpy(news->times, node + GOSSIP_TIMES_AT, GOSSIP_TIMES_SIZE);
    memcpy(news->flags, node + GOSSIP_FLAGS_AT, GOSSIP_FLAGS_SIZE);
    memset(node + GOSSIP_TIMES_AT, 0, GOSSIP_TIMES_SIZE);
    memset(node + GOSSIP_FLAGS_AT, 0, GOSSIP_FLAGS_SIZE);
    return share(packer, node, sizeof node);
}

static void unpack_entry(const struct shared *node, const struct news *news, uint8_t *to) {
    memcpy(to, node->bytes, PACKET_GOSSIP_SIZE);
    memcpy(to + GOSSIP_TIMES_AT, news->times, GOSSIP_TIMES_SIZE);
    memcpy(to + GOSSIP_FLAGS_AT, news->flags, GOSSIP_FLAGS_SIZE);
}

static void unshare_nodes(struct packer *packer, const struct run *run, uint32_t length) {
    for (uint32_t i = 0; i < length; i++)
        unshare(packer, run->nodes[i]);
}

// A run that is new keeps its entries; of one that was there already they are held by it.
static struct shared *pack_run(struct packer *packer, const uint8_t *from, uint32_t length) {
    struct run run;
    memset(&run, 0, sizeof run);
    for (uint32_t i = 0; i < length; i++)
        run.nodes[i] = pack_entry(packer, from + (size_t)i * PACKET_GOSSIP_SIZE, &run.news[i]);
    struct shared *shared = share(packer, (const uint8_t *)&run, sizeof run);
    if (shared->references > 1) unshare_nodes(packer, &run, length);
    return shared;
}

static void unpack_run(const struct shared *shared, uint32_t length, uint8_t *to) {
    const struct run *run = (const struct run *)shared->bytes;
    for (uint32_t i = 0; i < length; i++)
        unpack_entry(run->nodes[i], &run->news[i], to + (size_t)i * PACKET_GOSSIP_SIZE);
}

static void drop_run(struct packer *packer, struct shared *shared, uint32_t length) {
    if (shared->references == 1) unshare_nodes(packer, (const struct run *)shared->bytes, length);
    unshare(packer, shared);
}

// Copies what is not shared, from a whole packet or back into one.
static void copy_own(const struct packed *packed, uint8_t *own, uint8_t *whole, bool back) {
    uint32_t behind_slots = packed->slots_at + PACKET_SLOTS_SIZE;
    const uint32_t parts[][2] = {{0, packed->slots_at},
                                 {behind_slots, PACKET_HEADER_SIZE - behind_slots},
                                 {packed->tail_at, packed->size - packed->tail_at}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        memcpy(back ? whole + parts[i][0] : own, back ? own : whole + parts[i][0], parts[i][1]);
        own += parts[i][1];
    }
}

struct packed *packer_pack(struct packer *packer, const struct cluster_message *message) {
    struct packet packet;
    uint8_t *whole = (uint8_t *)message->data;
    if (packet_decode(bytes_of(whole, message->size), &packet) != PACKET_OK || packet.type > PACKET_MEET)
        return NULL;
    uint32_t gossip = (uint32_t)packet.count * PACKET_GOSSIP_SIZE, runs = runs_of(packet.count);
    uint32_t own = message->size - PACKET_SLOTS_SIZE - gossip;
    struct packed *packed = mem_alloc(sizeof *packed + runs * sizeof *packed->runs + own);
    packed->size = message->size;
    packed->slots_at = (uint32_t)(packet.slots - whole);
    packed->count = packet.count;
    packed->tail_at = PACKET_HEADER_SIZE + gossip;
    packed->slots = share(packer, packet.slots, PACKET_SLOTS_SIZE);
    for (uint32_t i = 0; i < runs; i++)
        packed->runs[i] = pack_run(packer, packet.data + (size_t)i * RUN_SIZE, run_length(packed->count, i));
    copy_own(packed, own_bytes(packed), whole, false);
    return packed;
}

struct cluster_message *packer_unpack(struct packer *packer, struct packed *packed) {
    struct cluster_message *message = message_create(packer->pool, packed->size);
    memcpy(message->data + packed->slots_at, packed->slots->bytes, PACKET_SLOTS_SIZE);
    for (uint32_t i = 0; i < runs_of(packed->count); i++)
        unpack_run(packed->runs[i], run_length(packed->count, i),
                   message->data + PACKET_HEADER_SIZE + (size_t)i * RUN_SIZE);
    copy_own(packed, own_bytes(packed), message->data, true);
    packer_drop(packer, packed);
    return message;
}

void packer_drop(struct packer *packer, struct packed *packed) {
    unshare(packer, packed->slots);
    for (uint32_t i = 0; i < runs_of(packed->count); i++)
        drop_run(packer, packed->runs[i], run_length(packed->count, i));
    mem_free(packed);
}
