// request: a request as bytes once and for all; only its marked fields are written anew before each sending.
// Pure; a shape is read by many threads and changed by none after it was built.
#ifndef SHOAL_BENCH_REQUEST_H
#define SHOAL_BENCH_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/prng.h"

enum {
    REQUEST_NUMBER_SIZE = 12, // digits of a random number, as long as the mark "__rand_int__"
    REQUEST_TAG_SIZE = 3,     // of a hash tag, as long as "tag" in the mark "{tag}"
    REQUEST_FIELDS_MAX = 64,  // of each kind
};

struct request_shape {
    struct buffer bytes;
    unsigned number_count;
    unsigned tag_count;
    uint32_t numbers[REQUEST_FIELDS_MAX]; // where the digits stand
    uint32_t tags[REQUEST_FIELDS_MAX];    // where the three letters stand
};

// What request_fill writes.
struct request_fill {
    struct prng *prng;
    uint64_t keyspace;     // random numbers are below this
    const uint16_t *slots; // the slots to choose tags from; NULL: tags are left alone
    unsigned slot_count;
    const char (*tag_of_slot)[REQUEST_TAG_SIZE];
};

// Builds the RESP array of `count` arguments. "__data__" in an argument becomes `data`; "__rand_int__" is
// marked when `random` and "{tag}" when `tagged`. False when there are more marks than REQUEST_FIELDS_MAX.
bool request_build(struct request_shape *shape, const struct bytes *arguments, size_t count,
                   struct bytes data, bool random, bool tagged);

// A shape of bytes as they are, without fields.
void request_build_raw(struct request_shape *shape, struct bytes bytes);
void request_free(struct request_shape *shape);

// Writes the fields of `count` requests that stand one behind the other in `batch`. The tags of one request
// are equal.
void request_fill(const struct request_shape *shape, char *batch, unsigned count,
                  const struct request_fill *fill);

// Finds three printable letters for every slot. False when a slot has none (it has: a test of the table).
bool request_find_tags(char (*tag_of_slot)[REQUEST_TAG_SIZE]);

#endif
