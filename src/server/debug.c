// DEBUG: what testers ask of a server. What looks at keys or changes the server takes it exclusively; SLEEP holds up its own
// worker only.
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "call/call.h"
#include "call/dispatch.h"
#include "codec/dump.h"
#include "keyspace/access.h"
#include "os/clock.h"
#include "replication/replication.h"
#include "server/admin.h"
#include "server/config.h"
#include "server/crash.h"
#include "server/cron.h"
#include "server/debug_digest.h"
#include "server/saving.h"

enum { POPULATED_SIZE_MAX = 512 * 1024 * 1024 };

static struct entry *find_key(struct call *call, struct bytes key) {
    struct entry *entry = keyspace_find(call->keyspace, call->db, hash_slot(key), hash_bytes(key.data, key.size), key);
    if (!entry) reply_error(call->reply, "ERR no such key");
    return entry;
}

static size_t serialized_size(const struct entry *entry) {
    char scratch[NUMBER_TEXT_MAX];
    struct codec_value value = entry->encoding == ENCODING_INTEGER ? codec_integer(entry_integer(entry))
                                                                   : codec_string(entry_string(entry, scratch));
    struct buffer payload = BUFFER_EMPTY;
    dump_append(&payload, &value, &RDB_FORMAT_DEFAULT);
    size_t size = payload.size > DUMP_FOOTER_SIZE + 1 ? payload.size - DUMP_FOOTER_SIZE - 1 : 0; // without type and footer
    buffer_free(&payload);
    return size;
}

static void debug_object(struct call *call) {
    struct entry *entry = find_key(call, call->argv[2]);
    if (!entry) return;
    char line[256];
    snprintf(line, sizeof line,
             "Value at:%p refcount:1 encoding:%s serializedlength:%zu lru:%u lru_seconds_idle:%" PRId64, (void *)entry,
             entry_encoding_name(entry), serialized_size(entry), (unsigned)entry->access,
             access_idle_seconds(entry, call->now_ms));
    reply_simple(call->reply, line);
}

static void debug_sdslen(struct call *call) {
    struct entry *entry = find_key(call, call->argv[2]);
    if (!entry) return;
    if (entry->encoding == ENCODING_INTEGER) {
        reply_error(call->reply, "ERR Not an sds encoded string.");
        return;
    }
    char line[160];
    size_t size = entry_string_size(entry), memory = entry_memory(entry);
    snprintf(line, sizeof line, "key_sds_len:%u, key_sds_avail:0, key_zmalloc: %zu, val_sds_len:%zu, val_sds_avail:0, "
                                "val_zmalloc: %zu", entry->key_size, memory, size, memory);
    reply_simple(call->reply, line);
}

// --- Sleeping and ending.

enum { NAP_US = 5000 }; // after each it says that it takes long

static void debug_sleep(struct call *call) {
    char *text = bytes_to_string(call->argv[2]);
    double seconds = strtod(text, NULL);
    mem_free(text);
    if (isfinite(seconds) && seconds > 0) {
        int64_t until = clock_mono_us() + (int64_t)(seconds * 1e6), left;
        while ((left = until - clock_mono_us()) > 0) { // a signal may end one nap early
            clock_sleep_us(left < NAP_US ? left : NAP_US);
            call_lingers(call);
        }
    }
    reply_ok(call->reply);
}

static void debug_segfault(struct call *call) {
    raise(SIGSEGV);
}

static void debug_panic(struct call *call) {
    crash_now("called by the user at DEBUG PANIC");
}

static void debug_assert(struct call *call) {
    crash_now("ASSERTION FAILED: asked for by DEBUG ASSERT");
}

static void debug_oom(struct call *call) {
    crash_now("out of memory, as DEBUG OOM asked");
}

// --- Saying.

static void debug_error(struct call *call) {
    char *text = bytes_to_string(call->argv[2]);
    reply_error(call->reply, text);
    mem_free(text);
}

static void debug_log(struct call *call) {
    log_write(LOG_WARNING, "DEBUG LOG: %.*s", (int)call->argv[2].size, call->argv[2].data);
    reply_ok(call->reply);
}

// --- Replies of every kind.

static void reply_numbers(struct reply *reply) {
    for (int i = 0; i < 3; i++)
        reply_integer(reply, i);
}

