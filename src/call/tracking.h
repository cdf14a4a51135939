// tracking: CLIENT TRACKING as a session's state: what it wants to be told of, and the noting of what it
// reads. How it is told is invalidation.h's. Invariant: session->tracking is NULL while tracking is off; else
// it is in the list of its worker's trackers, and its prefixes stand in the table of broadcasts. Thread,
// where nothing else is said: the session's worker.
#ifndef SHOAL_CALL_TRACKING_H
#define SHOAL_CALL_TRACKING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "call/call.h"
#include "call/session.h"

struct tracking_options {
    bool broadcast; // BCAST: told of every change under its prefixes; else of changes of what it has read
    bool opt_in;    // reads count only after CLIENT CACHING YES
    bool opt_out;   // reads do not count after CLIENT CACHING NO
    bool no_loop;   // not told of its own changes
};

struct session_tracking {
    struct session *session; // whose it is
    struct keyspace *keyspace;
    struct tracking_options options;
    bool caching;      // CLIENT CACHING was said: for the next command, or the transaction that it opens
    bool broken;       // the client that it redirects to is gone
    uint64_t redirect; // a session's id: that one is told instead; 0: nobody
    uint16_t redirect_worker;
    struct tracking_prefix { // BCAST: in their order
        char *data;
        size_t size;
    } * prefixes;
    unsigned prefix_count;
    struct list_node of_worker; // tracking_of_worker
};

// Sessions whose tracking is on. Thread: any.
unsigned tracking_clients(void);

// The session_tracking::of_worker nodes of a worker's sessions. Thread: that worker.
struct list_node *tracking_of_worker(unsigned worker);

// Has the worker any such session? Thread: any.
bool tracking_on_worker(unsigned worker);

// Turns tracking on, or changes its options; prefixes are added to those that are there (BCAST without any:
// the empty one). `redirect`: the session that is told instead, or NULL. The caller has checked that all this
// goes together. Both sessions stay with their workers from now on: the tables of readers name them so. Exclusive mode, on
// the session's worker.
void tracking_turn_on(struct session *session, struct keyspace *keyspace,
                      const struct tracking_options *options, struct session *redirect,
                      const struct bytes *prefixes, unsigned count);

// Turns it off; nothing happens when it is. What the session has read stays noted until it changes: it is not
// told then, unless it tracks again.
void tracking_turn_off(struct session *session);

// The prefix of the session that one of `prefix`'s is, or the other way round; NULL: none.
const struct tracking_prefix *tracking_prefix_over(const struct session *session, struct bytes prefix);

// A command of a tracking session has run: notes the keys that it has read. The command's slots are locked.
void tracking_note_reads(struct call *call);

// A command of the session has ended, in whatever way (NULL: it is unknown): CLIENT CACHING has had its
// effect.
void tracking_end_command(struct session *session, const struct command *command);

#endif
