// replication: the primary's side (who follows our journal) and the replica's side (whom we follow).
//
// The stream is the journal: PSYNC offset p asks for journal position p - 1. A replica appends its primary's bytes to
// its own journal unchanged, so its own replicas and its successor see the same offsets.
// Role changes happen in exclusive mode. The link to a primary belongs to worker 0; a replica's connection to the worker
// that accepted it. Source: Redis documentation, "Replication"; PSYNC2 as seen between real servers.
#ifndef SHOAL_REPLICATION_REPLICATION_H
#define SHOAL_REPLICATION_REPLICATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "call/dispatch.h"
#include "net/loop.h"

enum { REPLICATION_ID_SIZE = 40 };

// What replication needs to know; written in exclusive mode.
struct replication_settings {
    char *masteruser, *masterauth;   // "" for none
    char *announce_ip;               // replica-announce-ip, ""
    unsigned announce_port;          // replica-announce-port, 0: port
    unsigned port;                   // the client port that we listen on
    char *bind_source;               // bind-source-addr, ""
    char *directory;                 // where snapshots are written ("dir")
    char *dbfilename;
    uint64_t backlog_size;           // repl-backlog-size
    int64_t backlog_ttl_seconds;     // repl-backlog-ttl
    unsigned timeout_seconds;        // repl-timeout
    unsigned ping_period_seconds;    // repl-ping-replica-period
    unsigned priority;               // replica-priority
    bool announced;                  // replica-announced
    bool disable_nodelay;
};
extern struct replication_settings replication_settings;

// Creates it; `dispatcher` and `loop` are worker 0's. `wake_workers` asks all workers to look at their replicas.
void replication_start(struct dispatcher *dispatcher, struct loop *loop, void (*wake_workers)(void));

// Lets go of the link to the primary and of a snapshot that was not finished. Once the workers have ended, and the loader.
void replication_stop(void);

// REPLICAOF SLAVEOF ROLE PSYNC SYNC REPLCONF WAIT; ends with a NULL name.
extern const struct command replication_commands[];

// Follows another primary (an empty host: none), as REPLICAOF does. Exclusive mode, worker 0 or before the workers run.
void replication_follow(const char *host, uint16_t port);
void replication_unfollow(void); // becomes a primary, keeping the data, with a new id and the old as its second

// Ten times a second, on worker 0.
void replication_cron(void);
// A snapshot for replicas has been written, or not. Worker 0.
void replication_snapshot_ended(bool ok);

// --- Connections of replicas, for the worker that has them.
void replication_closing(struct session *session);
struct bytes replication_peek(struct session *session);
void replication_sent(struct session *session, size_t count);
uint64_t replication_backlog(struct session *session);
// Called when PSYNC has made a replica of a session (on its worker).
void replication_set_adopter(void (*became_replica)(struct session *session));

// --- For INFO, the bus, SHUTDOWN, snapshots.

// The id of our stream and, for a while after a role change, the one before it up to second_offset. Exclusive mode,
// or any thread for a copy that may be a moment old.
void replication_ids(char id[REPLICATION_ID_SIZE + 1], char second[REPLICATION_ID_SIZE + 1], int64_t *second_offset);
uint64_t replication_offset(void); // what has been journaled (as a replica: applied). Any thread.

// Whom we follow; false: nobody. Exclusive mode; `host` stays until the next role change.
bool replication_primary(const char **host, uint16_t *port);

// What replicas have asked for so far: whole snapshots; to go on, granted and refused. Any thread.
struct replication_counts {
    uint64_t full_syncs, partial_syncs, refused_syncs;
};
void replication_counts(struct replication_counts *counts);

// Starts a new history (start-up from a snapshot whose stream may have gone on): the present id becomes the second.
void replication_new_id(void);

// For the cluster's elections: ms since the primary was last heard, and whether the link is up. Any thread.
void replication_link_state(bool *up, int64_t *data_age_ms, bool *ever_synchronised);

// The database that the stream has selected where it stands now. Exclusive mode.
unsigned replication_stream_db(void);

// Takes over what a snapshot told of its stream (start-up), so that a partial resynchronisation may do.
void replication_restore(const char *id, int64_t offset, unsigned stream_db);
// DEBUG CHANGE-REPL-ID. Exclusive mode.
void replication_change_id(void);

// Appends INFO's section, without its title. Exclusive mode.
void replication_info(struct buffer *out);
unsigned replication_replicas(void);
// Those that follow the stream, where they listen for clients and what they have acknowledged; `room` of them at most.
// Returns how many. Any thread.
struct replication_follower {
    char address[128];
    uint16_t port;
    uint64_t acknowledged;
};
unsigned replication_followers(struct replication_follower *followers, unsigned room);
// Asks all replicas to acknowledge what they have, soon. Worker 0, or exclusive mode.
void replication_ask_acknowledgements(void);
// Have all replicas acknowledged the journal's end? Any thread.
bool replication_all_caught_up(void);

#endif
