#include "codec/rdb_reader.h"

#include <string.h>

#include "base/memory.h"
#include "codec/decode.h"
#include "codec/input.h"

// Memory for strings is kept between records up to this; beyond, it is given back at the next step.
enum { SCRATCH_KEPT_MAX = 1 << 20 };

enum { SLOT_INFO_LENGTHS = 3 };

struct rdb_reader {
    struct input input;
    bool ignore_checksum;
    bool ended;
    bool checksum_present;
    unsigned version;
    uint64_t db;
    struct buffer name; // the key, or an aux field's name
    struct buffer value;
};

struct rdb_reader *rdb_reader_create(rdb_source *source, void *context,
                                     const struct rdb_reader_options *options) {
    struct rdb_reader *reader = mem_calloc(1, sizeof *reader);
    input_open_source(&reader->input, source, context, options->string_max);
    reader->ignore_checksum = options->ignore_checksum;
    return reader;
}

void rdb_reader_destroy(struct rdb_reader *reader) {
    if (!reader) return;
    input_close(&reader->input);
    buffer_free(&reader->name);
    buffer_free(&reader->value);
    mem_free(reader);
}

unsigned rdb_reader_version(const struct rdb_reader *reader) {
    return reader->version;
}

uint64_t rdb_reader_offset(const struct rdb_reader *reader) {
    return input_offset(&reader->input);
}

struct bytes rdb_reader_rest(const struct rdb_reader *reader) {
    const struct input *input = &reader->input;
    return bytes_of(input->at, (size_t)(input->end - input->at));
}

static void trim(struct buffer *scratch) {
    if (scratch->capacity > SCRATCH_KEPT_MAX) buffer_free(scratch);
}

static bool read_header(struct rdb_reader *reader) {
    struct input *input = &reader->input;
    const unsigned char *at = input_take(input, RDB_HEADER_SIZE);
    if (!at) return false;
    if (memcmp(at, "REDIS", 5) != 0)
        return input_fail(input, CODEC_CORRUPT, "no RDB file: the header is wrong");
    unsigned version = 0;
    for (int i = 5; i < RDB_HEADER_SIZE; i++) {
        if (at[i] < '0' || at[i] > '9')
            return input_fail(input, CODEC_CORRUPT, "no RDB file: the version in the header is no number");
        version = version * 10 + (at[i] - '0');
    }
    if (version < 1 || version > RDB_VERSION_MAX)
        return input_fail(input, CODEC_UNSUPPORTED, "RDB version %u can't be read (1 to %d can)", version,
                          RDB_VERSION_MAX);
    reader->version = version;
    return true;
}

// A string that stays when the window moves on.
static bool read_name(struct rdb_reader *reader, struct bytes *name) {
    struct input *input = &reader->input;
    struct codec_value text;
    if (!decode_string(input, &reader->name, &text)) return false;
    if (text.string.data != reader->name.data) {
        reader->name.size = 0;
        if (!buffer_try_reserve(&reader->name, text.string.size))
            return input_fail(input, CODEC_NO_MEMORY, "no memory for a key of %zu bytes", text.string.size);
        buffer_append_bytes(&reader->name, text.string);
    }
    *name = buffer_bytes(&reader->name);
    return true;
}

static bool read_aux(struct rdb_reader *reader, struct rdb_item *item) {
    item->kind = RDB_ITEM_AUX;
    return read_name(reader, &item->name) && decode_string(&reader->input, &reader->value, &item->value);
}

static bool read_function(struct rdb_reader *reader, struct rdb_item *item) {
    item->kind = RDB_ITEM_FUNCTION;
    return decode_string(&reader->input, &reader->value, &item->value);
}

static bool read_select_db(struct rdb_reader *reader, struct rdb_item *item) {
    item->kind = RDB_ITEM_SELECT_DB;
    return decode_length(&reader->input, &reader->db);
}

static bool read_resize_db(struct rdb_reader *reader, struct rdb_item *item) {
    item->kind = RDB_ITEM_RESIZE_DB;
    return decode_length(&reader->input, &item->keys) && decode_length(&reader->input, &item->expiring);
}

static bool skip_slot_info(struct rdb_reader *reader) {
    uint64_t ignored;
    for (int i = 0; i < SLOT_INFO_LENGTHS; i++)
        if (!decode_length(&reader->input, &ignored)) return false;
    return true;
}

