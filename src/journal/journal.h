// journal: every effect, once, in order: the replication stream, addressed by offset.
//
// Writers reserve a range under a short lock while they hold their slots' locks, so that the order of the stream is the
// order of execution for every slot; then they copy the bytes in. Readers stop at the offset below which everything has
// been copied (journal_end). The bytes live in fixed blocks; blocks below every follower's watermark and below the
// backlog that is kept for partial resynchronisation are reused.
// An inactive journal (nobody follows, no backlog) takes no appends: its offset stands still.
#ifndef SHOAL_JOURNAL_JOURNAL_H
#define SHOAL_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct journal;
struct journal_follower;

enum { JOURNAL_WRITERS_MAX = 64 };

// `writers`: how many threads append, each with a number of its own below that. `backlog`: bytes kept for resync.
struct journal *journal_create(unsigned writers, size_t backlog);
void journal_destroy(struct journal *journal);

// Thread: any. False: appends are not wanted.
bool journal_active(const struct journal *journal);

// Starts (keeping the offset, or from `offset`) or stops keeping the stream. Exclusive mode.
void journal_activate(struct journal *journal, uint64_t offset);
void journal_deactivate(struct journal *journal);

// Appends `effect` (whole RESP commands), with a SELECT before it when the stream's database is not `db` (db < 0: raw bytes
// which name no database: pings, acknowledgements, a primary's own stream). Returns the offset after it.
// Needs the locks of the slots that the effect is about. Thread: `writer`.
uint64_t journal_append(struct journal *journal, unsigned writer, int db, struct bytes effect);

// The stream's database is forgotten: the next append selects its own. Exclusive mode.
void journal_forget_db(struct journal *journal);
// The database that appends have selected, -1: the next one selects its own. Exclusive mode.
int journal_db(const struct journal *journal);

// The offset up to which everything has been copied in, and the next offset to be reserved. Thread: any.
uint64_t journal_end(const struct journal *journal);
uint64_t journal_head(const struct journal *journal);

// The oldest offset that can still be read. Thread: any; a lower bound at once, true while the caller follows.
uint64_t journal_start(const struct journal *journal);

// Changes the size of the backlog. Exclusive mode.
void journal_set_backlog(struct journal *journal, size_t bytes);
size_t journal_backlog(const struct journal *journal);
// Bytes of heap in blocks. Thread: any.
size_t journal_memory(const struct journal *journal);

// Begins to follow at `offset` (the bytes from there on stay readable). NULL when that is gone or in the future.
struct journal_follower *journal_follow(struct journal *journal, uint64_t offset);
void journal_unfollow(struct journal *journal, struct journal_follower *follower);

// The next bytes for the follower, at most `limit`, a view that stays valid until it advances; empty when it has all.
struct bytes journal_peek(struct journal *journal, struct journal_follower *follower, size_t limit);

// The follower is done with `count` bytes. Thread: the follower's, one at a time.
void journal_advance(struct journal *journal, struct journal_follower *follower, size_t count);
uint64_t journal_follower_offset(const struct journal_follower *follower);

#endif
