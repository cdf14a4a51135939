// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/crc64.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "codec/rdb_reader.h"
#include "codec/rdb_writer.h"

// --- Files of a real redis-server 7.0.15 (data/README.md tells how they were made).

static struct buffer load(const char *name) {
    char path[1024];
    const char *slash = strrchr(__FILE__, '/');
    snprintf(path, sizeof path, "%.*s/data/%s", (int)(slash - __FILE__), __FILE__, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    struct buffer contents = BUFFER_EMPTY;
    char block[4096];
    size_t count;
    while ((count = fread(block, 1, sizeof block, file)) > 0)
        buffer_append(&contents, block, count);
    fclose(file);
    return contents;
}

// --- A source that gives memory, at most `step` bytes at a time, and may fail at its end.

struct memory_source {
    struct bytes left;
    size_t step;
    bool fails;
};

static ssize_t read_memory(void *context, void *data, size_t size) {
    struct memory_source *source = context;
    size_t count = source->left.size < source->step ? source->left.size : source->step;
    if (count > size) count = size;
    if (count == 0) return source->fails ? -1 : 0;
    memcpy(data, source->left.data, count);
    source->left = bytes_of(source->left.data + count, source->left.size - count);
    return (ssize_t)count;
}

// --- A sink that gathers, and may refuse beyond a size.

struct memory_sink {
    struct buffer written;
    size_t most;
};

static bool write_memory(void *context, const void *data, size_t size) {
    struct memory_sink *sink = context;
    if (sink->written.size + size > sink->most) return false;
    buffer_append(&sink->written, data, size);
    return true;
}

static bool write_item(struct rdb_writer *writer, const struct rdb_item *item) {
    switch (item->kind) {
    case RDB_ITEM_AUX: return rdb_writer_aux(writer, item->name, item->value.string);
    case RDB_ITEM_SELECT_DB: return rdb_writer_select_db(writer, item->db);
    case RDB_ITEM_RESIZE_DB: return rdb_writer_resize_db(writer, item->keys, item->expiring);
    case RDB_ITEM_KEY: return rdb_writer_key(writer, item->name, &item->value, &item->attributes);
    case RDB_ITEM_END: return rdb_writer_end(writer);
    default: return false;
    }
}

// Reads a file and writes what it says; returns the bytes, which should be those of the file.
static struct buffer rewrite(struct bytes file, size_t step, const struct rdb_format *format) {
    struct memory_source source = {.left = file, .step = step};
    struct memory_sink sink = {.most = SIZE_MAX};
    struct rdb_reader *reader = rdb_reader_create(read_memory, &source, &RDB_READER_DEFAULT);
    struct rdb_writer *writer = rdb_writer_create(write_memory, &sink, format);
    struct rdb_item item;
    assert_true(rdb_writer_header(writer, NULL));
    do {
        rdb_reader_next(reader, &item);
        if (item.kind == RDB_ITEM_ERROR) print_error("%s\n", item.fault->text);
        assert_true(write_item(writer, &item));
    } while (item.kind != RDB_ITEM_END);
    assert_int_equal(rdb_writer_size(writer), sink.written.size);
    rdb_reader_destroy(reader);
    rdb_writer_destroy(writer);
    return sink.written;
}

static void assert_bytes(struct bytes got, struct bytes expected) {
    assert_int_equal(got.size, expected.size);
    if (got.size) assert_memory_equal(got.data, expected.data, got.size);
}

static void test_files_of_redis_come_out_as_they_went_in(void **state) {
    static const struct {
        const char *name;
        struct rdb_format format;
    } files[] = {
        {"strings.rdb", {10, true, true}},      {"big.rdb", {10, true, true}},
        {"empty.rdb", {10, true, true}},        {"lfu.rdb", {10, true, true}},
        {"lru.rdb", {10, true, true}},          {"replicated.rdb", {10, true, true}},
        {"no-checksum.rdb", {10, true, false}},
    };
    static const size_t steps[] = {1, 7, 4096, SIZE_MAX};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct buffer file = load(files[i].name);
        for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
            struct buffer written = rewrite(buffer_bytes(&file), steps[k], &files[i].format);
            assert_bytes(buffer_bytes(&written), buffer_bytes(&file));
            buffer_free(&written);
        }
        buffer_free(&file);
    }
}

