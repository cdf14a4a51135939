// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "base/crc64.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "codec/dump.h"

// Values and what redis-server 7.0.15 replied to DUMP, in hexadecimal.
struct golden {
    struct bytes value;
    const char *payload;
};

static char letters[1000]; // of 'a'

#define TEXT(literal)                                                                                        \
    { literal, sizeof(literal) - 1 }
#define REPEAT(count)                                                                                        \
    { letters, count }

// clang-format off
static const struct golden goldens[] = {
    {TEXT(""), "00000a005d9b5c400f7fa2da"},
    {TEXT("a"), "0001610a00bffeef9b8f367db4"},
    {TEXT("hello"), "000568656c6c6f0a006372df766534200a"},
    {TEXT("0"), "00c0000a009840a778f8500308"},
    {TEXT("-1"), "00c0ff0a000c937e2485089dc5"},
    {TEXT("127"), "00c07f0a000db5eb315254c514"},
    {TEXT("128"), "00c180000a00eb7ab3b510cf4b65"},
    {TEXT("-128"), "00c0800a009966326d2f0c5bd9"},
    {TEXT("-129"), "00c17fff0a001760822854808480"},
    {TEXT("32767"), "00c1ff7f0a00495a37da17f4d52b"},
    {TEXT("32768"), "00c2008000000a0045d82eedd5bda910"},
    {TEXT("-32769"), "00c2ff7fffff0a00aee34c4d06c68536"},
    {TEXT("2147483647"), "00c2ffffff7f0a002c74e59ee02eada1"},
    {TEXT("2147483648"), "000a323134373438333634380a00e7b129a34c1d76ee"},
    {TEXT("-2147483648"), "00c2000000800a00c74f873e33558187"},
    {TEXT("-2147483649"), "000b2d323134373438333634390a00c261377908f2028c"},
    {TEXT("9223372036854775807"), "0013393232333337323033363835343737353830370a003a657e9481e85f22"},
    {TEXT("-9223372036854775808"), "00142d393232333337323033363835343737353830380a00ede2b956eb709e81"},
    {TEXT("00"), "000230300a00d2e5848f3d1d6f50"},
    {TEXT("-0"), "00022d300a00d5411fd9d6d050cc"},
    {TEXT("+1"), "00022b310a00c286f0d7439aee6f"},
    {TEXT("aaaaaaaaaaaaaaaaaaaa"), "001461616161616161616161616161616161616161610a0083b46b5e1b11acf1"},
    {REPEAT(21), "00c30615016161e00a000a00fd0cb36807413f68"},
    {REPEAT(64), "00c3094040016161e033000161610a00c3659612ce1cc46c"},
    {REPEAT(1000), "00c31243e8016161e0ff00e0ff00e0ff00e0c3000161610a0086c212db54819e3c"},
    {TEXT("The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog."), "00c33740591f54686520717569636b2062726f776e20666f78206a756d7073206f7665722074201e0a6c617a7920646f672e2054200de01d2c01672e0a007a86b0ece8f2e2f4"},
    {TEXT("sphinx of black quartz, judge my vow"), "0024737068696e78206f6620626c61636b2071756172747a2c206a75646765206d7920766f770a00ea53d46be1893589"},
};
// clang-format on

enum { GOLDENS = sizeof goldens / sizeof goldens[0] };

static unsigned nibble(char digit) {
    return digit <= '9' ? (unsigned)(digit - '0') : (unsigned)(digit - 'a' + 10);
}

static struct buffer from_hex(const char *hex) {
    struct buffer out = BUFFER_EMPTY;
    for (; *hex; hex += 2)
        buffer_append_byte(&out, (char)(nibble(hex[0]) << 4 | nibble(hex[1])));
    return out;
}

static void assert_bytes(struct bytes got, struct bytes expected) {
    assert_int_equal(got.size, expected.size);
    if (got.size) assert_memory_equal(got.data, expected.data, got.size);
}

