// CLUSTER and its subcommands. What concerns keys is answered by the worker in place; the rest goes to the bus thread.
#include "base/hash.h"
#include "bus/bus_private.h"
#include "bus/slot_stats.h"
#include "keyspace/slot_lock.h"

static bool enabled(struct call *call) {
    if (settings.cluster_enabled) return true;
    reply_error(call->reply, "ERR This instance has cluster support disabled");
    return false;
}

static void ask_bus(struct call *call) {
    if (enabled(call)) orders_submit(call);
}

static void keyslot(struct call *call) {
    if (enabled(call)) reply_integer(call->reply, hash_slot(call->argv[2]));
}

static bool slot_argument(struct call *call, unsigned *slot) {
    int64_t number;
    if (!call_integer(call, call->argv[2], &number)) return false;
    if (number < 0 || number >= HASH_SLOTS) {
        reply_error(call->reply, "ERR Invalid slot");
        return false;
    }
    *slot = (unsigned)number;
    return true;
}

// The databases that a client means which asks for the keys of a slot. As in Valkey it is the one that it has selected.
// But tools that know of database 0 only must not take a slot for empty, and give it away with what the other databases
// hold: who has never said SELECT is told of those, too.
static bool means_all_databases(const struct call *call) {
    return !call->session->has_selected && call->db == 0;
}

static void countkeysinslot(struct call *call) {
    unsigned slot;
    if (!enabled(call) || !slot_argument(call, &slot)) return;
    size_t count = means_all_databases(call) ? keyspace_slot_count(call->keyspace, slot)
                                             : keyspace_slot_count_in(call->keyspace, call->db, slot);
    reply_integer(call->reply, (int64_t)count);
}

struct key_list {
    struct reply *reply;
    int64_t left;
    size_t count;
};

static bool list_key(void *context, struct entry *entry) {
    struct key_list *list = context;
    if (list->left-- == 0) return false;
    reply_bulk(list->reply, entry_key(entry));
    list->count++;
    return true;
}

static void list_keys(struct call *call, unsigned slot, int64_t limit) {
    struct key_list list = {.reply = call->reply, .left = limit};
    size_t place = reply_array_begin(call->reply);
    keyspace_slot_each(call->keyspace, call->db, slot, list_key, &list);
    reply_array_end(call->reply, place, list.count);
}

static bool has_keys_elsewhere_only(const struct call *call, unsigned slot) {
    return !keyspace_slot_count_in(call->keyspace, call->db, slot) && keyspace_slot_count(call->keyspace, slot);
}

static void getkeysinslot(struct call *call) {
    int64_t number, limit;
    if (!enabled(call)) return;
    if (!call_integer(call, call->argv[2], &number) || !call_integer(call, call->argv[3], &limit)) return;
    if (number < 0 || number >= HASH_SLOTS || limit < 0) {
        reply_error(call->reply, "ERR Invalid slot or number of keys");
        return;
    }
    unsigned slot = (unsigned)number;
    if (!call->exclusive) slot_lock(call->keyspace, slot);
    if (means_all_databases(call) && has_keys_elsewhere_only(call, slot))
        reply_errorf(call->reply, "ERR Hash slot %u has no keys in database 0, but in others: SELECT one first", slot);
    else
        list_keys(call, slot, limit);
    if (!call->exclusive) slot_unlock(call->keyspace, slot);
}

static void slot_stats(struct call *call) {
    if (enabled(call)) cluster_slot_stats(call);
}

