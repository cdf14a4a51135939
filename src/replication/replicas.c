#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "persistence/snapshot.h"
#include "replication/replication_private.h"

enum { CHUNK_SIZE = 256 * 1024, PEEK_MAX = 256 * 1024, KEEPALIVE_MS = 1000, PATH_ROOM = 4096 };

// The snapshot that is being written for replicas: where the stream stood when it was taken. Exclusive mode, worker 0.
static bool snapshot_taken;
static uint64_t snapshot_offset;
static char snapshot_path[PATH_ROOM];

static int state_of(const struct replica *replica) {
    return atomic_load_explicit(&replica->state, memory_order_acquire);
}

static void set_state(struct replica *replica, enum replica_state state) {
    atomic_store_explicit(&replica->state, (int)state, memory_order_release);
}

struct replica *replica_of(struct session *session) {
    if (session->replica) return session->replica;
    struct replica *replica = mem_calloc(1, sizeof *replica);
    replica->session = session;
    replica->file = -1;
    snprintf(replica->address, sizeof replica->address, "%s", session->address);
    char *colon = strrchr(replica->address, ':');
    if (colon) *colon = '\0';
    atomic_store(&replica->heard_ms, clock_mono_ms());
    session->replica = replica;
    lock_acquire(&replication.replicas_lock);
    list_append(&replication.replicas, &replica->node);
    lock_release(&replication.replicas_lock);
    return replica;
}

void replication_closing(struct session *session) {
    if (session->waiting == WAIT_DEFERRED) wait_forget(session->id);
    struct replica *replica = session->replica;
    if (!replica) return;
    if (state_of(replica) > REPLICA_SHAKING_HANDS)
        log_write(LOG_NOTICE, "Connection with replica %s:%u lost.", replica->address, replica->listening_port);
    lock_acquire(&replication.replicas_lock);
    list_remove(&replica->node);
    lock_release(&replication.replicas_lock);
    if (replica->follower) journal_unfollow(replication.journal, replica->follower);
    if (replica->file >= 0) file_close(replica->file);
    buffer_free(&replica->chunk);
    mem_free(replica);
    session->replica = NULL;
}

// --- PSYNC.

// May a stream named `id` go on at PSYNC offset `offset`?
static bool can_continue(struct bytes id, int64_t offset) {
    const struct stream_names *names = &replication.names;
    if (!journal_active(replication.journal) || offset < 1) return false;
    bool same = bytes_equal(id, bytes_from_string(names->id));
    bool former = bytes_equal(id, bytes_from_string(names->second)) && offset <= names->second_offset;
    return same || former;
}

static void become_replica(struct session *session) {
    session_change_kind(session, SESSION_REPLICA);
    if (replication.became_replica) replication.became_replica(session);
}

static bool try_continue(struct call *call, struct replica *replica, struct bytes id, int64_t offset) {
    if (!can_continue(id, offset)) return false;
    replica->follower = journal_follow(replication.journal, (uint64_t)offset - 1);
    if (!replica->follower) return false;
    journal_forget_db(replication.journal); // it may have forgotten which database the stream is in
    if (replica->understands_psync2)
        buffer_appendf(call->reply->out, "+CONTINUE %s\r\n", replication.names.id);
    else
        buffer_append_string(call->reply->out, "+CONTINUE\r\n");
    atomic_store(&replica->acknowledged, (uint64_t)offset - 1);
    become_replica(call->session);
    set_state(replica, REPLICA_FOLLOWS);
    replication.partial_syncs++;
    log_write(LOG_NOTICE, "Partial resynchronization request from %s:%u accepted. Sending the stream from offset %" PRId64 ".",
              replica->address, replica->listening_port, offset);
    return true;
}

// Joins the replica to the snapshot that is being written: it gets that, and the stream from where it was taken.
static bool join_snapshot(struct replica *replica) {
    replica->follower = journal_follow(replication.journal, snapshot_offset);
    if (!replica->follower) return false;
    if (!replica->plain)
        buffer_appendf(&replica->session->output, "+FULLRESYNC %s %" PRIu64 "\r\n", replication.names.id, snapshot_offset);
    set_state(replica, REPLICA_WAITS_FOR_FILE);
    return true;
}

