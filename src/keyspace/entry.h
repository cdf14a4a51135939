// entry: one key with its value, in one allocation.
//
//   header (12 bytes) | expiry (8, only when it has one) | key | value
//
// The value is, by encoding: the bytes themselves (EMBEDDED), an int64 (INTEGER), or a pointer to a blob (BLOB).
// The entry belongs to its slot: read and write it only with the slot's lock held, and no longer.
// An entry's address changes when its value or expiry changes size: use what the keyspace call returns.
#ifndef SHOAL_KEYSPACE_ENTRY_H
#define SHOAL_KEYSPACE_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/numbers.h"
#include "keyspace/blob.h"

enum entry_type { ENTRY_STRING = 0 };

enum entry_encoding { ENCODING_EMBEDDED, ENCODING_INTEGER, ENCODING_BLOB };

enum {
    ENTRY_EMBEDDED_MAX = 512, // longer strings live in a blob
    ENTRY_HEADER_SIZE = 12,
    NO_EXPIRY = -1,
};

struct entry {
    uint32_t access : 24;   // last use: seconds (LRU), or minutes and a counter (LFU), as OBJECT IDLETIME/FREQ tell it
    uint32_t type : 3;      // enum entry_type
    uint32_t encoding : 2;  // enum entry_encoding
    uint32_t has_expiry : 1;
    uint32_t raw : 1;       // a string that was changed in place: OBJECT ENCODING says "raw" whatever its size
    uint32_t spare : 1;
    uint32_t key_size;
    uint32_t value_size;    // of an embedded value; 8 for the other encodings
    char data[];
};

static inline const char *entry__key_data(const struct entry *entry) {
    return entry->data + (entry->has_expiry ? 8 : 0);
}

static inline struct bytes entry_key(const struct entry *entry) {
    return (struct bytes){entry__key_data(entry), entry->key_size};
}

static inline char *entry__value_data(const struct entry *entry) {
    return (char *)entry__key_data(entry) + entry->key_size;
}

// Wall-clock milliseconds at which the key expires, or NO_EXPIRY.
static inline int64_t entry_expiry(const struct entry *entry) {
    int64_t at;
    if (!entry->has_expiry) return NO_EXPIRY;
    memcpy(&at, entry->data, sizeof at);
    return at;
}

// The integer of an ENCODING_INTEGER entry.
static inline int64_t entry_integer(const struct entry *entry) {
    int64_t value;
    memcpy(&value, entry__value_data(entry), sizeof value);
    return value;
}

// The blob of an ENCODING_BLOB entry.
static inline struct blob *entry_blob(const struct entry *entry) {
    struct blob *blob;
    memcpy(&blob, entry__value_data(entry), sizeof blob);
    return blob;
}

// The string value as bytes; an integer is written into `scratch` (NUMBER_TEXT_MAX bytes). Valid until the entry changes.
static inline struct bytes entry_string(const struct entry *entry, char *scratch) {
    switch (entry->encoding) {
    case ENCODING_EMBEDDED: return (struct bytes){entry__value_data(entry), entry->value_size};
    case ENCODING_INTEGER: return (struct bytes){scratch, number_format(scratch, entry_integer(entry))};
    default: return blob_bytes(entry_blob(entry));
    }
}

// Length of the string value in bytes.
size_t entry_string_size(const struct entry *entry);

// "int", "embstr" or "raw", as OBJECT ENCODING names them.
const char *entry_encoding_name(const struct entry *entry);

// Bytes of heap that the entry holds, its blob included.
size_t entry_memory(const struct entry *entry);

#endif