static void help(struct call *call) {
    static const char *const lines[] = {
        "ADDSLOTS <slot> [<slot> ...]",
        "    Assign slots to this node.",
        "ADDSLOTSRANGE <start slot> <end slot> [<start slot> <end slot> ...]",
        "    Assign ranges of slots to this node.",
        "BUMPEPOCH",
        "    Give this node the greatest configuration epoch.",
        "COUNT-FAILURE-REPORTS <node-id>",
        "    How many primaries report the node as failing.",
        "COUNTKEYSINSLOT <slot>",
        "    How many keys of the slot are here.",
        "DELSLOTS <slot> [<slot> ...]",
        "    Forget who owns the slots.",
        "DELSLOTSRANGE <start slot> <end slot> [<start slot> <end slot> ...]",
        "    Forget who owns the ranges of slots.",
        "FAILOVER [FORCE|TAKEOVER]",
        "    Put this replica in its primary's place.",
        "FLUSHSLOTS",
        "    Forget all slots of this node.",
        "FORGET <node-id>",
        "    Remove a node from the cluster.",
        "GETKEYSINSLOT <slot> <count>",
        "    Names of up to <count> keys of the slot.",
        "INFO",
        "    The state of the cluster as this node sees it.",
        "KEYSLOT <key>",
        "    The slot of the key.",
        "LINKS",
        "    The links of this node's cluster bus.",
        "MEET <ip> <port> [<bus-port>]",
        "    Bring another node into the cluster.",
        "MYID",
        "    This node's id.",
        "MYSHARDID",
        "    The id of this node's shard.",
        "NODES",
        "    The nodes of the cluster, a line each.",
        "REPLICAS <node-id>",
        "    The replicas of a primary.",
        "REPLICATE <node-id>",
        "    Make this node a replica of the primary.",
        "RESET [HARD|SOFT]",
        "    Leave the cluster (default: soft).",
        "SAVECONFIG",
        "    Save the cluster's configuration to disk.",
        "SET-CONFIG-EPOCH <epoch>",
        "    Set the configuration epoch of a new node.",
        "SETSLOT <slot> (IMPORTING <node-id>|MIGRATING <node-id>|STABLE|NODE <node-id>)",
        "    Set a slot's state.",
        "SHARDS",
        "    The shards with their slots and nodes.",
        "SLOT-STATS (SLOTSRANGE <start slot> <end slot>|ORDERBY <metric> [LIMIT <limit>] [ASC|DESC])",
        "    What this shard's slots hold and cost: key-count, and with cluster-slot-stats-enabled",
        "    cpu-usec, network-bytes-in and network-bytes-out.",
        "SLOTS",
        "    Ranges of slots with their nodes.",
        NULL};
    if (enabled(call)) call_reply_help(call, lines);
}

// Asked one after the other, their answers come in the same order.
#define ANSWERED_BY_BUS (CMD_DEFERS | CMD_PIPELINES)

#define READING(title, places) {.name = title, .run = ask_bus, .arity = places, .flags = CMD_LOADING | CMD_STALE | ANSWERED_BY_BUS}
#define CHANGING(title, places)                                                                               \
    {.name = title, .run = ask_bus, .arity = places, .flags = CMD_ADMIN | CMD_STALE | CMD_NO_ASYNC_LOADING | ANSWERED_BY_BUS}

static const struct command subcommands[] = {
    CHANGING("addslots", -3),
    CHANGING("addslotsrange", -4),
    CHANGING("bumpepoch", 2),
    {.name = "count-failure-reports", .run = ask_bus, .arity = 3, .flags = CMD_ADMIN | CMD_STALE | ANSWERED_BY_BUS},
    {.name = "countkeysinslot", .run = countkeysinslot, .arity = 3, .flags = CMD_STALE},
    CHANGING("delslots", -3),
    CHANGING("delslotsrange", -4),
    CHANGING("failover", -2),
    CHANGING("flushslots", 2),
    CHANGING("forget", 3),
    {.name = "getkeysinslot", .run = getkeysinslot, .arity = 4, .flags = CMD_STALE},
    {.name = "help", .run = help, .arity = 2, .flags = CMD_LOADING | CMD_STALE},
    {.name = "info", .run = ask_bus, .arity = 2, .flags = CMD_STALE | ANSWERED_BY_BUS},
    {.name = "keyslot", .run = keyslot, .arity = 3, .flags = CMD_STALE},
    {.name = "links", .run = ask_bus, .arity = 2, .flags = CMD_STALE | ANSWERED_BY_BUS},
    CHANGING("meet", -4),
    {.name = "myid", .run = ask_bus, .arity = 2, .flags = CMD_STALE | ANSWERED_BY_BUS},
    READING("myshardid", 2),
    {.name = "nodes", .run = ask_bus, .arity = 2, .flags = CMD_STALE | ANSWERED_BY_BUS},
    {.name = "replicas", .run = ask_bus, .arity = 3, .flags = CMD_ADMIN | CMD_STALE | ANSWERED_BY_BUS},
    CHANGING("replicate", 3),
    {.name = "reset", .run = ask_bus, .arity = -2, .flags = CMD_ADMIN | CMD_STALE | CMD_NOSCRIPT | ANSWERED_BY_BUS},
    CHANGING("saveconfig", 2),
    CHANGING("set-config-epoch", 3),
    CHANGING("setslot", -4),
    READING("shards", 2),
    {.name = "slaves", .run = ask_bus, .arity = 3, .flags = CMD_ADMIN | CMD_STALE | ANSWERED_BY_BUS},
    {.name = "slot-stats", .run = slot_stats, .arity = -4, .flags = CMD_LOADING | CMD_STALE},
    READING("slots", 2),
    {.name = NULL},
};

const struct command bus_commands[] = {
    {.name = "cluster", .arity = -2, .subcommands = subcommands},
    {.name = NULL},
};
