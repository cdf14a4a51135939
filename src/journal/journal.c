#include "journal/journal.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "os/lock.h"

enum {
    BLOCK_SIZE = 64 * 1024,
    COPY_LOCKED_MAX = 16 * 1024, // larger effects are copied in after the lock is let go
    SPARE_BLOCKS = 4,
    NO_DB = -1,
};

#define NOT_COPYING UINT64_MAX

struct writer {
    _Atomic uint64_t copying; // offset from which on this writer is still copying, or NOT_COPYING
    char pad[56];             // a cache line each
};

struct journal_follower {
    struct list_node node;
    _Atomic uint64_t offset; // its watermark: what lies below may be reused
};

struct journal {
    struct lock lock; // guards everything but the atomics; held for a reservation and a short copy at most
    atomic_bool active;
    _Atomic uint64_t head;
    int db;                 // database that the stream has selected, or NO_DB
    uint64_t start;         // oldest readable offset
    size_t backlog;
    char **blocks;          // ring of block pointers: the block of offset o at (o / BLOCK_SIZE) & (ring_size - 1)
    uint64_t ring_size;     // a power of two
    uint64_t first, after;  // block numbers held: [first, after)
    char *spare[SPARE_BLOCKS];
    unsigned spares;
    struct list_node followers;
    unsigned writer_count;
    struct writer writers[JOURNAL_WRITERS_MAX];
};

struct journal *journal_create(unsigned writers, size_t backlog) {
    struct journal *journal = mem_aligned_alloc(64, sizeof *journal);
    memset(journal, 0, sizeof *journal);
    journal->writer_count = writers;
    journal->backlog = backlog;
    journal->db = NO_DB;
    journal->ring_size = 64;
    journal->blocks = mem_calloc(journal->ring_size, sizeof *journal->blocks);
    list_init(&journal->followers);
    for (unsigned i = 0; i < JOURNAL_WRITERS_MAX; i++)
        atomic_init(&journal->writers[i].copying, NOT_COPYING);
    return journal;
}

static char **block_place(struct journal *journal, uint64_t number) {
    return &journal->blocks[number & (journal->ring_size - 1)];
}

static void release_first_block(struct journal *journal) {
    char **place = block_place(journal, journal->first++);
    if (journal->spares < SPARE_BLOCKS)
        journal->spare[journal->spares++] = *place;
    else
        mem_free(*place);
    *place = NULL;
}

static void drop_blocks(struct journal *journal) {
    while (journal->first < journal->after)
        release_first_block(journal);
}

void journal_destroy(struct journal *journal) {
    drop_blocks(journal);
    while (journal->spares)
        mem_free(journal->spare[--journal->spares]);
    mem_free(journal->blocks);
    mem_free(journal);
}

bool journal_active(const struct journal *journal) {
    return atomic_load_explicit(&journal->active, memory_order_relaxed);
}

void journal_activate(struct journal *journal, uint64_t offset) {
    lock_acquire(&journal->lock);
    drop_blocks(journal);
    atomic_store(&journal->head, offset);
    journal->start = offset;
    journal->first = journal->after = offset / BLOCK_SIZE;
    journal->db = NO_DB;
    atomic_store(&journal->active, true);
    lock_release(&journal->lock);
}

void journal_deactivate(struct journal *journal) {
    lock_acquire(&journal->lock);
    atomic_store(&journal->active, false);
    drop_blocks(journal);
    journal->start = atomic_load(&journal->head);
    journal->db = NO_DB;
    lock_release(&journal->lock);
}

void journal_forget_db(struct journal *journal) {
    lock_acquire(&journal->lock);
    journal->db = NO_DB;
    lock_release(&journal->lock);
}

int journal_db(const struct journal *journal) {
    return journal->db;
}

// Lets go of what neither the backlog nor a follower nor a copying writer needs.
static void trim(struct journal *journal) {
    uint64_t keep = atomic_load_explicit(&journal->head, memory_order_relaxed);
    keep = keep > journal->backlog ? keep - journal->backlog : 0;
    LIST_EACH(node, &journal->followers) {
        struct journal_follower *follower = LIST_ENTRY(node, struct journal_follower, node);
        uint64_t offset = atomic_load_explicit(&follower->offset, memory_order_acquire);
        if (offset < keep) keep = offset;
    }
    for (unsigned i = 0; i < journal->writer_count; i++) {
        // Acquired: what that writer copied lies before its block is handed to another.
        uint64_t copying = atomic_load_explicit(&journal->writers[i].copying, memory_order_acquire);
        if (copying < keep) keep = copying;
    }
    while (journal->first < journal->after && (journal->first + 1) * BLOCK_SIZE <= keep)
        release_first_block(journal);
    if (journal->first * BLOCK_SIZE > journal->start) journal->start = journal->first * BLOCK_SIZE;
}

static void widen_ring(struct journal *journal) {
    uint64_t size = journal->ring_size * 2;
    char **blocks = mem_calloc(size, sizeof *blocks);
    for (uint64_t number = journal->first; number < journal->after; number++)
        blocks[number & (size - 1)] = *block_place(journal, number);
    mem_free(journal->blocks);
    journal->blocks = blocks;
    journal->ring_size = size;
}

// Blocks for every offset below `end`.
static void provide_blocks(struct journal *journal, uint64_t end) {
    if (end <= journal->after * BLOCK_SIZE) return;
    trim(journal);
    while (journal->after * BLOCK_SIZE < end) {
        if (journal->after - journal->first == journal->ring_size) widen_ring(journal);
        char *block = journal->spares ? journal->spare[--journal->spares] : mem_alloc(BLOCK_SIZE);
        *block_place(journal, journal->after++) = block;
    }
}