static bool reply_plain_kind(struct reply *reply, struct bytes kind) {
    if (bytes_is(kind, "string")) reply_bulk_string(reply, "Hello World");
    else if (bytes_is(kind, "integer")) reply_integer(reply, 12345);
    else if (bytes_is(kind, "double")) reply_double(reply, 3.141);
    else if (bytes_is(kind, "null")) reply_null(reply);
    else if (bytes_is(kind, "true")) reply_bool(reply, true);
    else if (bytes_is(kind, "false")) reply_bool(reply, false);
    else if (bytes_is(kind, "verbatim")) reply_verbatim(reply, "txt", BYTES("This is a verbatim\nstring"));
    else return false;
    return true;
}

static bool reply_aggregate_kind(struct reply *reply, struct bytes kind) {
    if (bytes_is(kind, "array")) {
        reply_array(reply, 3);
        reply_numbers(reply);
    } else if (bytes_is(kind, "set")) {
        reply_set(reply, 3);
        reply_numbers(reply);
    } else if (bytes_is(kind, "map")) {
        reply_map(reply, 3);
        for (int i = 0; i < 3; i++) {
            reply_integer(reply, i);
            reply_bool(reply, i == 1);
        }
    } else {
        return false;
    }
    return true;
}

static void reply_attribute(struct reply *reply) {
    if (reply->protocol >= 3) {
        reply_raw(reply, BYTES("|1\r\n"));
        reply_bulk_string(reply, "key-popularity");
        reply_array(reply, 2);
        reply_bulk_string(reply, "key:123");
        reply_integer(reply, 90);
    }
    reply_bulk_string(reply, "Some real reply following the attribute");
}

static void reply_pushed(struct reply *reply) {
    if (reply->protocol < 3) {
        reply_error(reply, "ERR RESP2 is not supported by this command");
        return;
    }
    reply_push(reply, 2);
    reply_bulk_string(reply, "server-cpu-usage");
    reply_integer(reply, 42);
    reply_bulk_string(reply, "Some real reply following the push reply");
}

static void debug_protocol(struct call *call) {
    struct reply *reply = call->reply;
    struct bytes kind = call->argv[2];
    if (reply_plain_kind(reply, kind) || reply_aggregate_kind(reply, kind)) return;
    if (bytes_is(kind, "bignum")) {
        if (reply->protocol >= 3) reply_raw(reply, BYTES("(1234567999999999999999999999999999999\r\n"));
        else reply_bulk_string(reply, "1234567999999999999999999999999999999");
    } else if (bytes_is(kind, "attrib")) {
        reply_attribute(reply);
    } else if (bytes_is(kind, "push")) {
        reply_pushed(reply);
    } else {
        reply_error(reply, "ERR Wrong protocol type name. Please use one of the following: "
                           "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false");
    }
}

// --- Keys.

static bool populate_one(struct call *call, struct bytes prefix, int64_t number, struct buffer *value, int64_t size) {
    struct buffer key = BUFFER_EMPTY;
    buffer_appendf(&key, "%.*s:%" PRId64, (int)prefix.size, prefix.data, number);
    struct bytes name = buffer_bytes(&key);
    uint64_t hash = hash_bytes(name.data, name.size);
    unsigned slot = hash_slot(name);
    bool fine = true;
    if (!keyspace_find(call->keyspace, call->db, slot, hash, name)) {
        value->size = 0;
        buffer_appendf(value, "value:%" PRId64, number);
        if (size >= 0) {
            size_t before = value->size;
            if (before < (size_t)size) memset(buffer_extend(value, (size_t)size - before), 0, (size_t)size - before);
            value->size = (size_t)size;
        }
        fine = keyspace_set_string(call->keyspace, call->db, slot, hash, name, buffer_bytes(value), NO_EXPIRY,
                                   call->now_ms) != NULL;
        if (fine) keyspace_touched(call->keyspace, call->db, slot, name);
    }
    buffer_free(&key);
    return fine;
}

static void debug_populate(struct call *call) {
    int64_t count, size = -1;
    struct bytes prefix = call->argc > 3 ? call->argv[3] : BYTES("key");
    if (!number_parse(call->argv[2], &count) || count < 0 ||
        (call->argc > 4 && (!number_parse(call->argv[4], &size) || size < 0 || size > POPULATED_SIZE_MAX))) {
        reply_error(call->reply, "ERR value is out of range, must be positive");
        return;
    }
    struct buffer value = BUFFER_EMPTY;
    bool fine = true;
    for (int64_t i = 0; fine && i < count; i++)
        fine = populate_one(call, prefix, i, &value, size);
    buffer_free(&value);
    if (fine)
        reply_ok(call->reply);
    else
        reply_error(call->reply, "OOM command not allowed: no memory for the value");
}