// A payload of `body` with a right footer.
static struct buffer sealed(const void *body, size_t size, unsigned version) {
    struct buffer out = BUFFER_EMPTY;
    buffer_append(&out, body, size);
    buffer_append_byte(&out, (char)version);
    buffer_append_byte(&out, (char)(version >> 8));
    uint64_t checksum = crc64(0, out.data, out.size);
    buffer_append(&out, &checksum, sizeof checksum);
    return out;
}

// What becomes of a body that is sealed; a copy on the heap lets the sanitiser see every byte read past it.
static enum dump_verdict parse_sealed(const void *body, size_t size, unsigned version) {
    struct buffer payload = sealed(body, size, version), scratch = BUFFER_EMPTY;
    char *exact = mem_alloc(payload.size);
    memcpy(exact, payload.data, payload.size);
    struct codec_value value;
    enum dump_verdict verdict = dump_parse(bytes_of(exact, payload.size), RDB_STRING_MAX, &scratch, &value);
    mem_free(exact);
    buffer_free(&payload);
    buffer_free(&scratch);
    return verdict;
}

#define PARSE(literal) parse_sealed(literal, sizeof(literal) - 1, 10)

static int set_up(void **state) {
    memset(letters, 'a', sizeof letters);
    return 0;
}

static void test_bytes_are_those_of_redis(void **state) {
    for (size_t i = 0; i < GOLDENS; i++) {
        struct buffer expected = from_hex(goldens[i].payload), out = BUFFER_EMPTY;
        struct codec_value value = codec_string(goldens[i].value);
        buffer_append_string(&out, "before");
        assert_true(dump_append(&out, &value, &RDB_FORMAT_DEFAULT));
        buffer_drop_front(&out, 6);
        assert_bytes(buffer_bytes(&out), buffer_bytes(&expected));
        buffer_free(&out);
        buffer_free(&expected);
    }
}

static void test_integers_make_the_same_bytes_as_their_text(void **state) {
    for (size_t i = 0; i < GOLDENS; i++) {
        int64_t number;
        if (!number_parse(goldens[i].value, &number)) continue;
        struct buffer expected = from_hex(goldens[i].payload), out = BUFFER_EMPTY;
        struct codec_value value = codec_integer(number);
        assert_true(dump_append(&out, &value, &RDB_FORMAT_DEFAULT));
        assert_bytes(buffer_bytes(&out), buffer_bytes(&expected));
        buffer_free(&out);
        buffer_free(&expected);
    }
}

static void test_payloads_of_redis_are_read(void **state) {
    struct buffer scratch = BUFFER_EMPTY;
    for (size_t i = 0; i < GOLDENS; i++) {
        struct buffer payload = from_hex(goldens[i].payload);
        struct codec_value value;
        assert_int_equal(dump_verify(buffer_bytes(&payload)), DUMP_OK);
        assert_int_equal(dump_parse(buffer_bytes(&payload), RDB_STRING_MAX, &scratch, &value), DUMP_OK);
        assert_bytes(value.string, goldens[i].value);
        if (value.is_integer) {
            char text[NUMBER_TEXT_MAX];
            assert_bytes(bytes_of(text, number_format(text, value.integer)), goldens[i].value);
        }
        buffer_free(&payload);
    }
    buffer_free(&scratch);
}

static void test_format_is_obeyed(void **state) {
    struct buffer out = BUFFER_EMPTY, scratch = BUFFER_EMPTY;
    struct codec_value value = codec_string(bytes_of(letters, 64));
    struct rdb_format format = {.version = 12, .compress = false, .checksum = false};
    assert_true(dump_append(&out, &value, &format));
    assert_int_equal(out.size, 1 + 2 + 64 + DUMP_FOOTER_SIZE);
    assert_int_equal(out.data[1 + 2 + 64], 12);
    assert_int_equal(dump_parse(buffer_bytes(&out), RDB_STRING_MAX, &scratch, &value), DUMP_OK);
    assert_bytes(value.string, bytes_of(letters, 64));
    buffer_free(&out);
    buffer_free(&scratch);
}