// Steps to the next item of a kind; the file must have one.
static void seek(struct rdb_reader *reader, enum rdb_item_kind kind, struct rdb_item *item) {
    while (rdb_reader_next(reader, item) != kind)
        assert_true(item->kind != RDB_ITEM_END && item->kind != RDB_ITEM_ERROR);
}

static struct rdb_reader *open_bytes(struct memory_source *source, struct bytes file) {
    *source = (struct memory_source){.left = file, .step = SIZE_MAX};
    return rdb_reader_create(read_memory, source, &RDB_READER_DEFAULT);
}

// Reads to the end; returns the last item's kind and leaves its fault, if any, in *fault.
static enum rdb_item_kind drain(struct bytes file, const struct rdb_reader_options *options,
                                struct codec_fault *fault) {
    struct memory_source source = {.left = file, .step = SIZE_MAX};
    struct rdb_reader *reader = rdb_reader_create(read_memory, &source, options);
    struct rdb_item item;
    do
        rdb_reader_next(reader, &item);
    while (item.kind != RDB_ITEM_END && item.kind != RDB_ITEM_ERROR);
    enum rdb_item_kind again = rdb_reader_next(reader, &item);
    assert_int_equal(again, item.kind);
    *fault = *item.fault;
    rdb_reader_destroy(reader);
    return again;
}

static void test_items(void **state) {
    struct buffer file = load("strings.rdb");
    struct memory_source source;
    struct rdb_reader *reader = open_bytes(&source, buffer_bytes(&file));
    struct rdb_item item;
    assert_int_equal(rdb_reader_version(reader), 0);
    assert_int_equal(rdb_reader_next(reader, &item), RDB_ITEM_AUX);
    assert_int_equal(rdb_reader_version(reader), 10);
    assert_int_equal(item.offset, RDB_HEADER_SIZE);
    assert_bytes(item.name, BYTES("redis-ver"));
    assert_bytes(item.value.string, BYTES("7.0.15"));
    assert_int_equal(rdb_reader_next(reader, &item), RDB_ITEM_AUX);
    assert_bytes(item.name, BYTES("redis-bits"));
    assert_true(item.value.is_integer);
    assert_int_equal(item.value.integer, 64);
    seek(reader, RDB_ITEM_SELECT_DB, &item);
    assert_int_equal(item.db, 0);
    assert_int_equal(rdb_reader_next(reader, &item), RDB_ITEM_RESIZE_DB);
    assert_int_equal(item.keys, 11);
    assert_int_equal(item.expiring, 1);
    seek(reader, RDB_ITEM_SELECT_DB, &item);
    seek(reader, RDB_ITEM_KEY, &item);
    assert_int_equal(item.db, 3);
    assert_bytes(item.name, BYTES("in-three"));
    assert_bytes(item.value.string, BYTES("x"));
    assert_int_equal(item.attributes.expire_ms, -1);
    assert_int_equal(rdb_reader_next(reader, &item), RDB_ITEM_END);
    assert_true(item.checksum_present);
    assert_int_equal(rdb_reader_offset(reader), file.size);
    rdb_reader_destroy(reader);
    buffer_free(&file);
}

static void test_keys_and_values(void **state) {
    static const struct {
        const char *key, *value;
    } expected[] = {{"plain", "hello"},
                    {"empty", ""},
                    {"12345", "int8"},
                    {"int8", "-7"},
                    {"int16", "-30000"},
                    {"int32", "2000000000"},
                    {"expiring", "soon"},
                    {"in-three", "x"},
                    {"int64", "9223372036854775807"},
                    {"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkk", "compressed key"}};
    struct buffer file = load("strings.rdb");
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct memory_source source;
        struct rdb_reader *reader = open_bytes(&source, buffer_bytes(&file));
        struct rdb_item item;
        do
            seek(reader, RDB_ITEM_KEY, &item);
        while (!bytes_equal(item.name, bytes_from_string(expected[i].key)));
        assert_bytes(item.value.string, bytes_from_string(expected[i].value));
        assert_int_equal(item.attributes.expire_ms, i == 6 ? 33177117420000 : -1);
        rdb_reader_destroy(reader);
    }
    buffer_free(&file);
}