// Copies into reserved blocks; with `locked` the caller holds the lock, else it is taken to look each block up.
static void copy_in(struct journal *journal, uint64_t offset, struct bytes bytes, bool locked) {
    while (bytes.size) {
        uint64_t within = offset % BLOCK_SIZE;
        size_t count = BLOCK_SIZE - within < bytes.size ? BLOCK_SIZE - within : bytes.size;
        if (!locked) lock_acquire(&journal->lock);
        char *block = *block_place(journal, offset / BLOCK_SIZE);
        if (!locked) lock_release(&journal->lock);
        memcpy(block + within, bytes.data, count);
        offset += count;
        bytes.data += count;
        bytes.size -= count;
    }
}

enum { SELECT_ROOM = 64 };

static struct bytes select_command(char room[SELECT_ROOM], int db) {
    char digits[NUMBER_TEXT_MAX];
    size_t size = number_format(digits, db);
    return bytes_of(room, (size_t)snprintf(room, SELECT_ROOM, "*2\r\n$6\r\nSELECT\r\n$%zu\r\n%s\r\n", size, digits));
}

uint64_t journal_append(struct journal *journal, unsigned writer, int db, struct bytes effect) {
    struct bytes select = {NULL, 0};
    char room[SELECT_ROOM];
    lock_acquire(&journal->lock);
    if (db >= 0 && db != journal->db) {
        select = select_command(room, db);
        journal->db = db;
    }
    uint64_t offset = atomic_load_explicit(&journal->head, memory_order_relaxed);
    uint64_t end = offset + select.size + effect.size;
    provide_blocks(journal, end);
    copy_in(journal, offset, select, true);
    bool later = effect.size > COPY_LOCKED_MAX;
    if (later)
        atomic_store_explicit(&journal->writers[writer].copying, offset + select.size, memory_order_release);
    else
        copy_in(journal, offset + select.size, effect, true);
    // Whoever sees this head also sees what was copied, or that this writer is copying.
    atomic_store_explicit(&journal->head, end, memory_order_release);
    lock_release(&journal->lock);
    if (later) {
        copy_in(journal, offset + select.size, effect, false);
        atomic_store_explicit(&journal->writers[writer].copying, NOT_COPYING, memory_order_release);
    }
    return end;
}

uint64_t journal_head(const struct journal *journal) {
    return atomic_load_explicit(&journal->head, memory_order_acquire);
}

uint64_t journal_end(const struct journal *journal) {
    // The head first: a writer that began to copy before this head was stored is seen copying, or done.
    uint64_t end = journal_head(journal);
    for (unsigned i = 0; i < journal->writer_count; i++) {
        uint64_t copying = atomic_load_explicit(&journal->writers[i].copying, memory_order_acquire);
        if (copying < end) end = copying;
    }
    return end;
}

uint64_t journal_start(const struct journal *journal) {
    struct lock *lock = (struct lock *)&journal->lock;
    lock_acquire(lock);
    uint64_t start = journal->start;
    lock_release(lock);
    return start;
}

void journal_set_backlog(struct journal *journal, size_t bytes) {
    lock_acquire(&journal->lock);
    journal->backlog = bytes;
    trim(journal);
    lock_release(&journal->lock);
}

size_t journal_backlog(const struct journal *journal) {
    return journal->backlog;
}

size_t journal_memory(const struct journal *journal) {
    struct lock *lock = (struct lock *)&journal->lock;
    lock_acquire(lock);
    size_t memory = (size_t)(journal->after - journal->first + journal->spares) * BLOCK_SIZE;
    lock_release(lock);
    return memory;
}

struct journal_follower *journal_follow(struct journal *journal, uint64_t offset) {
    struct journal_follower *follower = NULL;
    lock_acquire(&journal->lock);
    if (atomic_load(&journal->active) && offset >= journal->start && offset <= atomic_load(&journal->head)) {
        follower = mem_calloc(1, sizeof *follower);
        atomic_init(&follower->offset, offset);
        list_append(&journal->followers, &follower->node);
    }
    lock_release(&journal->lock);
    return follower;
}

void journal_unfollow(struct journal *journal, struct journal_follower *follower) {
    lock_acquire(&journal->lock);
    list_remove(&follower->node);
    trim(journal);
    lock_release(&journal->lock);
    mem_free(follower);
}

struct bytes journal_peek(struct journal *journal, struct journal_follower *follower, size_t limit) {
    uint64_t offset = atomic_load_explicit(&follower->offset, memory_order_relaxed);
    uint64_t end = journal_end(journal);
    if (end <= offset) return (struct bytes){NULL, 0};
    uint64_t within = offset % BLOCK_SIZE;
    size_t count = BLOCK_SIZE - within;
    if (count > end - offset) count = (size_t)(end - offset);
    if (count > limit) count = limit;
    lock_acquire(&journal->lock);
    uint64_t number = offset / BLOCK_SIZE;
    // A journal that was stopped or started anew has dropped what its former followers lack.
    bool held = number >= journal->first && number < journal->after && offset >= journal->start;
    char *block = held ? *block_place(journal, number) : NULL;
    lock_release(&journal->lock);
    return block ? bytes_of(block + within, count) : (struct bytes){NULL, 0};
}

void journal_advance(struct journal *journal, struct journal_follower *follower, size_t count) {
    uint64_t offset = atomic_load_explicit(&follower->offset, memory_order_relaxed);
    atomic_store_explicit(&follower->offset, offset + count, memory_order_release);
}

uint64_t journal_follower_offset(const struct journal_follower *follower) {
    return atomic_load_explicit(&follower->offset, memory_order_acquire);
}