static void debug_reload(struct call *call) {
    bool save = true, flush = true, merge = false;
    for (int i = 2; i < call->argc; i++) {
        if (bytes_is(call->argv[i], "nosave")) {
            save = false;
        } else if (bytes_is(call->argv[i], "noflush")) {
            flush = false;
        } else if (bytes_is(call->argv[i], "merge")) {
            merge = true;
        } else {
            reply_error(call->reply, "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
            return;
        }
    }
    if (role.loading) { // a snapshot of the half that is here would take the place of the whole
        reply_error(call->reply, "LOADING Redis is loading the dataset in memory");
        return;
    }
    struct buffer error = BUFFER_EMPTY;
    if (save && !saving_now(call_dispatcher(call))) {
        reply_error(call->reply, "ERR");
    } else if (!saving_reload(call_dispatcher(call), flush, merge, &error)) {
        reply_errorf(call->reply, "ERR Error trying to load the RDB dump: %s", buffer_string(&error));
    } else {
        log_write(LOG_WARNING, "DB reloaded by DEBUG RELOAD");
        reply_ok(call->reply);
    }
    buffer_free(&error);
}

static void debug_digest(struct call *call) {
    char text[DIGEST_TEXT_SIZE + 1];
    digest_keyspace(call->keyspace, text);
    reply_simple(call->reply, text);
}

static void debug_digest_value(struct call *call) {
    reply_array(call->reply, (size_t)call->argc - 2);
    for (int i = 2; i < call->argc; i++) {
        struct bytes key = call->argv[i];
        char text[DIGEST_TEXT_SIZE + 1];
        digest_value(keyspace_find(call->keyspace, call->db, hash_slot(key), hash_bytes(key.data, key.size), key), text);
        reply_simple(call->reply, text);
    }
}

static void debug_htstats(struct call *call) {
    int64_t db;
    if (!call_integer(call, call->argv[2], &db)) return;
    if (db < 0 || db >= (int64_t)keyspace_databases(call->keyspace)) {
        reply_error(call->reply, "ERR Out of range database");
        return;
    }
    size_t used_slots = 0, largest = 0;
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++) {
        size_t count = keyspace_slot_count_in(call->keyspace, (unsigned)db, slot);
        used_slots += count != 0;
        if (count > largest) largest = count;
    }
    struct buffer text = BUFFER_EMPTY;
    buffer_appendf(&text,
                   "[Slots' tables]\n slots with keys: %zu\n number of elements: %zu\n of them with an expiry: %zu\n"
                   " keys of the largest slot: %zu\n bytes in tables: %zu\n",
                   used_slots, keyspace_count(call->keyspace, (unsigned)db),
                   keyspace_count_expiring(call->keyspace, (unsigned)db), largest,
                   keyspace_table_memory(call->keyspace, (unsigned)db));
    reply_verbatim(call->reply, "txt", buffer_bytes(&text));
    buffer_free(&text);
}

// --- Switches.

static void debug_set_active_expire(struct call *call) {
    role.active_expire = !bytes_equal(call->argv[2], BYTES("0"));
    reply_ok(call->reply);
}

static void debug_pause_cron(struct call *call) {
    int64_t pause;
    cron_pause(number_parse(call->argv[2], &pause) && pause != 0);
    reply_ok(call->reply);
}

static void debug_change_repl_id(struct call *call) {
    log_write(LOG_WARNING, "Changing replication IDs after receiving change-repl-id");
    replication_change_id();
    reply_ok(call->reply);
}

// Knobs of types that are not here: they turn nothing, as they would with no such key.
static void debug_accepted(struct call *call) {
    reply_ok(call->reply);
}

static void debug_structsize(struct call *call) {
    char line[160];
    snprintf(line, sizeof line, "bits:%zu entry:%d session:%zu call:%zu", sizeof(void *) * 8, ENTRY_HEADER_SIZE,
             sizeof(struct session), sizeof(struct call));
    reply_simple(call->reply, line);
}

