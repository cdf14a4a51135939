// The journal: SELECTs, block borders, followers and what is kept for them; many writers at once, read back whole.
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
#include "base/memory.h"
#include "base/prng.h"
#include "journal/journal.h"
#include "os/clock.h"
#include "os/thread.h"

enum { BLOCK = 64 * 1024 };

static struct journal *journal;

static int close_journal(void **state) {
    if (journal) journal_destroy(journal);
    journal = NULL;
    return 0;
}

static void open_journal(unsigned writers, size_t backlog, uint64_t offset) {
    journal = journal_create(writers, backlog);
    assert_false(journal_active(journal));
    journal_activate(journal, offset);
    assert_true(journal_active(journal));
}

// Reads all that the follower has, at most `limit` at a time.
static void drain(struct journal_follower *follower, size_t limit, struct buffer *out) {
    for (;;) {
        struct bytes bytes = journal_peek(journal, follower, limit);
        if (!bytes.size) return;
        assert_true(bytes.size <= limit);
        buffer_append_bytes(out, bytes);
        journal_advance(journal, follower, bytes.size);
    }
}

static void expect(struct journal_follower *follower, const char *text) {
    struct buffer out = BUFFER_EMPTY;
    drain(follower, 7, &out);
    assert_string_equal(buffer_string(&out), text);
    buffer_free(&out);
}

#define SELECT_0 "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
#define SELECT_12 "*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n"

static void selects_a_database_when_it_changes(void **state) {
    open_journal(1, 1 << 20, 100);
    struct journal_follower *follower = journal_follow(journal, 100);
    assert_int_equal(journal_append(journal, 0, 0, BYTES("one")), 100 + strlen(SELECT_0 "one"));
    journal_append(journal, 0, 0, BYTES("two"));
    journal_append(journal, 0, -1, BYTES("raw"));
    journal_append(journal, 0, 12, BYTES("three"));
    journal_append(journal, 0, -1, BYTES("ping"));
    journal_append(journal, 0, 12, BYTES("four"));
    journal_forget_db(journal);
    journal_append(journal, 0, 12, BYTES("five"));
    const char *all = SELECT_0 "onetworaw" SELECT_12 "threepingfour" SELECT_12 "five";
    assert_int_equal(journal_head(journal), 100 + strlen(all));
    assert_int_equal(journal_end(journal), journal_head(journal));
    expect(follower, all);
    assert_int_equal(journal_follower_offset(follower), journal_head(journal));
    journal_unfollow(journal, follower);
}

static char pattern(uint64_t offset) {
    return (char)(offset * 2654435761u >> 13);
}

static void append_pattern(size_t size) {
    uint64_t at = journal_head(journal);
    char *bytes = mem_alloc(size + 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = pattern(at + i);
    assert_int_equal(journal_append(journal, 0, -1, bytes_of(bytes, size)), at + size);
    mem_free(bytes);
}

static void check_pattern(uint64_t from, const struct buffer *bytes) {
    for (size_t i = 0; i < bytes->size; i++)
        if (bytes->data[i] != pattern(from + i)) fail_msg("byte %zu differs", i);
}

static void crosses_the_borders_of_blocks(void **state) {
    static const uint64_t starts[] = {0, BLOCK - 1, BLOCK, 5 * BLOCK - 3, (1ull << 40) + 17};
    static const size_t sizes[] = {1, 2, 3, BLOCK - 4, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 16 * 1024, 16 * 1024 + 1, 5};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        open_journal(1, 1 << 20, starts[i]);
        struct journal_follower *follower = journal_follow(journal, starts[i]);
        assert_non_null(follower);
        struct buffer out = BUFFER_EMPTY;
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            append_pattern(sizes[j]);
            if (j % 3 == 2) drain(follower, 10000, &out);
        }
        drain(follower, 1 << 20, &out);
        assert_int_equal(out.size, journal_head(journal) - starts[i]);
        check_pattern(starts[i], &out);
        buffer_free(&out);
        journal_unfollow(journal, follower);
        close_journal(NULL);
    }
}

static void keeps_the_backlog_and_no_more(void **state) {
    enum { BACKLOG = 3 * BLOCK };
    open_journal(1, BACKLOG, 0);
    for (int i = 0; i < 400; i++)
        append_pattern(1000);
    uint64_t head = journal_head(journal), start = journal_start(journal);
    assert_true(head - start >= BACKLOG);
    assert_true(head - start <= BACKLOG + 2 * BLOCK);
    assert_true(journal_memory(journal) <= 10 * BLOCK);
    assert_null(journal_follow(journal, start - 1));
    assert_null(journal_follow(journal, head + 1));
    struct journal_follower *follower = journal_follow(journal, start);
    struct buffer out = BUFFER_EMPTY;
    drain(follower, 12345, &out);
    assert_int_equal(out.size, head - start);
    check_pattern(start, &out);
    buffer_free(&out);
    journal_unfollow(journal, follower);
    journal_set_backlog(journal, 1);
    assert_true(head - journal_start(journal) <= BLOCK);
    assert_int_equal(journal_backlog(journal), 1);
}

