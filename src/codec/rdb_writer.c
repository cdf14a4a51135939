#include "codec/rdb_writer.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/crc64.h"
#include "base/memory.h"
#include "codec/encode.h"

// Room to compress into is kept between keys up to this; beyond, it is given back after the key.
enum { ROOM_KEPT_MAX = 1 << 20 };

struct rdb_writer {
    rdb_sink *sink;
    void *context;
    struct rdb_format format;
    bool failed;
    uint64_t sent;     // bytes handed to the sink
    uint64_t checksum; // of those bytes
    size_t used;       // of front
    char front[RDB_WRITER_FRONT];
    struct buffer room; // to compress into; only its capacity is used
};

struct rdb_writer *rdb_writer_create(rdb_sink *sink, void *context, const struct rdb_format *format) {
    struct rdb_writer *writer = mem_alloc(sizeof *writer);
    writer->sink = sink;
    writer->context = context;
    writer->format = *format;
    writer->failed = false;
    writer->sent = 0;
    writer->checksum = 0;
    writer->used = 0;
    writer->room = BUFFER_EMPTY;
    return writer;
}

void rdb_writer_destroy(struct rdb_writer *writer) {
    if (!writer) return;
    buffer_free(&writer->room);
    mem_free(writer);
}

uint64_t rdb_writer_size(const struct rdb_writer *writer) {
    return writer->sent + writer->used;
}

static bool send_out(struct rdb_writer *writer, const void *data, size_t size) {
    if (writer->failed) return false;
    if (writer->format.checksum) writer->checksum = crc64(writer->checksum, data, size);
    if (!writer->sink(writer->context, data, size)) {
        writer->failed = true;
        return false;
    }
    writer->sent += size;
    return true;
}

bool rdb_writer_flush(struct rdb_writer *writer) {
    if (!writer->used) return !writer->failed;
    size_t size = writer->used;
    writer->used = 0;
    return send_out(writer, writer->front, size);
}

static bool put(struct rdb_writer *writer, const void *data, size_t size) {
    if (size > sizeof writer->front - writer->used) {
        if (!rdb_writer_flush(writer)) return false;
        if (size >= sizeof writer->front) return send_out(writer, data, size);
    }
    if (size) memcpy(writer->front + writer->used, data, size);
    writer->used += size;
    return !writer->failed;
}

static bool put_byte(struct rdb_writer *writer, unsigned byte) {
    char one = (char)byte;
    return put(writer, &one, 1);
}

static bool put_length(struct rdb_writer *writer, uint64_t length) {
    char out[ENCODED_LENGTH_MAX];
    return put(writer, out, encode_length(out, length));
}

static bool put_fixed(struct rdb_writer *writer, uint64_t number, size_t size) {
    char out[8];
    encode_fixed(out, number, size);
    return put(writer, out, size);
}

static bool put_form(struct rdb_writer *writer, const struct string_form *form) {
    return put(writer, form->head, form->head_size) && put(writer, form->body.data, form->body.size);
}

// Room to compress `string` into, or NULL when it is not to be compressed (or memory is short: then it goes
// out plain).
static char *room_for(struct rdb_writer *writer, struct bytes string) {
    size_t size = writer->format.compress ? string_form_room(string) : 0;
    return size && buffer_try_reserve(&writer->room, size) ? writer->room.data : NULL;
}

static bool put_string(struct rdb_writer *writer, struct bytes string) {
    struct string_form form;
    string_form_make(&form, string, room_for(writer, string));
    bool ok = put_form(writer, &form);
    if (writer->room.capacity > ROOM_KEPT_MAX) buffer_free(&writer->room);
    return ok;
}

static bool put_integer(struct rdb_writer *writer, int64_t integer) {
    struct string_form form;
    string_form_make_integer(&form, integer);
    return put_form(writer, &form);
}

static bool put_aux_string(struct rdb_writer *writer, const char *name, const char *value) {
    return rdb_writer_aux(writer, bytes_from_string(name), bytes_from_string(value));
}

static bool put_aux_integer(struct rdb_writer *writer, const char *name, int64_t value) {
    return put_byte(writer, RDB_OPCODE_AUX) && put_string(writer, bytes_from_string(name)) &&
           put_integer(writer, value);
}

static bool put_replication_state(struct rdb_writer *writer, const struct rdb_origin *origin) {
    return (origin->stream_db < 0 || put_aux_integer(writer, "repl-stream-db", origin->stream_db)) &&
           put_aux_string(writer, "repl-id", origin->replication_id) &&
           put_aux_integer(writer, "repl-offset", origin->replication_offset);
}

bool rdb_writer_header(struct rdb_writer *writer, const struct rdb_origin *origin) {
    char header[RDB_HEADER_SIZE + 1];
    snprintf(header, sizeof header, "REDIS%04u", writer->format.version % 10000);
    if (!put(writer, header, RDB_HEADER_SIZE)) return false;
    if (!origin) return true;
    return put_aux_string(writer, "redis-ver", origin->server_version) &&
           put_aux_integer(writer, "redis-bits", 8 * (int64_t)sizeof(void *)) &&
           put_aux_integer(writer, "ctime", origin->now_seconds) &&
           put_aux_integer(writer, "used-mem", (int64_t)origin->used_memory) &&
           (!origin->replication_id || put_replication_state(writer, origin)) &&
           put_aux_integer(writer, "aof-base", origin->aof_base);
}

bool rdb_writer_aux(struct rdb_writer *writer, struct bytes name, struct bytes value) {
    return put_byte(writer, RDB_OPCODE_AUX) && put_string(writer, name) && put_string(writer, value);
}

bool rdb_writer_select_db(struct rdb_writer *writer, uint64_t db) {
    return put_byte(writer, RDB_OPCODE_SELECT_DB) && put_length(writer, db);
}

bool rdb_writer_resize_db(struct rdb_writer *writer, uint64_t keys, uint64_t expiring) {
    return put_byte(writer, RDB_OPCODE_RESIZE_DB) && put_length(writer, keys) && put_length(writer, expiring);
}

static bool put_attributes(struct rdb_writer *writer, const struct rdb_key_attributes *attributes) {
    if (attributes->expire_ms >= 0 &&
        !(put_byte(writer, RDB_OPCODE_EXPIRE_MS) && put_fixed(writer, (uint64_t)attributes->expire_ms, 8)))
        return false;
    if (attributes->idle_seconds >= 0)
        return put_byte(writer, RDB_OPCODE_IDLE) && put_length(writer, (uint64_t)attributes->idle_seconds);
    if (attributes->frequency >= 0)
        return put_byte(writer, RDB_OPCODE_FREQUENCY) && put_byte(writer, (unsigned)attributes->frequency);
    return true;
}

static bool put_value(struct rdb_writer *writer, const struct codec_value *value) {
    return value->is_integer ? put_integer(writer, value->integer) : put_string(writer, value->string);
}

bool rdb_writer_key(struct rdb_writer *writer, struct bytes key, const struct codec_value *value,
                    const struct rdb_key_attributes *attributes) {
    return put_attributes(writer, attributes) && put_byte(writer, (unsigned char)encode_type(value)) &&
           put_string(writer, key) && put_value(writer, value);
}

bool rdb_writer_end(struct rdb_writer *writer) {
    return put_byte(writer, RDB_OPCODE_EOF) && rdb_writer_flush(writer) &&
           put_fixed(writer, writer->format.checksum ? writer->checksum : 0, RDB_CHECKSUM_SIZE) &&
           rdb_writer_flush(writer);
}