static bool read_end(struct rdb_reader *reader, struct rdb_item *item) {
    struct input *input = &reader->input;
    uint64_t computed = input_checksum(input), stored = 0;
    if (reader->version >= RDB_VERSION_CHECKSUM && !decode_fixed(input, RDB_CHECKSUM_SIZE, &stored))
        return false;
    if (stored && stored != computed && !reader->ignore_checksum)
        return input_fail(input, CODEC_CORRUPT,
                          "wrong checksum: the file says %016llx, its bytes make %016llx",
                          (unsigned long long)stored, (unsigned long long)computed);
    reader->ended = true;
    reader->checksum_present = stored;
    item->kind = RDB_ITEM_END;
    return true;
}

// One attribute that precedes a key, by its opcode.
static bool read_attribute(struct rdb_reader *reader, unsigned opcode,
                           struct rdb_key_attributes *attributes) {
    struct input *input = &reader->input;
    uint64_t number = 0;
    bool ok;
    switch (opcode) {
    case RDB_OPCODE_EXPIRE_MS:
        ok = decode_fixed(input, 8, &number);
        attributes->expire_ms = (int64_t)number;
        return ok;
    case RDB_OPCODE_EXPIRE_SECONDS:
        ok = decode_fixed(input, 4, &number);
        attributes->expire_ms = (int64_t)(int32_t)number * 1000;
        return ok;
    case RDB_OPCODE_FREQUENCY:
        ok = decode_fixed(input, 1, &number);
        attributes->frequency = (int)number;
        return ok;
    default:
        ok = decode_length(input, &number);
        attributes->idle_seconds = number > INT64_MAX ? INT64_MAX : (int64_t)number;
        return ok;
    }
}

static bool is_attribute(unsigned opcode) {
    return opcode == RDB_OPCODE_EXPIRE_MS || opcode == RDB_OPCODE_EXPIRE_SECONDS ||
           opcode == RDB_OPCODE_FREQUENCY || opcode == RDB_OPCODE_IDLE;
}

// A key, from its first byte on: attributes, then the type, the key and the value.
static bool read_key(struct rdb_reader *reader, unsigned first, struct rdb_item *item) {
    struct input *input = &reader->input;
    unsigned type = first;
    item->kind = RDB_ITEM_KEY;
    item->attributes = RDB_KEY_PLAIN;
    while (is_attribute(type))
        if (!read_attribute(reader, type, &item->attributes) || !decode_byte(input, &type)) return false;
    return decode_check_type(input, type) && read_name(reader, &item->name) &&
           decode_value(input, type, &reader->value, &item->value);
}

// The next record that the caller sees.
static bool read_record(struct rdb_reader *reader, struct rdb_item *item) {
    struct input *input = &reader->input;
    unsigned first;
    for (;;) {
        item->offset = input_offset(input);
        if (!decode_byte(input, &first)) return false;
        switch (first) {
        case RDB_OPCODE_AUX: return read_aux(reader, item);
        case RDB_OPCODE_SELECT_DB: return read_select_db(reader, item);
        case RDB_OPCODE_RESIZE_DB: return read_resize_db(reader, item);
        case RDB_OPCODE_FUNCTION: return read_function(reader, item);
        case RDB_OPCODE_EOF: return read_end(reader, item);
        case RDB_OPCODE_MODULE_AUX: return input_refuse(input, "data of a module");
        case RDB_OPCODE_FUNCTION_DRAFT:
            return input_refuse(input, "a function in the format of a release candidate");
        case RDB_OPCODE_SLOT_INFO:
            if (!skip_slot_info(reader)) return false;
            break;
        default: return read_key(reader, first, item);
        }
    }
}

enum rdb_item_kind rdb_reader_next(struct rdb_reader *reader, struct rdb_item *item) {
    *item = (struct rdb_item){.kind = RDB_ITEM_END};
    trim(&reader->name);
    trim(&reader->value);
    trim(&reader->input.packed);
    bool ok = reader->input.fault.status == CODEC_OK;
    if (ok && !reader->ended) ok = (reader->version || read_header(reader)) && read_record(reader, item);
    if (!ok) item->kind = RDB_ITEM_ERROR;
    item->db = reader->db;
    item->checksum_present = reader->checksum_present;
    item->fault = &reader->input.fault;
    return item->kind;
}
