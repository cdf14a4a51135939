#include "call/call.h"
#include "commands/common.h"
#include "commands/keys.h"
#include "commands/tables.h"
#include "keyspace/access.h"

enum {
    SHARED_INTEGERS = 10000,        // Redis keeps one object for each integer below this ...
    SHARED_REFERENCES = 2147483647, // ... and says that it has this many references
};

// The entry of OBJECT's key; NULL, with null replied, when there is none.
static struct entry *look_at(struct call *call) {
    struct entry *entry = lookup_untouched(call, call->argv[2]);
    if (!entry) reply_null(call->reply);
    return entry;
}

static bool policy_is_lfu(void) {
    return settings.maxmemory_policy == POLICY_ALLKEYS_LFU ||
           settings.maxmemory_policy == POLICY_VOLATILE_LFU;
}

static bool policy_is_lru(void) {
    return settings.maxmemory_policy == POLICY_ALLKEYS_LRU ||
           settings.maxmemory_policy == POLICY_VOLATILE_LRU;
}

void object_encoding(struct call *call) {
    struct entry *entry = look_at(call);
    if (entry) reply_bulk_string(call->reply, entry_encoding_name(entry));
}

void object_freq(struct call *call) {
    struct entry *entry = look_at(call);
    if (!entry) return;
    if (!policy_is_lfu()) {
        reply_error(call->reply,
                    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note "
                    "that when "
                    "switching between policies at runtime LRU and LFU data will take some time to adjust.");
        return;
    }
    reply_integer(call->reply, access_frequency(keyspace_access(call->keyspace), entry, call->now_ms));
}

void object_idletime(struct call *call) {
    struct entry *entry = look_at(call);
    if (!entry) return;
    if (policy_is_lfu()) {
        reply_error(
            call->reply,
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching "
            "between policies at runtime LRU and LFU data will take some time to adjust.");
        return;
    }
    reply_integer(call->reply, access_idle_seconds(entry, call->now_ms));
}

void object_refcount(struct call *call) {
    struct entry *entry = look_at(call);
    if (!entry) return;
    bool shares = !settings.maxmemory || !(policy_is_lfu() || policy_is_lru());
    bool shared = shares && entry->encoding == ENCODING_INTEGER && entry_integer(entry) >= 0 &&
                  entry_integer(entry) < SHARED_INTEGERS;
    reply_integer(call->reply, shared ? SHARED_REFERENCES : 1);
}

void object_help(struct call *call) {
    static const char *const lines[] = {
        "ENCODING <key>",
        "    Return the kind of internal representation used in order to store the value",
        "    associated with a <key>.",
        "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned integer is",
        "    proportional to the logarithm of the recent access frequency of the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with the specified",
        "    <key>.",
        NULL,
    };
    call_reply_help(call, lines);
}

void memory_usage(struct call *call) {
    for (int i = 3; i < call->argc; i += 2) {
        int64_t samples;
        if (!bytes_is(call->argv[i], "samples") || i + 1 == call->argc) {
            call_syntax_error(call);
            return;
        }
        if (!call_integer(call, call->argv[i + 1], &samples)) return;
        if (samples < 0) {
            call_syntax_error(call);
            return;
        }
    }
    struct entry *entry = look_at(call);
    if (!entry) return;
    // A string has nothing to sample: its bytes, and its place in the table's bucket.
    reply_integer(call->reply, (int64_t)(entry_memory(entry) + sizeof(uint64_t)));
}
