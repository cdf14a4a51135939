// rdb_reader: an RDB file, pulled out of a source record by record.
//
// Lengths in the file are claims: memory is taken as bytes arrive, and no string is longer than `string_max`.
// Reading ends with one RDB_ITEM_END or one RDB_ITEM_ERROR, which every later step repeats. Belongs to one
// thread at a time.
#ifndef SHOAL_CODEC_RDB_READER_H
#define SHOAL_CODEC_RDB_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "codec/fault.h"
#include "codec/rdb_format.h"
#include "codec/value.h"

struct rdb_reader;

// Fills up to `size` (at least 1) bytes of `data`; returns how many, 0 at the end, less than 0 when reading
// failed.
typedef ssize_t rdb_source(void *context, void *data, size_t size);

struct rdb_reader_options {
    size_t string_max;    // longest key or value, bytes
    bool ignore_checksum; // rdbchecksum no: the checksum at the end is read but not compared
};

#define RDB_READER_DEFAULT ((struct rdb_reader_options){RDB_STRING_MAX, false})

enum rdb_item_kind {
    RDB_ITEM_AUX,       // name, value: a field of the header; unknown names are to be passed over
    RDB_ITEM_SELECT_DB, // db: the keys that follow belong there; any number up to 2^64-1, check it
    RDB_ITEM_RESIZE_DB, // keys, expiring: a hint, possibly wrong; never allocate by it unchecked
    RDB_ITEM_FUNCTION,  // value: the source of a function library; the caller keeps or refuses it
    RDB_ITEM_KEY,       // db, name, value, attributes
    RDB_ITEM_END, // the end mark was reached; checksum_present tells whether the file had a checksum (then it
                  // is right)
    RDB_ITEM_ERROR, // fault
};

// Filled by rdb_reader_next; only the members named above for its kind have a meaning. Views live until the
// next step.
struct rdb_item {
    enum rdb_item_kind kind;
    uint64_t offset; // of the record's first byte in the file
    uint64_t db;
    uint64_t keys, expiring;
    struct bytes name;
    struct codec_value value;
    struct rdb_key_attributes attributes;
    bool checksum_present;
    const struct codec_fault *fault;
};

struct rdb_reader *rdb_reader_create(rdb_source *source, void *context,
                                     const struct rdb_reader_options *options);
void rdb_reader_destroy(struct rdb_reader *reader);

// Reads the next record into *item and returns its kind.
enum rdb_item_kind rdb_reader_next(struct rdb_reader *reader, struct rdb_item *item);

// The version that the header tells; 0 before the first step.
unsigned rdb_reader_version(const struct rdb_reader *reader);

// Bytes of the file read so far, for a progress line.
uint64_t rdb_reader_offset(const struct rdb_reader *reader);

// After RDB_ITEM_END: what was drawn from the source beyond the file's end (an append-only file goes on
// there).
struct bytes rdb_reader_rest(const struct rdb_reader *reader);

#endif
