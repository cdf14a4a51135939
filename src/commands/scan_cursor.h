// scan_cursor: where a SCAN stands: a slot, and a place in its table, in one number that clients carry to and
// fro. Pure.
//
// The slot sits in the low 14 bits, so that small tables give small cursors, which every client's integers
// can hold.
#ifndef SHOAL_COMMANDS_SCAN_CURSOR_H
#define SHOAL_COMMANDS_SCAN_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct scan_cursor {
    unsigned slot;    // 0..HASH_SLOTS-1
    uint64_t in_slot; // as keyspace_slot_scan takes and gives it
};

uint64_t scan_cursor_pack(struct scan_cursor cursor);
struct scan_cursor scan_cursor_unpack(uint64_t number);

// As C's strtoul reads a number (a sign is taken, "" is 0), but without spaces around it. False for anything
// else.
bool scan_cursor_parse(struct bytes text, uint64_t *number);

// The only slot whose keys can match `pattern`, or -1 when all could: a pattern without wildcards is one key,
// and one that begins with a {tag} free of them says its keys' slot.
int scan_pattern_slot(struct bytes pattern);

#endif
