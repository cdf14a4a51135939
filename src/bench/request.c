#include "bench/request.h"

#include <string.h>

#include "base/crc16.h"
#include "base/memory.h"

#define NUMBER_MARK "__rand_int__"
#define TAG_MARK "{tag}"
#define DATA_MARK "__data__"

static void append_with_data(struct buffer *out, struct bytes argument, struct bytes data) {
    while (argument.size) {
        const char *mark = memmem(argument.data, argument.size, DATA_MARK, strlen(DATA_MARK));
        size_t before = mark ? (size_t)(mark - argument.data) : argument.size;
        buffer_append(out, argument.data, before);
        if (!mark) return;
        buffer_append_bytes(out, data);
        size_t taken = before + strlen(DATA_MARK);
        argument = bytes_of(argument.data + taken, argument.size - taken);
    }
}

// Notes where `mark` stands in the bytes, `offset` further in; false when there are too many.
static bool find_marks(struct bytes bytes, const char *mark, size_t offset, uint32_t *places,
                       unsigned *count) {
    size_t at = 0, size = strlen(mark);
    const char *found;
    while ((found = memmem(bytes.data + at, bytes.size - at, mark, size))) {
        if (*count == REQUEST_FIELDS_MAX) return false;
        at = (size_t)(found - bytes.data);
        places[(*count)++] = (uint32_t)(at + offset);
        at += size;
    }
    return true;
}

bool request_build(struct request_shape *shape, const struct bytes *arguments, size_t count,
                   struct bytes data, bool random, bool tagged) {
    memset(shape, 0, sizeof *shape);
    struct buffer argument = BUFFER_EMPTY;
    buffer_appendf(&shape->bytes, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) {
        argument.size = 0;
        append_with_data(&argument, arguments[i], data);
        buffer_appendf(&shape->bytes, "$%zu\r\n", argument.size);
        buffer_append_bytes(&shape->bytes, buffer_bytes(&argument));
        buffer_append_string(&shape->bytes, "\r\n");
    }
    buffer_free(&argument);
    struct bytes whole = buffer_bytes(&shape->bytes);
    return (!random || find_marks(whole, NUMBER_MARK, 0, shape->numbers, &shape->number_count)) &&
           (!tagged || find_marks(whole, TAG_MARK, 1, shape->tags, &shape->tag_count));
}

void request_build_raw(struct request_shape *shape, struct bytes bytes) {
    memset(shape, 0, sizeof *shape);
    buffer_append_bytes(&shape->bytes, bytes);
}

void request_free(struct request_shape *shape) {
    buffer_free(&shape->bytes);
}

static void write_number(char *at, uint64_t value) {
    for (int digit = REQUEST_NUMBER_SIZE - 1; digit >= 0; digit--) {
        at[digit] = (char)('0' + value % 10);
        value /= 10;
    }
}

void request_fill(const struct request_shape *shape, char *batch, unsigned count,
                  const struct request_fill *fill) {
    size_t size = shape->bytes.size;
    for (unsigned i = 0; i < count; i++, batch += size) {
        for (unsigned field = 0; field < shape->number_count; field++)
            write_number(batch + shape->numbers[field], prng_below(fill->prng, fill->keyspace));
        if (!shape->tag_count || !fill->slots) continue;
        unsigned slot = fill->slots[prng_below(fill->prng, fill->slot_count)];
        for (unsigned field = 0; field < shape->tag_count; field++)
            memcpy(batch + shape->tags[field], fill->tag_of_slot[slot], REQUEST_TAG_SIZE);
    }
}

bool request_find_tags(char (*tag_of_slot)[REQUEST_TAG_SIZE]) {
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "!#$%&()*+,-./:;<=>?@[]^_`|~";
    const size_t letter_count = sizeof letters - 1;
    size_t missing = HASH_SLOTS;
    memset(tag_of_slot, 0, (size_t)HASH_SLOTS * REQUEST_TAG_SIZE);
    for (size_t i = 0; missing && i < letter_count * letter_count * letter_count; i++) {
        char tag[REQUEST_TAG_SIZE] = {letters[i % letter_count], letters[i / letter_count % letter_count],
                                      letters[i / letter_count / letter_count]};
        unsigned slot = crc16(tag, sizeof tag) % HASH_SLOTS;
        if (tag_of_slot[slot][0]) continue;
        memcpy(tag_of_slot[slot], tag, sizeof tag);
        missing--;
    }
    return missing == 0;
}
