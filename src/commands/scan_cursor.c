#include "commands/scan_cursor.h"

#include <string.h>

#include "base/crc16.h"

enum { SLOT_BITS = 14 };

_Static_assert(HASH_SLOTS == 1 << SLOT_BITS, "a cursor's low bits hold a slot");

uint64_t scan_cursor_pack(struct scan_cursor cursor) {
    return cursor.in_slot << SLOT_BITS | cursor.slot;
}

struct scan_cursor scan_cursor_unpack(uint64_t number) {
    return (struct scan_cursor){.slot = number & (HASH_SLOTS - 1), .in_slot = number >> SLOT_BITS};
}

bool scan_cursor_parse(struct bytes text, uint64_t *number) {
    bool negative = text.size && text.data[0] == '-';
    size_t at = text.size && (negative || text.data[0] == '+');
    if (at == text.size && at > 0) return false;
    uint64_t value = 0;
    for (; at < text.size; at++) {
        unsigned digit = (unsigned char)text.data[at] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *number = negative ? -value : value;
    return true;
}

int scan_pattern_slot(struct bytes pattern) {
    size_t plain = 0; // bytes before the first wildcard
    while (plain < pattern.size && !strchr("*?[\\", pattern.data[plain] ? pattern.data[plain] : 'x'))
        plain++;
    if (plain == pattern.size) return (int)hash_slot(pattern);
    const char *open = memchr(pattern.data, '{', plain);
    if (!open) return -1;
    const char *close = memchr(open, '}', (size_t)(pattern.data + plain - open));
    if (!close || close == open + 1) return -1;
    return (int)hash_slot(bytes_of(pattern.data, (size_t)(close - pattern.data) + 1));
}
