#include "sim/packed.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/memory.h"
#include "cluster/packet.h"

enum {
    SHELVES_FIRST = 1024,
    FACES_FIRST = 1024,
    FACES_MAX = 65536,    // a number has 16 bits
    RUN_MAX = 128,        // entries of gossip
    RUN_MEAN = 32,        // a power of two
    TIMES_BEFORE = 30000, // seconds before the first time that was packed, in which times may lie too
    RECENT = 512,         // messages that others may be about to pack as well
    GOSSIP_PING_AT = CLUSTER_ID_SIZE,
    GOSSIP_PONG_AT = GOSSIP_PING_AT + 4,
    GOSSIP_PLACE_AT = GOSSIP_PONG_AT + 4, // address and ports
    GOSSIP_FLAGS_AT = 98,
    GOSSIP_REST_AT = GOSSIP_FLAGS_AT + 2, // one more port, and nothing
};

// What several packets have in common: bytes that are kept once.
struct shared {
    struct shared *next; // on its shelf
    uint64_t hash;
    uint32_t references, size;
    uint8_t bytes[];
};

// A gossip entry: the number of what always stands there of this node, and what changes. Some of them in a
// row are shared.
// Times (unix seconds) are counted from the packer's, plus one; 0 is 0.
struct entry {
    uint16_t face, flags, ping, pong;
};
_Static_assert(sizeof(struct entry) == 8, "no padding");

// The packet: what stands before the slots, the slots, what stands between them and the gossip, the gossip,
// and what follows it.
struct packed {
    struct shared *slots;
    uint32_t references;
    uint32_t size, slots_at, tail_at, runs_count;
    struct shared *runs[]; // of gossip entries; behind them the bytes that are not shared
};

// Gossip entries with times and flags left out, by number.
struct faces {
    uint8_t (*items)[PACKET_GOSSIP_SIZE];
    uint32_t count, size;
    uint32_t *places; // numbers plus one, by the hash of the name: twice as many as `size`
};

struct packer {
    struct message_pool *pool;
    struct shared **shelves;
    uint64_t shelf_count, shared_count; // shelf_count is a power of two
    uint64_t holders;                   // of what is packed, those in `recent` aside
    uint32_t times_from;                // 0: none was packed yet
    struct faces faces;
    struct entry *entries; // of the packet at hand
    struct shared **runs;
    uint32_t entries_size; // of both
    struct {
        struct cluster_message *message;
        struct packed *packed;
    } recent[RECENT]; // by the message's address
};

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

