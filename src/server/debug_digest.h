// debug_digest: a signature of keys and values, the same for the same content on every node. Pure of order. Exclusive mode.
#ifndef SHOAL_SERVER_DEBUG_DIGEST_H
#define SHOAL_SERVER_DEBUG_DIGEST_H

#include "keyspace/keyspace.h"

enum { DIGEST_TEXT_SIZE = 40 };

// Of everything; all zeros when there is nothing.
void digest_keyspace(struct keyspace *keyspace, char text[DIGEST_TEXT_SIZE + 1]);

// Of a value (NULL: none, all zeros) and whether it expires.
void digest_value(const struct entry *entry, char text[DIGEST_TEXT_SIZE + 1]);

#endif