// Takes the snapshot that waiting replicas want. Exclusive mode.
static bool take_snapshot(void) {
    struct buffer error = BUFFER_EMPTY;
    if (!journal_active(replication.journal))
        journal_activate(replication.journal, journal_head(replication.journal));
    journal_forget_db(replication.journal);
    snapshot_offset = journal_head(replication.journal);
    snprintf(snapshot_path, sizeof snapshot_path, "%s/temp-sync-%d.rdb", replication_settings.directory, process_id());
    struct snapshot_origin origin = {replication.names.id, (int64_t)snapshot_offset, replication_stream_db()};
    snapshot_taken = snapshot_start(replication.dispatcher->keyspace, snapshot_path, &origin, SNAPSHOT_FOR_REPLICAS, &error);
    if (!snapshot_taken) log_write(LOG_WARNING, "Can't start a snapshot for replication: %s", buffer_string(&error));
    buffer_free(&error);
    return snapshot_taken;
}

void replicas_forget_snapshot(void) {
    snapshot_taken = false;
}

static void start_full_sync(struct replica *replica) {
    log_write(LOG_NOTICE, "Full resync requested by replica %s:%u", replica->address, replica->listening_port);
    set_state(replica, REPLICA_WAITS_FOR_START);
    become_replica(replica->session);
    replication.full_syncs++;
    if (snapshot_taken && join_snapshot(replica)) return;
    if (!snapshot_running(NULL) && take_snapshot()) join_snapshot(replica);
}

void replica_sync(struct call *call, struct replica *replica, struct bytes id, int64_t offset) {
    if (state_of(replica) != REPLICA_SHAKING_HANDS) return;
    if (role.replica && !role.primary_link_up) {
        reply_error(call->reply, "NOMASTERLINK Can't SYNC while not connected with my master");
        return;
    }
    atomic_store(&replica->heard_ms, clock_mono_ms());
    if (try_continue(call, replica, id, offset)) return;
    if (offset >= 0) replication.refused_syncs++;
    start_full_sync(replica);
}

void replica_sync_plain(struct call *call, struct replica *replica) {
    replica->plain = true;
    replica_sync(call, replica, BYTES("?"), -1);
}

void replication_snapshot_ended(bool ok) {
    snapshot_taken = false;
    lock_acquire(&replication.replicas_lock);
    LIST_EACH(node, &replication.replicas) {
        struct replica *replica = LIST_ENTRY(node, struct replica, node);
        if (state_of(replica) != REPLICA_WAITS_FOR_FILE) continue;
        replica->file = ok ? file_open_read(snapshot_path) : -1;
        set_state(replica, replica->file >= 0 ? REPLICA_RECEIVES_FILE : REPLICA_BROKEN);
    }
    lock_release(&replication.replicas_lock);
    file_remove(snapshot_path); // those who need it have it open
    replication.wake_workers();
}

// --- What a replica's connection sends next.

static void fill_chunk(struct replica *replica) {
    replica->chunk.size = replica->chunk_sent = 0;
    if (!replica->header_made) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", replica->file);
        buffer_appendf(&replica->chunk, "$%" PRId64 "\r\n", file_size(path));
        replica->header_made = true;
        return;
    }
    buffer_reserve(&replica->chunk, CHUNK_SIZE);
    ssize_t got = file_read(replica->file, replica->chunk.data, CHUNK_SIZE);
    if (got > 0) {
        replica->chunk.size = (size_t)got;
        return;
    }
    file_close(replica->file);
    replica->file = -1;
    buffer_free(&replica->chunk);
    atomic_store(&replica->heard_ms, clock_mono_ms());
    int receiving = REPLICA_RECEIVES_FILE; // else it was broken meanwhile, and stays so
    atomic_compare_exchange_strong(&replica->state, &receiving, got < 0 ? REPLICA_BROKEN : REPLICA_FOLLOWS);
    if (got == 0) log_write(LOG_NOTICE, "Synchronization with replica %s:%u succeeded", replica->address, replica->listening_port);
}