static void debug_help(struct call *call) {
    static const char *const lines[] = {
        "ASSERT",
        "    Crash by assertion failed.",
        "CHANGE-REPL-ID",
        "    Change the replication IDs of the instance.",
        "    Dangerous: should be used only for testing the replication subsystem.",
        "DIGEST",
        "    Output a hex signature representing the current DB content.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    Output a hex signature of the values of all the specified keys.",
        "ERROR <string>",
        "    Return a Redis protocol error with <string> as message. Useful for clients",
        "    unit tests to simulate Redis errors.",
        "HTSTATS <dbid>",
        "    Return hash table statistics of the specified database.",
        "LOG <message>",
        "    Write <message> to the server log.",
        "OBJECT <key>",
        "    Show low level info about `key` and associated value.",
        "OOM",
        "    Crash the server simulating an out-of-memory error.",
        "PANIC",
        "    Crash the server simulating a panic.",
        "PAUSE-CRON <0|1>",
        "    Stop periodic cron job processing.",
        "POPULATE <count> [<prefix>] [<size>]",
        "    Create <count> string keys named key:<num>. If <prefix> is specified then",
        "    it is used instead of the 'key' prefix. These are not propagated to",
        "    replicas. Cluster slots are not respected so keys not belonging to the",
        "    current node can be created in cluster mode.",
        "PROTOCOL <type>",
        "    Reply with a test value of the specified type. <type> can be: string,",
        "    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
        "    true, false.",
        "QUICKLIST-PACKED-THRESHOLD <size>",
        "    Accepted; there are no lists in this version.",
        "RELOAD [option ...]",
        "    Save the RDB on disk and reload it back to memory. Valid <option> values:",
        "    * NOFLUSH: the existing database will not be removed before load.",
        "    * NOSAVE: the database will be loaded from an existing RDB file.",
        "SDSLEN <key>",
        "    Show low level string info representing `key` and value.",
        "SEGFAULT",
        "    Crash the server with sigsegv.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Setting it to 0 disables expiring keys in background when they are not",
        "    accessed (otherwise the Redis behavior). Setting it to 1 reenables back the",
        "    default.",
        "SET-DISABLE-DENY-SCRIPTS <0|1>",
        "    Accepted; there are no scripts in this version.",
        "SLEEP <seconds>",
        "    Stop the worker that serves this client for <seconds>. Decimals allowed.",
        "STRUCTSIZE",
        "    Return the size of different core C structures.",
        NULL};
    call_reply_help(call, lines);
}

// --- The command.

static const struct {
    const char *name;
    command_run *run;
    int min, max; // arguments after the subcommand's name
    bool exclusive;
} subcommands[] = {
    {"assert", debug_assert, 0, 0, false},
    {"change-repl-id", debug_change_repl_id, 0, 0, true},
    {"digest", debug_digest, 0, 0, true},
    {"digest-value", debug_digest_value, 0, INT32_MAX, true},
    {"error", debug_error, 1, 1, false},
    {"help", debug_help, 0, 0, false},
    {"htstats", debug_htstats, 1, 2, true},
    {"log", debug_log, 1, 1, false},
    {"object", debug_object, 1, 2, true},
    {"oom", debug_oom, 0, 0, false},
    {"panic", debug_panic, 0, 0, false},
    {"pause-cron", debug_pause_cron, 1, 1, true},
    {"populate", debug_populate, 1, 3, true},
    {"protocol", debug_protocol, 1, 1, false},
    {"quicklist-packed-threshold", debug_accepted, 1, 1, false},
    {"reload", debug_reload, 0, INT32_MAX, true},
    {"sdslen", debug_sdslen, 1, 1, true},
    {"segfault", debug_segfault, 0, 0, false},
    {"set-active-expire", debug_set_active_expire, 1, 1, true},
    {"set-disable-deny-scripts", debug_accepted, 1, 1, false},
    {"sleep", debug_sleep, 1, 1, false},
    {"structsize", debug_structsize, 0, 0, false},
};

static void run_exclusively(struct call *call, command_run *run) {
    struct dispatcher *dispatcher = call_dispatcher(call);
    if (call->exclusive) {
        run(call);
        return;
    }
    dispatch_begin_exclusive(dispatcher);
    call->exclusive = true;
    run(call);
    call->exclusive = false;
    dispatch_end_exclusive(dispatcher);
    dispatcher->held = true; // as dispatch left it
}

static bool is_allowed(const struct call *call) {
    if (config.enable_debug == PROTECTION_LOCAL) return is_local_client(call->session);
    return config.enable_debug == PROTECTION_YES;
}

static void debug(struct call *call) {
    if (!is_allowed(call)) {
        reply_error(call->reply, "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", "
                                 "you can run it from a local connection, otherwise you need to set this option in the "
                                 "configuration file, and then restart the server.");
        return;
    }
    for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++) {
        if (!bytes_is(call->argv[1], subcommands[i].name)) continue;
        if (call->argc - 2 < subcommands[i].min || call->argc - 2 > subcommands[i].max) break;
        if (subcommands[i].exclusive)
            run_exclusively(call, subcommands[i].run);
        else
            subcommands[i].run(call);
        return;
    }
    call_unknown_subcommand(call);
}

const struct command debug_commands[] = {
    {.name = "debug",
     .run = debug,
     .arity = -2,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE},
    {.name = NULL},
};