static void test_idle_and_frequency(void **state) {
    struct memory_source source;
    struct rdb_item item;
    struct buffer lru = load("lru.rdb"), lfu = load("lfu.rdb");
    struct rdb_reader *reader = open_bytes(&source, buffer_bytes(&lru));
    seek(reader, RDB_ITEM_KEY, &item);
    assert_true(item.attributes.idle_seconds >= 0);
    assert_int_equal(item.attributes.frequency, -1);
    rdb_reader_destroy(reader);
    reader = open_bytes(&source, buffer_bytes(&lfu));
    seek(reader, RDB_ITEM_KEY, &item);
    assert_true(item.attributes.frequency >= 0);
    assert_int_equal(item.attributes.idle_seconds, -1);
    rdb_reader_destroy(reader);
    buffer_free(&lru);
    buffer_free(&lfu);
}

static void test_origin(void **state) {
    struct buffer expected = load("replicated.rdb");
    struct memory_sink sink = {.most = SIZE_MAX};
    struct rdb_writer *writer = rdb_writer_create(write_memory, &sink, &RDB_FORMAT_DEFAULT);
    struct rdb_origin origin = {.server_version = "7.0.15",
                                .now_seconds = 0x6b031a72,
                                .used_memory = 0x00103110,
                                .replication_id = "d0a14dcd263d9ce73c8dfc3ff27c61adbce0d9bc",
                                .replication_offset = 109,
                                .stream_db = 0,
                                .aof_base = false};
    struct codec_value seven = codec_integer(7), v = codec_string(BYTES("v"));
    assert_true(rdb_writer_header(writer, &origin));
    assert_true(rdb_writer_select_db(writer, 0) && rdb_writer_resize_db(writer, 2, 1));
    struct rdb_key_attributes expiring = {.expire_ms = 0x028ad8c45efe, .idle_seconds = -1, .frequency = -1};
    assert_true(rdb_writer_key(writer, BYTES("num"), &seven, &expiring));
    assert_true(rdb_writer_key(writer, BYTES("k"), &v, &RDB_KEY_PLAIN));
    assert_true(rdb_writer_end(writer));
    assert_bytes(buffer_bytes(&sink.written), buffer_bytes(&expected));
    rdb_writer_destroy(writer);
    buffer_free(&sink.written);
    buffer_free(&expected);
}

// --- Files made here.

// A file of `version` that holds `body`, with its end mark and its checksum.
static struct buffer make_file(unsigned version, const void *body, size_t size) {
    struct buffer file = BUFFER_EMPTY;
    buffer_appendf(&file, "REDIS%04u", version);
    buffer_append(&file, body, size);
    buffer_append_byte(&file, (char)RDB_OPCODE_EOF);
    uint64_t checksum = crc64(0, file.data, file.size);
    if (version >= RDB_VERSION_CHECKSUM) buffer_append(&file, &checksum, sizeof checksum);
    return file;
}

static enum rdb_item_kind drain_made(unsigned version, const void *body, size_t size,
                                     struct codec_fault *fault) {
    struct buffer file = make_file(version, body, size);
    enum rdb_item_kind end = drain(buffer_bytes(&file), &RDB_READER_DEFAULT, fault);
    buffer_free(&file);
    return end;
}

#define DRAIN(version, literal) drain_made(version, literal, sizeof(literal) - 1, &fault)

static void expect_error(enum rdb_item_kind kind, const struct codec_fault *fault, enum codec_status status,
                         const char *text) {
    assert_int_equal(kind, RDB_ITEM_ERROR);
    assert_string_equal(fault->text, text);
    assert_int_equal(fault->status, status);
}