static void a_slow_follower_keeps_its_bytes(void **state) {
    open_journal(1, 1, 0);
    struct journal_follower *slow = journal_follow(journal, 0), *fast = journal_follow(journal, 0);
    struct buffer out = BUFFER_EMPTY;
    for (int i = 0; i < 200; i++) { // 200 blocks: the ring widens
        append_pattern(BLOCK);
        out.size = 0;
        drain(fast, BLOCK, &out);
    }
    assert_int_equal(journal_start(journal), 0);
    out.size = 0;
    drain(slow, BLOCK, &out);
    assert_int_equal(out.size, 200 * BLOCK);
    check_pattern(0, &out);
    buffer_free(&out);
    journal_unfollow(journal, fast);
    journal_unfollow(journal, slow);
    assert_true(journal_memory(journal) <= 8 * BLOCK);
}

static void a_stopped_stream_gives_nothing(void **state) {
    open_journal(1, 1 << 20, 0);
    append_pattern(100);
    struct journal_follower *follower = journal_follow(journal, 50);
    assert_int_equal(journal_peek(journal, follower, 1000).size, 50);
    journal_deactivate(journal);
    assert_false(journal_active(journal));
    assert_int_equal(journal_head(journal), 100);
    assert_int_equal(journal_peek(journal, follower, 1000).size, 0);
    assert_null(journal_follow(journal, 100));
    // Another history under the same offsets is not for it either.
    journal_activate(journal, 70);
    append_pattern(500);
    assert_int_equal(journal_peek(journal, follower, 1000).size, 0);
    journal_unfollow(journal, follower);
    follower = journal_follow(journal, 70);
    struct buffer out = BUFFER_EMPTY;
    drain(follower, 1000, &out);
    assert_int_equal(out.size, 500);
    check_pattern(70, &out);
    buffer_free(&out);
    journal_unfollow(journal, follower);
}

// --- Many writers. Each record: "<writer> <number> <size>\n", then `size` bytes that follow from the three.

enum { WRITERS = 3, RECORDS = 1500, RECORD_MAX = 90 * 1000 };

static char filler(unsigned writer, unsigned number, size_t i) {
    return (char)('A' + (writer * 7 + number * 3 + i) % 26);
}

static void write_records(void *argument) {
    unsigned writer = (unsigned)(uintptr_t)argument;
    struct prng prng;
    struct buffer record = BUFFER_EMPTY;
    prng_seed(&prng, writer);
    uint64_t last = 0;
    for (unsigned number = 0; number < RECORDS; number++) {
        size_t size = prng_below(&prng, 20) ? prng_below(&prng, 300) : prng_below(&prng, RECORD_MAX);
        record.size = 0;
        buffer_appendf(&record, "%u %u %zu\n", writer, number, size);
        for (size_t i = 0; i < size; i++)
            buffer_append_byte(&record, filler(writer, number, i));
        uint64_t end = journal_append(journal, writer, -1, buffer_bytes(&record));
        if (end <= last) fail();
        last = end;
    }
    buffer_free(&record);
}

// Takes whole records from the front of `input`; each writer's must come in order.
static void check_records(struct buffer *input, unsigned *next) {
    size_t at = 0;
    for (;;) {
        char *line = input->data + at, *newline = input->size > at ? memchr(line, '\n', input->size - at) : NULL;
        unsigned writer, number;
        size_t size;
        if (!newline) break;
        assert_int_equal(sscanf(line, "%u %u %zu", &writer, &number, &size), 3);
        size_t header = (size_t)(newline - line) + 1;
        if (input->size - at < header + size) break;
        assert_true(writer < WRITERS);
        assert_int_equal(number, next[writer]);
        for (size_t i = 0; i < size; i++)
            if (line[header + i] != filler(writer, number, i)) fail_msg("record %u of %u is torn", number, writer);
        next[writer]++;
        at += header + size;
    }
    buffer_drop_front(input, at);
}

static void every_writers_records_come_whole_and_in_order(void **state) {
    open_journal(WRITERS, BLOCK, 1234567);
    struct journal_follower *follower = journal_follow(journal, 1234567);
    struct thread threads[WRITERS];
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(thread_start(&threads[i], "writer", write_records, (void *)(uintptr_t)i), 0);
    struct buffer input = BUFFER_EMPTY;
    unsigned next[WRITERS] = {0};
    int64_t deadline = clock_mono_ms() + 90000;
    while (next[0] + next[1] + next[2] < WRITERS * RECORDS && clock_mono_ms() < deadline) {
        drain(follower, 50000, &input);
        check_records(&input, next);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        thread_join(&threads[i]);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(next[i], RECORDS);
    assert_int_equal(input.size, 0);
    assert_int_equal(journal_follower_offset(follower), journal_head(journal));
    buffer_free(&input);
    journal_unfollow(journal, follower);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(selects_a_database_when_it_changes, close_journal),
        cmocka_unit_test_teardown(crosses_the_borders_of_blocks, close_journal),
        cmocka_unit_test_teardown(keeps_the_backlog_and_no_more, close_journal),
        cmocka_unit_test_teardown(a_slow_follower_keeps_its_bytes, close_journal),
        cmocka_unit_test_teardown(a_stopped_stream_gives_nothing, close_journal),
        cmocka_unit_test_teardown(every_writers_records_come_whole_and_in_order, close_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
