#include "keyspace/entry.h"

#include "base/memory.h"

enum { EMBSTR_MAX = 44 }; // what Redis calls "embstr"

size_t entry_string_size(const struct entry *entry) {
    char scratch[NUMBER_TEXT_MAX];
    return entry_string(entry, scratch).size;
}

const char *entry_encoding_name(const struct entry *entry) {
    if (entry->encoding == ENCODING_INTEGER) return "int";
    return entry->raw || entry_string_size(entry) > EMBSTR_MAX ? "raw" : "embstr";
}

size_t entry_memory(const struct entry *entry) {
    size_t size = mem_usable_size((void *)entry);
    if (entry->encoding == ENCODING_BLOB) size += mem_usable_size(entry_blob(entry));
    return size;
}
