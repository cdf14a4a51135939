// The commands of replication: REPLICAOF SLAVEOF ROLE PSYNC SYNC REPLCONF WAIT.
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "os/clock.h"
#include "replication/replication_private.h"

static void replicaof(struct call *call) {
    int64_t port;
    if (settings.cluster_enabled) {
        reply_error(call->reply, "ERR REPLICAOF not allowed in cluster mode.");
        return;
    }
    if (bytes_is(call->argv[1], "no") && bytes_is(call->argv[2], "one")) {
        if (role.replica) log_write(LOG_NOTICE, "PRIMARY MODE enabled (user request from '%s')", call->session->address);
        replication_unfollow();
        reply_ok(call->reply);
        return;
    }
    if (!number_parse(call->argv[2], &port) || port < 0 || port > 65535) {
        reply_error(call->reply, "ERR Invalid master port");
        return;
    }
    char *host = bytes_to_string(call->argv[1]);
    if (link_exists() && strcmp(link_host(), host) == 0 && link_port() == port) {
        reply_simple(call->reply, "OK Already connected to specified master");
    } else {
        replication_follow(host, (uint16_t)port);
        reply_ok(call->reply);
    }
    mem_free(host);
}

static void role_of_replica(struct call *call) {
    reply_array(call->reply, 5);
    reply_bulk_string(call->reply, "slave");
    reply_bulk_string(call->reply, link_host());
    reply_integer(call->reply, link_port());
    reply_bulk_string(call->reply, link_state_name());
    reply_integer(call->reply, __atomic_load_n(&role.primary_link_up, __ATOMIC_RELAXED) ? (int64_t)replication_offset() : -1);
}

static void role_command(struct call *call) {
    if (role.replica) {
        role_of_replica(call);
        return;
    }
    reply_array(call->reply, 3);
    reply_bulk_string(call->reply, "master");
    reply_integer(call->reply, (int64_t)replication_offset());
    size_t place = reply_array_begin(call->reply), count = 0;
    lock_acquire(&replication.replicas_lock);
    LIST_EACH(node, &replication.replicas) {
        const struct replica *replica = LIST_ENTRY(node, struct replica, node);
        if (atomic_load(&replica->state) != REPLICA_FOLLOWS) continue;
        reply_array(call->reply, 3);
        reply_bulk_string(call->reply, replica->address);
        reply_bulk_integer(call->reply, replica->listening_port);
        reply_bulk_integer(call->reply, (int64_t)atomic_load(&replica->acknowledged));
        count++;
    }
    lock_release(&replication.replicas_lock);
    reply_array_end(call->reply, place, count);
}

// The primary gives us its place (FAILOVER of Redis) and asks for the stream in the same breath. False: an error was replied.
static bool take_place_of_primary(struct call *call) {
    char id[REPLICATION_ID_SIZE + 1], former[REPLICATION_ID_SIZE + 1];
    int64_t former_end;
    if (!role.replica || settings.cluster_enabled) {
        reply_error(call->reply, "ERR PSYNC FAILOVER can't be sent to a master.");
        return false;
    }
    replication_ids(id, former, &former_end);
    if (!bytes_is(call->argv[1], id)) {
        reply_error(call->reply, "ERR PSYNC FAILOVER replid must match my replid.");
        return false;
    }
    replication_unfollow();
    log_write(LOG_NOTICE, "PRIMARY MODE enabled (failover request from '%s')", call->session->address);
    return true;
}

static void psync(struct call *call) {
    int64_t offset;
    if (call->in_exec || call->session->kind != SESSION_NORMAL) return;
    if (call->argc > 3 && bytes_is(call->argv[3], "failover") && !take_place_of_primary(call)) return;
    if (!number_parse(call->argv[2], &offset)) {
        reply_error(call->reply, "ERR value is not an integer or out of range");
        return;
    }
    replica_sync(call, replica_of(call->session), call->argv[1], offset);
}

// The old handshake: no id, no going on; `redis-cli --rdb` still speaks it.
static void sync_command(struct call *call) {
    if (call->in_exec || call->session->kind != SESSION_NORMAL) return;
    replica_sync_plain(call, replica_of(call->session));
}

