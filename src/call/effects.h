// effects: what a command changed, gathered as RESP while it runs and appended to the journal before its slots are
// unlocked. On a replica nothing is gathered: its journal repeats the primary's bytes.
// Source: Redis documentation, "Replication" (effects, MULTI around several of them).
#ifndef SHOAL_CALL_EFFECTS_H
#define SHOAL_CALL_EFFECTS_H

#include "call/dispatch.h"

// Gathers one command for database `db`.
void effects_add(struct dispatcher *dispatcher, unsigned db, int argc, const struct bytes *argv);

// After a command that changed something: gathers the command itself, unless it said what to gather instead.
void effects_finish(struct call *call);

// Appends what was gathered (wrapped in MULTI and EXEC when it is more than one command) and forgets it; the session
// (may be NULL) remembers the offset after it.
static inline void effects_journal(struct dispatcher *dispatcher, struct session *session);

void effects__journal(struct dispatcher *dispatcher, struct session *session);

static inline void effects_journal(struct dispatcher *dispatcher, struct session *session) {
    if (__builtin_expect(dispatcher->effect_count != 0, 0)) effects__journal(dispatcher, session);
}

#endif