static struct shared *share(struct packer *packer, const void *bytes, uint32_t size) {
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

// -- faces
// ----------------------------------------------------------------------------------------------------------

static uint64_t mix(uint64_t word) {
    return word * 0x9e3779b97f4a7c15u >> 32;
}

static uint32_t place_of(const struct faces *faces, const uint8_t *entry) {
    uint64_t name;
    memcpy(&name, entry, sizeof name); // names are random digits
    return (uint32_t)mix(name) & (faces->size * 2 - 1);
}

static bool same_face(const uint8_t *a, const uint8_t *b) {
    return memcmp(a, b, CLUSTER_ID_SIZE) == 0 &&
           memcmp(a + GOSSIP_PLACE_AT, b + GOSSIP_PLACE_AT, GOSSIP_FLAGS_AT - GOSSIP_PLACE_AT) == 0 &&
           memcmp(a + GOSSIP_REST_AT, b + GOSSIP_REST_AT, PACKET_GOSSIP_SIZE - GOSSIP_REST_AT) == 0;
}

// The place of the entry's face, or the free one where it belongs.
static uint32_t find_face(const struct faces *faces, const uint8_t *entry) {
    uint32_t mask = faces->size * 2 - 1, at = place_of(faces, entry);
    while (faces->places[at] && !same_face(faces->items[faces->places[at] - 1], entry))
        at = (at + 1) & mask;
    return at;
}

static void grow_faces(struct faces *faces) {
    faces->size = faces->size ? faces->size * 2 : FACES_FIRST;
    faces->items = mem_realloc(faces->items, faces->size * sizeof *faces->items);
    mem_free(faces->places);
    faces->places = mem_calloc((size_t)faces->size * 2, sizeof *faces->places);
    for (uint32_t i = 0; i < faces->count; i++)
        faces->places[find_face(faces, faces->items[i])] = i + 1;
}

// False when there are too many.
static bool know_face(struct faces *faces, const uint8_t *entry, uint16_t *number) {
    uint32_t place = find_face(faces, entry);
    if (!faces->places[place]) {
        if (faces->count == FACES_MAX) return false;
        if (faces->count == faces->size) {
            grow_faces(faces);
            place = find_face(faces, entry);
        }
        memcpy(faces->items[faces->count], entry, PACKET_GOSSIP_SIZE);
        faces->places[place] = ++faces->count;
    }
    *number = (uint16_t)(faces->places[place] - 1);
    return true;
}

// -- gossip
// ----------------------------------------------------------------------------------------------------------

static bool pack_time(struct packer *packer, const uint8_t *from, uint16_t *to) {
    uint32_t time;
    memcpy(&time, from, sizeof time);
    time = __builtin_bswap32(time);
    if (time && !packer->times_from) packer->times_from = time > TIMES_BEFORE ? time - TIMES_BEFORE : 1;
    *to = time ? (uint16_t)(time - packer->times_from + 1) : 0;
    return !time || (time >= packer->times_from && time - packer->times_from < UINT16_MAX);
}

static void unpack_time(const struct packer *packer, uint16_t from, uint8_t *to) {
    uint32_t time = __builtin_bswap32(from ? packer->times_from + from - 1 : 0);
    memcpy(to, &time, sizeof time);
}

static bool pack_entry(struct packer *packer, const uint8_t *from, struct entry *entry) {
    memcpy(&entry->flags, from + GOSSIP_FLAGS_AT, sizeof entry->flags);
    return pack_time(packer, from + GOSSIP_PING_AT, &entry->ping) &&
           pack_time(packer, from + GOSSIP_PONG_AT, &entry->pong) &&
           know_face(&packer->faces, from, &entry->face);
}

static void unpack_entry(const struct packer *packer, const struct entry *entry, uint8_t *to) {
    memcpy(to, packer->faces.items[entry->face], PACKET_GOSSIP_SIZE);
    memcpy(to + GOSSIP_FLAGS_AT, &entry->flags, sizeof entry->flags);
    unpack_time(packer, entry->ping, to + GOSSIP_PING_AT);
    unpack_time(packer, entry->pong, to + GOSSIP_PONG_AT);
}

static bool pack_entries(struct packer *packer, const uint8_t *from, uint32_t count) {
    if (packer->entries_size < count) {
        packer->entries_size = count * 2;
        packer->entries = mem_realloc(packer->entries, packer->entries_size * sizeof *packer->entries);
        packer->runs = mem_realloc(packer->runs, packer->entries_size * sizeof *packer->runs);
    }
    for (uint32_t i = 0; i < count; i++)
        if (!pack_entry(packer, from + (size_t)i * PACKET_GOSSIP_SIZE, &packer->entries[i])) return false;
    return true;
}

// Where a run ends is decided by whom its last entry is about: the same suspects in the same order are the
// same runs, wherever in a packet they begin.
static uint32_t run_length(const struct entry *entries, uint32_t left) {
    uint32_t most = left < RUN_MAX ? left : RUN_MAX, length = 1;
    while (length < most && mix(entries[length - 1].face + 1u) % RUN_MEAN)
        length++;
    return length;
}

// Cuts what pack_entries found into runs; how many.
static uint32_t share_runs(struct packer *packer, uint32_t count) {
    uint32_t runs = 0;
    for (uint32_t at = 0, length; at < count; at += length) {
        length = run_length(packer->entries + at, count - at);
        packer->runs[runs++] =
            share(packer, packer->entries + at, length * (uint32_t)sizeof *packer->entries);
    }
    return runs;
}

static uint8_t *unpack_run(const struct packer *packer, const struct shared *run, uint8_t *to) {
    for (uint32_t at = 0; at < run->size; at += sizeof(struct entry), to += PACKET_GOSSIP_SIZE) {
        struct entry entry;
        memcpy(&entry, run->bytes + at, sizeof entry);
        unpack_entry(packer, &entry, to);
    }
    return to;
}

// -- packing
// ----------------------------------------------------------------------------------------------------------

static uint8_t *own_bytes(struct packed *packed) {
    return (uint8_t *)&packed->runs[packed->runs_count];
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

static struct packed *pack(struct packer *packer, const struct cluster_message *message) {
    struct packet packet;
    uint8_t *whole = (uint8_t *)message->data;
    if (packet_decode(bytes_of(whole, message->size), &packet) != PACKET_OK) return NULL;
    uint32_t count = packet.type <= PACKET_MEET ? packet.count : 0, gossip = count * PACKET_GOSSIP_SIZE;
    if (!pack_entries(packer, whole + PACKET_HEADER_SIZE, count)) return NULL;
    uint32_t runs = share_runs(packer, count), own = message->size - PACKET_SLOTS_SIZE - gossip;
    struct packed *packed = mem_alloc(sizeof *packed + runs * sizeof *packed->runs + own);
    packed->references = 1;
    packed->size = message->size;
    packed->slots_at = (uint32_t)(packet.slots - whole);
    packed->tail_at = PACKET_HEADER_SIZE + gossip;
    packed->slots = share(packer, packet.slots, PACKET_SLOTS_SIZE);
    packed->runs_count = runs;
    if (runs) memcpy(packed->runs, packer->runs, runs * sizeof *packed->runs);
    copy_own(packed, own_bytes(packed), whole, false);
    return packed;
}

static void release(struct packer *packer, struct packed *packed) {
    if (--packed->references) return;
    unshare(packer, packed->slots);
    for (uint32_t i = 0; i < packed->runs_count; i++)
        unshare(packer, packed->runs[i]);
    mem_free(packed);
}

static void forget_recent(struct packer *packer, size_t at) {
    if (!packer->recent[at].message) return;
    cluster_message_release(packer->recent[at].message);
    release(packer, packer->recent[at].packed);
    packer->recent[at].message = NULL;
}

// Nobody holds anything: what was known of nodes and times is not needed any more.
static void begin_anew(struct packer *packer) {
    for (size_t i = 0; i < RECENT; i++)
        forget_recent(packer, i);
    packer->times_from = 0;
    memset(packer->faces.places, 0, (size_t)packer->faces.size * 2 * sizeof *packer->faces.places);
    packer->faces.count = 0;
}

// The message is held, so that no other can come to lie where it does.
static void keep_recent(struct packer *packer, size_t at, struct cluster_message *message,
                        struct packed *packed) {
    forget_recent(packer, at);
    packer->recent[at].message = cluster_message_retain(message);
    packer->recent[at].packed = packed;
    packed->references++;
}

struct packed *packer_pack(struct packer *packer, struct cluster_message *message) {
    size_t at = mix((uintptr_t)message) % RECENT;
    if (packer->holders == 0) begin_anew(packer);
    bool known = packer->recent[at].message == message;
    struct packed *packed = known ? packer->recent[at].packed : pack(packer, message);
    if (!packed) return NULL;
    packer->holders++;
    if (known)
        packed->references++;
    else if (message->references > 1)
        keep_recent(packer, at, message, packed);
    return packed;
}

struct cluster_message *packer_unpack(struct packer *packer, struct packed *packed) {
    struct cluster_message *message = message_create(packer->pool, packed->size);
    uint8_t *gossip = message->data + PACKET_HEADER_SIZE;
    memcpy(message->data + packed->slots_at, packed->slots->bytes, PACKET_SLOTS_SIZE);
    for (uint32_t i = 0; i < packed->runs_count; i++)
        gossip = unpack_run(packer, packed->runs[i], gossip);
    copy_own(packed, own_bytes(packed), message->data, true);
    packer_drop(packer, packed);
    return message;
}

void packer_drop(struct packer *packer, struct packed *packed) {
    packer->holders--;
    release(packer, packed);
}

// -- the packer
// ----------------------------------------------------------------------------------------------------------

struct packer *packer_create(void) {
    struct packer *packer = mem_calloc(1, sizeof *packer);
    packer->pool = message_pool_create();
    packer->shelf_count = SHELVES_FIRST;
    packer->shelves = mem_calloc(packer->shelf_count, sizeof *packer->shelves);
    grow_faces(&packer->faces);
    return packer;
}

void packer_free(struct packer *packer) {
    for (size_t i = 0; i < RECENT; i++)
        forget_recent(packer, i);
    message_pool_destroy(packer->pool);
    mem_free(packer->shelves);
    mem_free(packer->faces.items);
    mem_free(packer->faces.places);
    mem_free(packer->entries);
    mem_free(packer->runs);
    mem_free(packer);
}