struct bytes replication_peek(struct session *session) {
    struct replica *replica = session->replica;
    int64_t now = clock_mono_ms();
    replica->keepalive = false;
    switch (state_of(replica)) {
    case REPLICA_BROKEN: session->close_after_reply = true; break;
    case REPLICA_WAITS_FOR_START:
    case REPLICA_WAITS_FOR_FILE:
        // A newline now and then tells the replica that we are at work.
        if (now - replica->keepalive_ms < KEEPALIVE_MS) break;
        replica->keepalive = true;
        replica->keepalive_ms = now;
        return BYTES("\n");
    case REPLICA_RECEIVES_FILE:
        if (replica->chunk_sent == replica->chunk.size) fill_chunk(replica);
        if (replica->file >= 0)
            return bytes_of(replica->chunk.data + replica->chunk_sent, replica->chunk.size - replica->chunk_sent);
        if (state_of(replica) != REPLICA_FOLLOWS) {
            session->close_after_reply = true;
            break;
        }
        return journal_peek(replication.journal, replica->follower, PEEK_MAX);
    case REPLICA_FOLLOWS: return journal_peek(replication.journal, replica->follower, PEEK_MAX);
    default: break;
    }
    return (struct bytes){NULL, 0};
}

void replication_sent(struct session *session, size_t count) {
    struct replica *replica = session->replica;
    if (replica->keepalive) return;
    if (state_of(replica) == REPLICA_RECEIVES_FILE)
        replica->chunk_sent += count;
    else
        journal_advance(replication.journal, replica->follower, count);
}

uint64_t replication_backlog(struct session *session) {
    const struct replica *replica = session->replica;
    if (!replica || !replica->follower) return 0;
    return journal_head(replication.journal) - journal_follower_offset(replica->follower);
}

// --- All of them.

unsigned replication_replicas(void) {
    unsigned count = 0;
    lock_acquire(&replication.replicas_lock);
    LIST_EACH(node, &replication.replicas)
        count += state_of(LIST_ENTRY(node, struct replica, node)) > REPLICA_SHAKING_HANDS;
    lock_release(&replication.replicas_lock);
    return count;
}

unsigned replicas_acknowledged(uint64_t offset) {
    unsigned count = 0;
    lock_acquire(&replication.replicas_lock);
    LIST_EACH(node, &replication.replicas) {
        const struct replica *replica = LIST_ENTRY(node, struct replica, node);
        count += state_of(replica) == REPLICA_FOLLOWS && atomic_load(&replica->acknowledged) >= offset;
    }
    lock_release(&replication.replicas_lock);
    return count;
}

unsigned replication_followers(struct replication_follower *followers, unsigned room) {
    unsigned count = 0;
    lock_acquire(&replication.replicas_lock);
    LIST_EACH(node, &replication.replicas) {
        const struct replica *replica = LIST_ENTRY(node, struct replica, node);
        if (state_of(replica) != REPLICA_FOLLOWS || replica->plain || count == room) continue;
        struct replication_follower *follower = &followers[count++];
        memcpy(follower->address, replica->address, sizeof follower->address);
        follower->port = (uint16_t)replica->listening_port;
        follower->acknowledged = atomic_load(&replica->acknowledged);
    }
    lock_release(&replication.replicas_lock);
    return count;
}

void replication_ask_acknowledgements(void) {
    if (!journal_active(replication.journal)) return;
    journal_append(replication.journal, replication.dispatcher->worker, -1, BYTES(REPLICAS_ACKNOWLEDGE));
    replication.wake_workers();
}

bool replication_all_caught_up(void) {
    uint64_t offset = replication_offset();
    unsigned all = replication_replicas();
    return replicas_acknowledged(offset) == all;
}

