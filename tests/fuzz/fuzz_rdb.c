// Any bytes as an RDB file and as a DUMP payload: no harm, the same items however the bytes arrive, and what
// was read can be written and read again. Input: a byte of flags (bit 0: the checksum counts, bits 4-7: the
// size of the pieces), then the file or the value.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/crc64.h"
#include "codec/dump.h"
#include "codec/rdb_reader.h"
#include "codec/rdb_writer.h"

enum { STRING_MAX = 1 << 20, ITEMS_MAX = 100000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds) abort();
}

struct tape {
    struct bytes left;
    size_t piece;
};

static ssize_t read_tape(void *context, void *data, size_t size) {
    struct tape *tape = context;
    if (size > tape->piece) size = tape->piece;
    if (size > tape->left.size) size = tape->left.size;
    if (size) memcpy(data, tape->left.data, size);
    tape->left.data += size;
    tape->left.size -= size;
    return (ssize_t)size;
}

static bool append_to_buffer(void *context, const void *data, size_t size) {
    buffer_append(context, data, size);
    return true;
}

static void note_number(struct buffer *notes, uint64_t number) {
    buffer_append(notes, &number, sizeof number);
}

static void note_bytes(struct buffer *notes, struct bytes bytes) {
    note_number(notes, bytes.size);
    buffer_append_bytes(notes, bytes);
}

// Writes down what makes two readings the same.
static void note_item(struct buffer *notes, const struct rdb_item *item) {
    note_number(notes, item->kind);
    switch (item->kind) {
    case RDB_ITEM_SELECT_DB: note_number(notes, item->db); break;
    case RDB_ITEM_KEY:
        require(item->name.size <= STRING_MAX && item->value.string.size <= STRING_MAX);
        note_bytes(notes, item->name);
        note_bytes(notes, item->value.string);
        // Times before 1970 are read but not written: no key can have them.
        note_number(notes,
                    item->attributes.expire_ms < 0 ? UINT64_MAX : (uint64_t)item->attributes.expire_ms);
        break;
    default: break;
    }
}

static void copy_item(struct rdb_writer *copy, const struct rdb_item *item) {
    if (item->kind == RDB_ITEM_SELECT_DB) require(rdb_writer_select_db(copy, item->db));
    if (item->kind == RDB_ITEM_KEY)
        require(rdb_writer_key(copy, item->name, &item->value, &item->attributes));
}

// Reads a file in pieces; notes databases and keys, and copies them to `copy` unless it is NULL. True when it
// ended well.
static bool read_file(struct bytes file, size_t piece, bool checksum, struct buffer *notes,
                      struct rdb_writer *copy) {
    struct tape tape = {file, piece};
    struct rdb_reader_options options = {.string_max = STRING_MAX, .ignore_checksum = !checksum};
    struct rdb_reader *reader = rdb_reader_create(read_tape, &tape, &options);
    struct rdb_item item;
    enum rdb_item_kind kind;
    unsigned items = 0;
    do {
        kind = rdb_reader_next(reader, &item);
        require(++items < ITEMS_MAX); // every item takes at least a byte of the file
        if (kind != RDB_ITEM_AUX && kind != RDB_ITEM_RESIZE_DB && kind != RDB_ITEM_FUNCTION)
            note_item(notes, &item);
        if (copy) copy_item(copy, &item);
    } while (kind != RDB_ITEM_END && kind != RDB_ITEM_ERROR);
    if (kind == RDB_ITEM_ERROR) require(item.fault != NULL);
    require(rdb_reader_next(reader, &item) == kind); // the end repeats itself
    rdb_reader_destroy(reader);
    return kind == RDB_ITEM_END;
}

static void check_file(struct bytes file, size_t piece, bool checksum) {
    struct buffer notes = BUFFER_EMPTY, again = BUFFER_EMPTY, copied = BUFFER_EMPTY;
    struct rdb_writer *copy = rdb_writer_create(append_to_buffer, &copied, &RDB_FORMAT_DEFAULT);
    require(rdb_writer_header(copy, NULL));
    bool good = read_file(file, file.size + 1, checksum, &notes, copy);
    require(rdb_writer_end(copy));
    rdb_writer_destroy(copy);

    require(read_file(file, piece, checksum, &again, NULL) == good);
    require(bytes_equal(buffer_bytes(&notes), buffer_bytes(&again)));
    if (good) {
        again.size = 0;
        require(read_file(buffer_bytes(&copied), piece, true, &again, NULL));
        require(bytes_equal(buffer_bytes(&notes), buffer_bytes(&again)));
    }
    buffer_free(&notes);
    buffer_free(&again);
    buffer_free(&copied);
}

// The value as a payload with a right checksum, which no mutation would find.
static void check_payload(struct bytes value_bytes) {
    struct buffer payload = BUFFER_EMPTY, again = BUFFER_EMPTY, scratch = BUFFER_EMPTY,
                  scratch_again = BUFFER_EMPTY;
    buffer_append_bytes(&payload, value_bytes);
    buffer_append(&payload, "\x0a\x00", 2);
    uint64_t checksum = crc64(0, payload.data, payload.size);
    buffer_append(&payload, &checksum, sizeof checksum);
    struct codec_value value, value_again;
    if (dump_parse(buffer_bytes(&payload), STRING_MAX, &scratch, &value) == DUMP_OK) {
        require(value.string.size <= STRING_MAX);
        require(dump_append(&again, &value, &RDB_FORMAT_DEFAULT));
        require(again.size <= dump_size_max(&value));
        require(dump_parse(buffer_bytes(&again), STRING_MAX, &scratch_again, &value_again) == DUMP_OK);
        require(bytes_equal(value.string, value_again.string));
    }
    dump_parse(value_bytes, STRING_MAX, &scratch, &value);
    buffer_free(&payload);
    buffer_free(&again);
    buffer_free(&scratch);
    buffer_free(&scratch_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    struct bytes rest = bytes_of(data + 1, size - 1);
    check_file(rest, (size_t)(data[0] >> 4) + 1, data[0] & 1);
    check_payload(rest);
    return 0;
}