static void test_versions(void **state) {
    struct codec_fault fault;
    for (unsigned version = 1; version <= RDB_VERSION_MAX; version++)
        assert_int_equal(DRAIN(version, "\xfe\0\0\1k\1v"), RDB_ITEM_END);
    expect_error(DRAIN(13, ""), &fault, CODEC_UNSUPPORTED,
                 "RDB version 13 can't be read (1 to 12 can) at offset 9");
    expect_error(DRAIN(0, ""), &fault, CODEC_UNSUPPORTED,
                 "RDB version 0 can't be read (1 to 12 can) at offset 9");
    expect_error(drain(BYTES("VALKEY080"), &RDB_READER_DEFAULT, &fault), &fault, CODEC_CORRUPT,
                 "no RDB file: the header is wrong at offset 9");
    expect_error(drain(BYTES("REDIS00x0"), &RDB_READER_DEFAULT, &fault), &fault, CODEC_CORRUPT,
                 "no RDB file: the version in the header is no number at offset 9");
    expect_error(drain(BYTES(""), &RDB_READER_DEFAULT, &fault), &fault, CODEC_TRUNCATED,
                 "the data ends too early at offset 0");
}

static void test_what_is_passed_over(void **state) {
    struct codec_fault fault;
    assert_int_equal(DRAIN(11, "\xf4\x43\x21\5\0\0\1k\1v"), RDB_ITEM_END);
}

static void test_seconds(void **state) {
    struct buffer file = make_file(3, "\xfd\x01\0\0\0\0\1k\1v", 10);
    struct memory_source source;
    struct rdb_reader *reader = open_bytes(&source, buffer_bytes(&file));
    struct rdb_item item;
    assert_int_equal(rdb_reader_next(reader, &item), RDB_ITEM_KEY);
    assert_int_equal(item.attributes.expire_ms, 1000);
    rdb_reader_destroy(reader);
    buffer_free(&file);
}

static void test_functions(void **state) {
    struct buffer file = load("function.rdb");
    struct memory_source source;
    struct rdb_reader *reader = open_bytes(&source, buffer_bytes(&file));
    struct rdb_item item;
    seek(reader, RDB_ITEM_FUNCTION, &item);
    assert_memory_equal(item.value.string.data, "#!lua name=l\n", 13);
    seek(reader, RDB_ITEM_END, &item);
    rdb_reader_destroy(reader);
    buffer_free(&file);
}

static void test_what_is_refused(void **state) {
    struct codec_fault fault;
    struct buffer list = load("list.rdb");
    enum rdb_item_kind end = drain(buffer_bytes(&list), &RDB_READER_DEFAULT, &fault);
    expect_error(end, &fault, CODEC_UNSUPPORTED,
                 "value type 18 at offset 85 is not supported by this version of Shoal");
    assert_int_equal(list.data[85], 18);
    buffer_free(&list);
    expect_error(DRAIN(10, "\xf7\1\2"), &fault, CODEC_UNSUPPORTED,
                 "data of a module at offset 9 is not supported by this version of Shoal");
    expect_error(DRAIN(10, "\xf6\1x"), &fault, CODEC_UNSUPPORTED,
                 "a function in the format of a release candidate at offset 9 is not supported by this "
                 "version of Shoal");
    expect_error(DRAIN(10, "\xfc\1\2\3\4\5\6\7\x08\xfe\1"), &fault, CODEC_UNSUPPORTED,
                 "value type 254 at offset 18 is not supported by this version of Shoal");
}

static void test_lying_lengths(void **state) {
    struct codec_fault fault;
    expect_error(DRAIN(10, "\0\x81\x10\0\0\0\0\0\0\0"), &fault, CODEC_CORRUPT,
                 "a string of 1152921504606846976 bytes, more than the 536870912 allowed at offset 19");
    assert_int_equal(DRAIN(10, "\0\x80\x1f\xff\xff\xffkey"), RDB_ITEM_ERROR);
    assert_int_equal(fault.status, CODEC_TRUNCATED);
    assert_int_equal(DRAIN(10, "\0\1k\xc3\x80\x1f\xff\xff\xff\x80\x1f\xff\xff\xffv"), RDB_ITEM_ERROR);
    assert_int_equal(fault.status, CODEC_TRUNCATED);
    expect_error(DRAIN(10, "\0\1k\xc3\3\x80\x1f\xff\xff\xffval"), &fault, CODEC_CORRUPT,
                 "3 compressed bytes that claim to hold 536870911 at offset 19");
}

