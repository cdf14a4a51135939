// rdb_writer: an RDB file, record after record, into a sink.
//
// Order of calls: header, aux fields, then for each database that has keys select_db, resize_db and its keys,
// then end. Bytes are gathered in a front of RDB_WRITER_FRONT and leave through the sink; larger strings pass
// by it uncopied. Once the sink refuses, every later call returns false and writes nothing. Belongs to one
// thread at a time.
#ifndef SHOAL_CODEC_RDB_WRITER_H
#define SHOAL_CODEC_RDB_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "codec/rdb_format.h"
#include "codec/value.h"

enum { RDB_WRITER_FRONT = 64 << 10 };

struct rdb_writer;

// Takes all of `data` or returns false (the caller keeps errno or whatever it needs in `context`).
typedef bool rdb_sink(void *context, const void *data, size_t size);

// What the header tells about who wrote the file and when. Fields in the order in which they are written.
struct rdb_origin {
    const char *server_version; // redis-ver
    int64_t now_seconds;        // ctime, wall clock
    uint64_t used_memory;       // used-mem
    const char *replication_id; // repl-id; NULL when the file carries no replication state (then the next two
                                // are unused)
    int64_t replication_offset; // repl-offset
    int stream_db;              // repl-stream-db; -1 when no database was selected yet
    bool aof_base;              // aof-base
};

// `format` is copied. Destroy with rdb_writer_destroy.
struct rdb_writer *rdb_writer_create(rdb_sink *sink, void *context, const struct rdb_format *format);
void rdb_writer_destroy(struct rdb_writer *writer);

// Each returns false once the sink has refused.

// "REDIS" and the version, then the aux fields of `origin` unless it is NULL.
bool rdb_writer_header(struct rdb_writer *writer, const struct rdb_origin *origin);
bool rdb_writer_aux(struct rdb_writer *writer, struct bytes name, struct bytes value);
bool rdb_writer_select_db(struct rdb_writer *writer, uint64_t db);
// Keys, and keys with an expiry, in the selected database: a hint for the reader.
bool rdb_writer_resize_db(struct rdb_writer *writer, uint64_t keys, uint64_t expiring);
bool rdb_writer_key(struct rdb_writer *writer, struct bytes key, const struct codec_value *value,
                    const struct rdb_key_attributes *attributes);
// The end mark and the checksum; all bytes have gone to the sink when it returns true.
bool rdb_writer_end(struct rdb_writer *writer);

// Hands what is in the front to the sink now, so that a slow producer's reader sees it.
bool rdb_writer_flush(struct rdb_writer *writer);

// Bytes written so far, those in the front included.
uint64_t rdb_writer_size(const struct rdb_writer *writer);

#endif
