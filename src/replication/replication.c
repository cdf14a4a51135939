#include "replication/replication.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "os/clock.h"
#include "os/random.h"
#include "replication/replication_private.h"

struct replication_settings replication_settings;
struct replication replication;

void replication_start(struct dispatcher *dispatcher, struct loop *loop, void (*wake_workers)(void)) {
    replication.dispatcher = dispatcher;
    replication.loop = loop;
    replication.journal = dispatcher->journal;
    replication.wake_workers = wake_workers;
    list_init(&replication.replicas);
    random_hex(replication.names.id, REPLICATION_ID_SIZE);
    memset(replication.names.second, '0', REPLICATION_ID_SIZE);
    replication.names.second_offset = -1;
}

void replication_stop(void) {
    link_stop();
}

void replication_set_adopter(void (*became_replica)(struct session *session)) {
    replication.became_replica = became_replica;
}

void replication_new_id(void) {
    memcpy(replication.names.second, replication.names.id, sizeof replication.names.id);
    // What comes next is the first offset at which the two streams may differ.
    replication.names.second_offset = (int64_t)replication_offset() + 1;
    random_hex(replication.names.id, REPLICATION_ID_SIZE);
    log_write(LOG_NOTICE, "Setting secondary replication ID to %s, valid up to offset: %lld. New replication ID is %s",
              replication.names.second, (long long)replication.names.second_offset, replication.names.id);
}

void replication_change_id(void) {
    random_hex(replication.names.id, REPLICATION_ID_SIZE);
    memset(replication.names.second, '0', REPLICATION_ID_SIZE);
    replication.names.second_offset = -1;
}

void replication_ids(char id[REPLICATION_ID_SIZE + 1], char second[REPLICATION_ID_SIZE + 1], int64_t *second_offset) {
    memcpy(id, replication.names.id, REPLICATION_ID_SIZE + 1);
    if (second) memcpy(second, replication.names.second, REPLICATION_ID_SIZE + 1);
    if (second_offset) *second_offset = replication.names.second_offset;
}

uint64_t replication_offset(void) {
    return journal_head(replication.journal);
}

unsigned replication_stream_db(void) {
    if (role.replica) return link_stream_db();
    int db = journal_db(replication.journal);
    return db < 0 ? 0 : (unsigned)db; // none is selected: the next effect brings its own
}

void replication_restore(const char *id, int64_t offset, unsigned stream_db) {
    memcpy(replication.names.id, id, REPLICATION_ID_SIZE);
    link_set_stream_db(stream_db);
    journal_activate(replication.journal, (uint64_t)offset);
    replication.no_replicas_since_ms = clock_mono_ms(); // they come back now: it is not 1970 that they left
}

void replication_follow(const char *host, uint16_t port) {
    if (link_exists() && strcmp(link_host(), host) == 0 && link_port() == port) return;
    bool was_primary = !role.replica;
    link_drop();
    if (was_primary) link_set_stream_db(replication_stream_db());
    __atomic_store_n(&role.replica, true, __ATOMIC_RELAXED); // the log tells it on any thread
    // A primary that becomes a replica offers its own history: if nothing of it is unknown there, it goes on from here.
    if (was_primary && !journal_active(replication.journal))
        journal_activate(replication.journal, journal_head(replication.journal));
    if (was_primary) replicas_break_all();
    link_follow(host, port);
    log_write(LOG_NOTICE, "Connecting to PRIMARY %s:%u", host, port);
}

void replication_unfollow(void) {
    if (!role.replica) return;
    link_drop();
    __atomic_store_n(&role.replica, false, __ATOMIC_RELAXED);
    role.primary_link_up = false;
    replication_new_id();
    // Its replicas must be told the new id: they come back and go on from where they are.
    replicas_break_all();
    journal_forget_db(replication.journal);
    replication.no_replicas_since_ms = clock_mono_ms();
}

// Without replicas for long enough, a primary stops keeping a backlog; its history ends there.
static void give_up_backlog(int64_t mono_ms) {
    if (role.replica || !journal_active(replication.journal) || replication_settings.backlog_ttl_seconds == 0) return;
    if (replication_replicas()) {
        replication.no_replicas_since_ms = mono_ms;
        return;
    }
    if ((mono_ms - replication.no_replicas_since_ms) / 1000 < replication_settings.backlog_ttl_seconds) return;
    dispatch_begin_exclusive(replication.dispatcher);
    bool still = !replication_replicas() && !role.replica; // one may have come while we waited
    if (still) {
        replication_change_id();
        journal_deactivate(replication.journal);
    }
    dispatch_end_exclusive(replication.dispatcher);
    if (!still) return;
    log_write(LOG_NOTICE, "Replication backlog freed after %" PRId64 " seconds without connected replicas.",
              replication_settings.backlog_ttl_seconds);
}

void replication_cron(void) {
    int64_t mono_ms = clock_mono_ms();
    link_cron(mono_ms);
    replicas_cron(mono_ms);
    give_up_backlog(mono_ms);
}

void replication_info(struct buffer *out) {
    int64_t mono_ms = clock_mono_ms();
    buffer_appendf(out, "role:%s\r\n", role.replica ? "slave" : "master");
    if (role.replica) link_info(out, mono_ms);
    buffer_appendf(out, "connected_slaves:%u\r\n", replication_replicas());
    if (!role.replica && settings.min_replicas_to_write && settings.min_replicas_max_lag)
        buffer_appendf(out, "min_slaves_good_slaves:%u\r\n", __atomic_load_n(&role.good_replicas, __ATOMIC_RELAXED));
    replicas_info(out, mono_ms);
    bool active = journal_active(replication.journal);
    uint64_t end = replication_offset(), start = journal_start(replication.journal);
    buffer_appendf(out,
                   "master_failover_state:no-failover\r\nmaster_replid:%s\r\nmaster_replid2:%s\r\n"
                   "master_repl_offset:%llu\r\nsecond_repl_offset:%lld\r\nrepl_backlog_active:%d\r\n"
                   "repl_backlog_size:%llu\r\nrepl_backlog_first_byte_offset:%llu\r\nrepl_backlog_histlen:%llu\r\n",
                   replication.names.id, replication.names.second, (unsigned long long)end,
                   (long long)replication.names.second_offset, active,
                   (unsigned long long)replication_settings.backlog_size,
                   (unsigned long long)(active ? start + 1 : 0), (unsigned long long)(active ? end - start : 0));
}

bool replication_primary(const char **host, uint16_t *port) {
    *host = link_host();
    *port = link_port();
    return link_exists();
}

void replication_counts(struct replication_counts *counts) {
    *counts = (struct replication_counts){replication.full_syncs, replication.partial_syncs, replication.refused_syncs};
}