static void test_checksum(void **state) {
    struct codec_fault fault;
    struct buffer file = make_file(10, "\0\1k\1v", 5);
    struct rdb_reader_options ignoring = {.string_max = RDB_STRING_MAX, .ignore_checksum = true};
    file.data[file.size - 1] ^= 1;
    assert_int_equal(drain(buffer_bytes(&file), &RDB_READER_DEFAULT, &fault), RDB_ITEM_ERROR);
    assert_int_equal(fault.status, CODEC_CORRUPT);
    assert_non_null(strstr(fault.text, "wrong checksum"));
    assert_int_equal(drain(buffer_bytes(&file), &ignoring, &fault), RDB_ITEM_END);
    buffer_free(&file);
}

static void test_rest(void **state) {
    struct buffer file = make_file(10, "\0\1k\1v", 5);
    struct memory_source source;
    struct rdb_item item;
    buffer_append_string(&file, "*1\r\n$4\r\nPING\r\n");
    struct rdb_reader *reader = open_bytes(&source, buffer_bytes(&file));
    seek(reader, RDB_ITEM_END, &item);
    assert_bytes(rdb_reader_rest(reader), BYTES("*1\r\n$4\r\nPING\r\n"));
    rdb_reader_destroy(reader);
    buffer_free(&file);
}

static void test_source_that_fails(void **state) {
    struct memory_source source = {.left = BYTES("REDIS0010"), .step = SIZE_MAX, .fails = true};
    struct rdb_reader *reader = rdb_reader_create(read_memory, &source, &RDB_READER_DEFAULT);
    struct rdb_item item;
    assert_int_equal(rdb_reader_next(reader, &item), RDB_ITEM_ERROR);
    assert_int_equal(item.fault->status, CODEC_READ_FAILED);
    assert_string_equal(item.fault->text, "reading failed at offset 9");
    rdb_reader_destroy(reader);
}

// --- Every byte.

static void test_truncated_at_every_byte(void **state) {
    static const char *const names[] = {"strings.rdb", "lru.rdb", "replicated.rdb"};
    struct codec_fault fault;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct buffer file = load(names[i]);
        for (size_t size = 0; size < file.size; size++) {
            assert_int_equal(drain(bytes_of(file.data, size), &RDB_READER_DEFAULT, &fault), RDB_ITEM_ERROR);
            assert_int_equal(fault.status, CODEC_TRUNCATED);
            assert_true(fault.offset <= size);
        }
        buffer_free(&file);
    }
}

static void test_corrupted_at_every_byte(void **state) {
    static const unsigned char awkward[] = {0x00, 0x3f, 0x40, 0x80, 0x81, 0xc0,
                                            0xc3, 0xe0, 0xf8, 0xfa, 0xfe, 0xff};
    struct rdb_reader_options ignoring = {.string_max = RDB_STRING_MAX, .ignore_checksum = true};
    struct buffer file = load("strings.rdb");
    struct codec_fault fault;
    size_t checksum_at = file.size - RDB_CHECKSUM_SIZE;
    for (size_t at = 0; at < checksum_at; at++) {
        char before = file.data[at];
        for (size_t k = 0; k < sizeof awkward; k++) {
            file.data[at] = (char)awkward[k];
            bool same = file.data[at] == before;
            drain(buffer_bytes(&file), &ignoring, &fault);
            assert_int_equal(drain(buffer_bytes(&file), &RDB_READER_DEFAULT, &fault),
                             same ? RDB_ITEM_END : RDB_ITEM_ERROR);
        }
        file.data[at] = before;
    }
    buffer_free(&file);
}

static void test_every_allocation_may_fail(void **state) {
    struct buffer file = load("big.rdb");
    struct codec_fault fault;
    unsigned long n = 0;
    enum rdb_item_kind end;
    do {
        mem_fail_after(++n);
        end = drain(buffer_bytes(&file), &RDB_READER_DEFAULT, &fault);
        mem_fail_after(0);
        assert_true(end == RDB_ITEM_END || fault.status == CODEC_NO_MEMORY);
    } while (end != RDB_ITEM_END);
    assert_true(n > 3);
    buffer_free(&file);
}