void replicas_break_all(void) {
    lock_acquire(&replication.replicas_lock);
    LIST_EACH(node, &replication.replicas) {
        struct replica *replica = LIST_ENTRY(node, struct replica, node);
        if (state_of(replica) > REPLICA_SHAKING_HANDS) set_state(replica, REPLICA_BROKEN);
    }
    lock_release(&replication.replicas_lock);
    replication.wake_workers();
}

static bool is_lost(const struct replica *replica, int64_t mono_ms) {
    return state_of(replica) == REPLICA_FOLLOWS && !replica->plain &&
           mono_ms - atomic_load(&replica->heard_ms) > 1000 * (int64_t)replication_settings.timeout_seconds;
}

// Counts those that are near enough, breaks with those that are silent; true: some wait for a snapshot to be started.
static bool look_at_all(int64_t mono_ms) {
    unsigned good = 0;
    bool waiting = false;
    lock_acquire(&replication.replicas_lock);
    LIST_EACH(node, &replication.replicas) {
        struct replica *replica = LIST_ENTRY(node, struct replica, node);
        int state = state_of(replica);
        waiting |= state == REPLICA_WAITS_FOR_START;
        int64_t lag = (mono_ms - atomic_load(&replica->heard_ms)) / 1000;
        good += state == REPLICA_FOLLOWS && lag <= settings.min_replicas_max_lag;
        if (!is_lost(replica, mono_ms)) continue;
        log_write(LOG_WARNING, "Disconnecting timedout replica (streaming sync): %s:%u", replica->address,
                  replica->listening_port);
        set_state(replica, REPLICA_BROKEN);
    }
    lock_release(&replication.replicas_lock);
    __atomic_store_n(&role.good_replicas, good, __ATOMIC_RELAXED);
    return waiting;
}

// Exclusive mode.
static void start_for_waiting(void) {
    if (!snapshot_taken && (snapshot_running(NULL) || !take_snapshot())) return;
    LIST_EACH(node, &replication.replicas) {
        struct replica *replica = LIST_ENTRY(node, struct replica, node);
        if (state_of(replica) == REPLICA_WAITS_FOR_START) join_snapshot(replica);
    }
}

void replicas_cron(int64_t mono_ms) {
    if (look_at_all(mono_ms) && !snapshot_running(NULL)) {
        dispatch_begin_exclusive(replication.dispatcher);
        start_for_waiting();
        dispatch_end_exclusive(replication.dispatcher);
    }
    if (role.replica || !journal_active(replication.journal) || !replication_replicas()) return;
    if (mono_ms - replication.last_ping_ms < 1000 * (int64_t)replication_settings.ping_period_seconds) return;
    replication.last_ping_ms = mono_ms;
    journal_append(replication.journal, replication.dispatcher->worker, -1, BYTES("*1\r\n$4\r\nPING\r\n"));
}

const char *replica_state_name(const struct replica *replica) {
    switch (state_of(replica)) {
    case REPLICA_WAITS_FOR_START:
    case REPLICA_WAITS_FOR_FILE: return "wait_bgsave";
    case REPLICA_RECEIVES_FILE: return "send_bulk";
    default: return "online";
    }
}

void replicas_info(struct buffer *out, int64_t mono_ms) {
    unsigned number = 0;
    lock_acquire(&replication.replicas_lock);
    LIST_EACH(node, &replication.replicas) {
        const struct replica *replica = LIST_ENTRY(node, struct replica, node);
        if (state_of(replica) <= REPLICA_SHAKING_HANDS || state_of(replica) == REPLICA_BROKEN) continue;
        buffer_appendf(out, "slave%u:ip=%s,port=%u,state=%s,offset=%" PRIu64 ",lag=%" PRId64 "\r\n", number++,
                       replica->address, replica->listening_port, replica_state_name(replica),
                       atomic_load(&replica->acknowledged), (mono_ms - atomic_load(&replica->heard_ms)) / 1000);
    }
    lock_release(&replication.replicas_lock);
}