static void test_append_needs_no_memory_when_there_is_room(void **state) {
    for (size_t i = 0; i < GOLDENS; i++) {
        struct codec_value value = codec_string(goldens[i].value);
        struct buffer out = BUFFER_EMPTY;
        buffer_reserve(&out, dump_size_max(&value));
        mem_fail_after(1);
        assert_true(dump_append(&out, &value, &RDB_FORMAT_DEFAULT));
        mem_fail_after(0);
        assert_true(out.size <= dump_size_max(&value));
        buffer_free(&out);
    }
}

static void test_append_without_memory(void **state) {
    struct codec_value value = codec_string(bytes_of(letters, sizeof letters));
    struct buffer out = BUFFER_EMPTY;
    mem_fail_after(1);
    assert_false(dump_append(&out, &value, &RDB_FORMAT_DEFAULT));
    assert_int_equal(out.size, 0);
    buffer_free(&out);
}

static void test_parse_without_memory(void **state) {
    struct buffer payload = from_hex(goldens[GOLDENS - 2].payload), scratch = BUFFER_EMPTY;
    struct codec_value value;
    mem_fail_after(1);
    assert_int_equal(dump_parse(buffer_bytes(&payload), RDB_STRING_MAX, &scratch, &value), DUMP_NO_MEMORY);
    mem_fail_after(0);
    buffer_free(&payload);
    buffer_free(&scratch);
}

static void test_checksum_and_version(void **state) {
    struct buffer scratch = BUFFER_EMPTY;
    struct codec_value value;
    for (size_t i = 0; i < GOLDENS; i++) {
        struct buffer payload = from_hex(goldens[i].payload);
        for (size_t at = 0; at < payload.size; at++) {
            payload.data[at] ^= 0x10;
            assert_int_equal(dump_parse(buffer_bytes(&payload), RDB_STRING_MAX, &scratch, &value),
                             DUMP_BAD_CHECKSUM);
            payload.data[at] ^= 0x10;
            assert_int_equal(dump_verify(bytes_of(payload.data, at)), DUMP_BAD_CHECKSUM);
        }
        buffer_free(&payload);
    }
    buffer_free(&scratch);
    assert_int_equal(parse_sealed("\0\5hello", 7, 0), DUMP_OK);
    assert_int_equal(parse_sealed("\0\5hello", 7, 12), DUMP_OK);
    assert_int_equal(parse_sealed("\0\5hello", 7, 13), DUMP_BAD_CHECKSUM);
    assert_int_equal(parse_sealed("\0\5hello", 7, 256), DUMP_BAD_CHECKSUM);
}

static void test_forms_that_redis_reads_though_it_does_not_write_them(void **state) {
    assert_int_equal(PARSE("\0\x40\5hello"), DUMP_OK);
    assert_int_equal(PARSE("\0\x80\0\0\0\5hello"), DUMP_OK);
    assert_int_equal(PARSE("\0\x81\0\0\0\0\0\0\0\5hello"), DUMP_OK);
    assert_int_equal(PARSE("\0\xc1\1\0"), DUMP_OK);
    assert_int_equal(PARSE("\0\xc3\0\0"), DUMP_OK);
    assert_int_equal(PARSE("\0\5hello and more"), DUMP_OK);
}