// --- The writer.

static void test_writer_without_memory_writes_plain(void **state) {
    static char letters[5000];
    memset(letters, 'a', sizeof letters);
    struct memory_sink sink = {.most = SIZE_MAX};
    struct rdb_writer *writer = rdb_writer_create(write_memory, &sink, &RDB_FORMAT_DEFAULT);
    struct codec_value value = codec_string(bytes_of(letters, sizeof letters));
    assert_true(rdb_writer_header(writer, NULL));
    mem_fail_after(1);
    assert_true(rdb_writer_key(writer, BYTES("k"), &value, &RDB_KEY_PLAIN));
    mem_fail_after(0);
    assert_true(rdb_writer_size(writer) > sizeof letters);
    assert_true(rdb_writer_end(writer));
    struct codec_fault fault;
    assert_int_equal(drain(buffer_bytes(&sink.written), &RDB_READER_DEFAULT, &fault), RDB_ITEM_END);
    rdb_writer_destroy(writer);
    buffer_free(&sink.written);
}

static void test_sink_that_refuses(void **state) {
    for (size_t most = 0; most < 400000; most += 30011) {
        struct memory_sink sink = {.most = most};
        struct rdb_writer *writer = rdb_writer_create(write_memory, &sink, &RDB_FORMAT_DEFAULT);
        struct codec_value value = codec_string(BYTES("a value"));
        bool ok = rdb_writer_header(writer, NULL);
        for (int i = 0; i < 50000; i++)
            ok = rdb_writer_key(writer, BYTES("key"), &value, &RDB_KEY_PLAIN) && ok;
        ok = rdb_writer_end(writer) && ok;
        assert_false(ok);
        assert_false(rdb_writer_flush(writer));
        assert_true(sink.written.size <= most);
        rdb_writer_destroy(writer);
        buffer_free(&sink.written);
    }
}

// Strings around every boundary of lengths and buffers, through a writer and a reader.
static void test_sizes(void **state) {
    static const size_t sizes[] = {0,     1,     20,    21,     63,     64,      16383,         16384,  65535,
                                   65536, 65537, 70000, 131072, 200000, 1 << 20, (1 << 20) + 1, 3 << 20};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    static char noise[3 << 20];
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < sizeof noise; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        noise[i] = (char)x;
    }
    struct memory_sink sink = {.most = SIZE_MAX};
    struct rdb_writer *writer = rdb_writer_create(write_memory, &sink, &RDB_FORMAT_DEFAULT);
    assert_true(rdb_writer_header(writer, NULL));
    for (size_t i = 0; i < COUNT; i++) {
        struct codec_value value = codec_string(bytes_of(noise, sizes[COUNT - 1 - i]));
        assert_true(rdb_writer_key(writer, bytes_of(noise, sizes[i]), &value, &RDB_KEY_PLAIN));
    }
    assert_true(rdb_writer_end(writer));
    struct memory_source source = {.left = buffer_bytes(&sink.written), .step = 50000};
    struct rdb_reader *reader = rdb_reader_create(read_memory, &source, &RDB_READER_DEFAULT);
    struct rdb_item item;
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(rdb_reader_next(reader, &item), RDB_ITEM_KEY);
        assert_bytes(item.name, bytes_of(noise, sizes[i]));
        assert_bytes(item.value.string, bytes_of(noise, sizes[COUNT - 1 - i]));
    }
    assert_int_equal(rdb_reader_next(reader, &item), RDB_ITEM_END);
    assert_true(item.checksum_present);
    rdb_reader_destroy(reader);
    rdb_writer_destroy(writer);
    buffer_free(&sink.written);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_of_redis_come_out_as_they_went_in),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_keys_and_values),
        cmocka_unit_test(test_idle_and_frequency),
        cmocka_unit_test(test_origin),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_what_is_passed_over),
        cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_lying_lengths),
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_source_that_fails),
        cmocka_unit_test(test_truncated_at_every_byte),
        cmocka_unit_test(test_corrupted_at_every_byte),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_writer_without_memory_writes_plain),
        cmocka_unit_test(test_sink_that_refuses),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