// A replica tells how far it has come; a client that is none is not answered either.
static void took_acknowledgement(struct call *call) {
    struct replica *replica = call->session->replica;
    uint64_t offset;
    if (!replica || call->session->kind != SESSION_REPLICA || call->argc < 3) return;
    if (!number_parse_unsigned(call->argv[2], &offset)) return;
    if (offset > atomic_load(&replica->acknowledged)) atomic_store(&replica->acknowledged, offset);
    atomic_store(&replica->heard_ms, call_dispatcher(call)->mono_ms);
    wait_check();
}

static bool set_option(struct call *call, struct replica *replica, struct bytes option, struct bytes value) {
    int64_t port;
    if (bytes_is(option, "listening-port")) {
        if (!call_integer(call, value, &port)) return false;
        replica->listening_port = (unsigned)port;
    } else if (bytes_is(option, "ip-address")) {
        if (value.size >= sizeof replica->address) {
            reply_errorf(call->reply, "ERR REPLCONF ip-address provided by replica instance is too long: %zu bytes",
                         value.size);
            return false;
        }
        memcpy(replica->address, value.data, value.size);
        replica->address[value.size] = '\0';
    } else if (bytes_is(option, "capa")) {
        if (bytes_is(value, "eof")) replica->understands_eof = true;
        if (bytes_is(value, "psync2")) replica->understands_psync2 = true;
    } else if (bytes_is(option, "rdb-only")) {
        int64_t on;
        if (!call_integer(call, value, &on)) return false;
        if (on < 0 || on > 1) {
            reply_error(call->reply, "ERR value is out of range, value must between 0 and 1");
            return false;
        }
        replica->rdb_only = on;
    } else if (!bytes_is(option, "version")) {
        int shown = option.size > 128 ? 128 : (int)option.size;
        reply_errorf(call->reply, "ERR Unrecognized REPLCONF option: %.*s", shown, option.data);
        return false;
    }
    return true;
}

static void replconf(struct call *call) {
    if (call->argc % 2 == 0) {
        call_syntax_error(call);
        return;
    }
    if (call->argc > 1 && bytes_is(call->argv[1], "ack")) {
        took_acknowledgement(call);
        return;
    }
    if (call->argc > 1 && bytes_is(call->argv[1], "getack")) return; // the link answers it
    if (call->session->kind == SESSION_PRIMARY) return;
    struct replica *replica = replica_of(call->session);
    for (int i = 1; i + 1 < call->argc; i += 2)
        if (!set_option(call, replica, call->argv[i], call->argv[i + 1])) return;
    reply_ok(call->reply);
}

const struct command replication_commands[] = {
    {.name = "replicaof",
     .run = replicaof,
     .arity = 3,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE | CMD_NO_ASYNC_LOADING,
     .admission = ADMIT_EXCLUSIVE},
    {.name = "slaveof",
     .run = replicaof,
     .arity = 3,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE | CMD_NO_ASYNC_LOADING,
     .admission = ADMIT_EXCLUSIVE},
    {.name = "role",
     .run = role_command,
     .arity = 1,
     .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST,
     .admission = ADMIT_EXCLUSIVE, // the link is worker 0's, the replicas' addresses their workers'
     .categories = CAT_ADMIN | CAT_DANGEROUS},
    {.name = "psync",
     .run = psync,
     .arity = -3,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_MULTI | CMD_NO_ASYNC_LOADING,
     .admission = ADMIT_EXCLUSIVE},
    {.name = "sync",
     .run = sync_command,
     .arity = 1,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_MULTI | CMD_NO_ASYNC_LOADING,
     .admission = ADMIT_EXCLUSIVE},
    {.name = "replconf",
     .run = replconf,
     .arity = -1,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_ALLOW_BUSY},
    {.name = "wait", .run = wait_command, .arity = 3, .flags = CMD_NOSCRIPT, .categories = CAT_CONNECTION},
    {.name = NULL},
};
