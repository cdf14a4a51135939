// What the files of this folder share.
#ifndef SHOAL_REPLICATION_PRIVATE_H
#define SHOAL_REPLICATION_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/list.h"
#include "call/call.h"
#include "journal/journal.h"
#include "os/lock.h"
#include "replication/replication.h"

enum replica_state {
    REPLICA_SHAKING_HANDS, // REPLCONF came, PSYNC did not
    REPLICA_WAITS_FOR_START,
    REPLICA_WAITS_FOR_FILE, // its snapshot is being written
    REPLICA_RECEIVES_FILE,
    REPLICA_FOLLOWS,
    REPLICA_BROKEN, // to be closed by its worker
};

// Somebody who follows us. `state` moves on in exclusive mode or on worker 0 up to RECEIVES_FILE, then on its worker.
struct replica {
    struct list_node node; // of the list of replicas, guarded by replicas_lock
    struct session *session;
    _Atomic int state;
    _Atomic uint64_t acknowledged; // its own report of its offset
    _Atomic int64_t heard_ms;      // monotonic
    char address[128];
    unsigned listening_port;
    bool understands_eof, understands_psync2;
    bool rdb_only; // it wants the snapshot and nothing after it
    bool plain; // it said SYNC: the snapshot comes without a line before it, and it acknowledges nothing
    struct journal_follower *follower;
    int file; // of the snapshot, -1
    bool header_made, keepalive;
    int64_t keepalive_ms;
    struct buffer chunk; // what was read of the file and is not sent
    size_t chunk_sent;
};

// The stream's names. Written in exclusive mode.
struct stream_names {
    char id[REPLICATION_ID_SIZE + 1];
    char second[REPLICATION_ID_SIZE + 1];
    int64_t second_offset; // the second id holds up to here; -1: there is none
};

struct replication {
    struct dispatcher *dispatcher; // worker 0's
    struct loop *loop;
    struct journal *journal;
    void (*wake_workers)(void);
    void (*became_replica)(struct session *session);
    struct stream_names names;
    uint64_t resting_offset; // the offset while the journal is inactive
    struct lock replicas_lock; // guards the list and its nodes' lives
    struct list_node replicas;
    int64_t no_replicas_since_ms, last_ping_ms;
    uint64_t full_syncs, partial_syncs, refused_syncs;
};
extern struct replication replication;

// replicas.c
struct replica *replica_of(struct session *session); // made at its first REPLCONF or PSYNC
void replica_sync_plain(struct call *call, struct replica *replica);
void replica_sync(struct call *call, struct replica *replica, struct bytes id, int64_t offset);
void replicas_cron(int64_t mono_ms);
void replicas_break_all(void); // exclusive mode
void replicas_forget_snapshot(void); // nobody joins the one that is being written: it is another history's. Exclusive mode
unsigned replicas_acknowledged(uint64_t offset);
void replicas_info(struct buffer *out, int64_t mono_ms);
const char *replica_state_name(const struct replica *replica);

#define REPLICAS_ACKNOWLEDGE "*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n" // in the stream: say what you have

// wait.c
void wait_command(struct call *call);
void wait_check(void); // a replica has acknowledged more
void wait_forget(uint64_t session_id); // a client that may wait is gone

// primary_link.c
void link_follow(const char *host, uint16_t port);
void link_drop(void);
void link_stop(void); // link_drop at the end of the server
void link_cron(int64_t mono_ms);
bool link_exists(void);
unsigned link_stream_db(void); // that the primary's stream has selected, as far as it was applied
void link_set_stream_db(unsigned db);
const char *link_host(void);
uint16_t link_port(void);
const char *link_state_name(void); // as ROLE tells it
void link_info(struct buffer *out, int64_t mono_ms);
void link_acknowledge(void);

#endif