static void test_bad_format(void **state) {
    assert_int_equal(PARSE(""), DUMP_BAD_FORMAT);
    assert_int_equal(PARSE("\0"), DUMP_BAD_FORMAT);
    assert_int_equal(PARSE("\x04\1\1a\1b"), DUMP_UNSUPPORTED);                  // another type
    assert_int_equal(PARSE("\xff\5hello"), DUMP_BAD_FORMAT);                   // no type
    assert_int_equal(PARSE("\0\6hello"), DUMP_BAD_FORMAT);                     // a length that lies
    assert_int_equal(PARSE("\0\x81\x10\0\0\0\0\0\0\0hello"), DUMP_BAD_FORMAT); // by 2^60
    assert_int_equal(PARSE("\0\x80\x1f\xff\xff\xffhello"), DUMP_BAD_FORMAT); // below the limit, and not there
    assert_int_equal(PARSE("\0\x82\1"), DUMP_BAD_FORMAT);                    // an unknown length
    assert_int_equal(PARSE("\0\xc4\1"), DUMP_BAD_FORMAT);                    // an unknown encoding
    assert_int_equal(PARSE("\0\xc2\1\2\3"), DUMP_BAD_FORMAT);                // half an integer
    assert_int_equal(PARSE("\0\xc3\6\x16\1aa\xe0\xa\0"), DUMP_BAD_FORMAT);   // unpacks to less than it says
    assert_int_equal(PARSE("\0\xc3\6\x14\1aa\xe0\xa\0"), DUMP_BAD_FORMAT);   // unpacks to more
    assert_int_equal(PARSE("\0\xc3\5\x15\xe0\xff\xff\xff\xff"),
                     DUMP_BAD_FORMAT);                              // refers to before its start
    assert_int_equal(PARSE("\0\xc3\2\x7f\x20\0"), DUMP_BAD_FORMAT); // claims more than it can hold
    assert_int_equal(PARSE("\0\xc3\x80\x1f\xff\xff\xff\x80\x1f\xff\xff\xff\1"), DUMP_BAD_FORMAT);
    assert_int_equal(PARSE("\0\xc3\0\5"), DUMP_BAD_FORMAT);
    assert_int_equal(PARSE("\0\xc3\1\0a"), DUMP_BAD_FORMAT);
    assert_int_equal(PARSE("\0\xc3\xc0\1\5"), DUMP_BAD_FORMAT); // an encoded string as a length
}

static void test_string_max(void **state) {
    struct buffer payload = sealed("\0\5hello", 7, 10), scratch = BUFFER_EMPTY;
    struct codec_value value;
    assert_int_equal(dump_parse(buffer_bytes(&payload), 5, &scratch, &value), DUMP_OK);
    assert_int_equal(dump_parse(buffer_bytes(&payload), 4, &scratch, &value), DUMP_BAD_FORMAT);
    buffer_free(&payload);
    buffer_free(&scratch);
}

// Every byte of every golden body set to awkward values, resealed: whatever comes out, nothing is read out of
// bounds.
static void test_corrupt_bodies(void **state) {
    static const unsigned char awkward[] = {0x00, 0x01, 0x3f, 0x40, 0x7f, 0x80,
                                            0x81, 0xc0, 0xc3, 0xe0, 0xfe, 0xff};
    unsigned refused = 0;
    for (size_t i = 0; i < GOLDENS; i++) {
        struct buffer payload = from_hex(goldens[i].payload);
        size_t size = payload.size - DUMP_FOOTER_SIZE;
        for (size_t at = 0; at < size; at++) {
            char before = payload.data[at];
            for (size_t k = 0; k < sizeof awkward; k++) {
                payload.data[at] = (char)awkward[k];
                refused += parse_sealed(payload.data, size, 10) != DUMP_OK;
            }
            payload.data[at] = before;
            if (at && at < size - 1) refused += parse_sealed(payload.data, at, 10) != DUMP_OK;
        }
        buffer_free(&payload);
    }
    assert_true(refused > GOLDENS);
}

static void test_error_texts(void **state) {
    assert_string_equal(dump_error_text(DUMP_BAD_CHECKSUM), "DUMP payload version or checksum are wrong");
    assert_string_equal(dump_error_text(DUMP_BAD_FORMAT), "Bad data format");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_are_those_of_redis),
        cmocka_unit_test(test_integers_make_the_same_bytes_as_their_text),
        cmocka_unit_test(test_payloads_of_redis_are_read),
        cmocka_unit_test(test_format_is_obeyed),
        cmocka_unit_test(test_append_needs_no_memory_when_there_is_room),
        cmocka_unit_test(test_append_without_memory),
        cmocka_unit_test(test_parse_without_memory),
        cmocka_unit_test(test_checksum_and_version),
        cmocka_unit_test(test_forms_that_redis_reads_though_it_does_not_write_them),
        cmocka_unit_test(test_bad_format),
        cmocka_unit_test(test_string_max),
        cmocka_unit_test(test_corrupt_bodies),
        cmocka_unit_test(test_error_texts),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
