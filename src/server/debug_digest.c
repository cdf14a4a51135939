#include "server/debug_digest.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/crc64.h"

enum { LANES = 3 }; // of 64 bits; 160 of them are shown

struct digest {
    uint64_t lanes[LANES];
};

// Spreads each bit over the word (splitmix64's last steps), so that digests may be combined by xor.
static uint64_t spread(uint64_t word) {
    word += 0x9e3779b97f4a7c15u;
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
    word = (word ^ word >> 27) * 0x94d049bb133111ebu;
    return word ^ word >> 31;
}

static void mix(struct digest *digest, const void *data, size_t size) {
    for (unsigned i = 0; i < LANES; i++) {
        uint64_t sum = crc64(digest->lanes[i] + i + 1, data, size);
        digest->lanes[i] = spread(sum ^ (uint64_t)size << 32 ^ i);
    }
}

static void mix_value(struct digest *digest, const struct entry *entry) {
    char scratch[NUMBER_TEXT_MAX];
    struct bytes value = entry_string(entry, scratch);
    mix(digest, value.data, value.size);
    if (entry->has_expiry) mix(digest, "expires", 7);
}

static void write_text(const struct digest *digest, char text[DIGEST_TEXT_SIZE + 1]) {
    snprintf(text, DIGEST_TEXT_SIZE + 1, "%016" PRIx64 "%016" PRIx64 "%08" PRIx64, digest->lanes[0], digest->lanes[1],
             digest->lanes[2] & 0xffffffff);
}

struct summing {
    struct digest sum;
    unsigned db;
};

static bool add_entry(void *context, struct entry *entry) {
    struct summing *summing = context;
    struct digest one = {{0}};
    struct bytes key = entry_key(entry);
    mix(&one, &summing->db, sizeof summing->db);
    mix(&one, key.data, key.size);
    mix_value(&one, entry);
    for (unsigned i = 0; i < LANES; i++)
        summing->sum.lanes[i] ^= one.lanes[i];
    return true;
}

void digest_keyspace(struct keyspace *keyspace, char text[DIGEST_TEXT_SIZE + 1]) {
    struct summing summing = {{{0}}, 0};
    for (; summing.db < keyspace_databases(keyspace); summing.db++) {
        if (keyspace_count(keyspace, summing.db) == 0) continue;
        for (unsigned slot = 0; slot < HASH_SLOTS; slot++)
            keyspace_slot_each(keyspace, summing.db, slot, add_entry, &summing);
    }
    write_text(&summing.sum, text);
}

void digest_value(const struct entry *entry, char text[DIGEST_TEXT_SIZE + 1]) {
    struct digest digest = {{0}};
    if (entry) mix_value(&digest, entry);
    write_text(&digest, text);
}
