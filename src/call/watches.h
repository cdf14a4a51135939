// watches: the keys that a session WATCHes, and whether one of them changed or expired since.
// Invariant: every watch in session->watches hangs on its key's slot (keyspace_watch) until it is cleared.
// Thread: the session's worker. What touches the slots says below which lock it needs.
#ifndef SHOAL_CALL_WATCHES_H
#define SHOAL_CALL_WATCHES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "call/session.h"
#include "keyspace/keyspace.h"

struct session_watch {
    struct watch watch;          // its key's bytes follow this struct
    struct list_node in_session; // session->watches
    bool was_expired;            // already past its time when it was watched, so its vanishing is no change
};

// Watches `key` of database `db` from now on; a key that is watched already stays as it is. `now_ms`: wall
// clock. Needs the lock of the key's slot.
void watches_add(struct session *session, struct keyspace *keyspace, unsigned db, struct bytes key,
                 int64_t now_ms);

// Drops all watches. With `locked`, the caller holds the locks of their slots or all workers stand still;
// else each slot is locked for as long as it takes.
void watches_clear(struct session *session, struct keyspace *keyspace, bool locked);

// Did a watched key change, or expire, since it was watched? `now_ms`: wall clock. Needs the locks of the
// watches' slots.
bool watches_broken(const struct session *session, struct keyspace *keyspace, int64_t now_ms);

// Was a watched key changed already? Thread: the session's worker, or exclusive mode; no lock.
bool watches_changed(const struct session *session);

// The watches, for whoever collects their slots: `for (LIST_EACH(node, &session->watches))
// watches_slot(node)`.
static inline unsigned watches_slot(const struct list_node *node) {
    return LIST_ENTRY(node, const struct session_watch, in_session)->watch.slot;
}

#endif
