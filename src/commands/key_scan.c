#include "base/glob.h"
#include "base/hash.h"
#include "base/prng.h"
#include "call/call.h"
#include "call/dispatch.h"
#include "commands/common.h"
#include "commands/keys.h"
#include "commands/scan_cursor.h"
#include "keyspace/slot_lock.h"

// These commands have no keys that would tell which slots to lock: they lock each slot while they look at it,
// unless all workers stand still anyway.
static void enter_slot(struct call *call, unsigned slot) {
    if (!call->exclusive) slot_lock(call->keyspace, slot);
}

// What expired is journaled before others may write the slot: their effects come after it.
static void leave_slot(struct call *call, unsigned slot) {
    if (call->exclusive) return;
    dispatch_flush_effects(call_dispatcher(call));
    slot_unlock(call->keyspace, slot);
}

static bool is_expired(const struct call *call, const struct entry *entry) {
    return entry->has_expiry && entry_expiry(entry) <= call->now_ms;
}

// --- KEYS

struct matching {
    struct call *call;
    struct bytes pattern;
    bool all;
    size_t count;
};

static bool reply_if_matching(void *context, struct entry *entry) {
    struct matching *matching = context;
    struct bytes key = entry_key(entry);
    if (is_expired(matching->call, entry)) return true;
    if (!matching->all && !glob_match(matching->pattern, key, false)) return true;
    reply_bulk(matching->call->reply, key);
    matching->count++;
    return true;
}

void key_keys(struct call *call) {
    struct bytes pattern = call->argv[1];
    struct matching matching = {call, pattern, bytes_equal(pattern, BYTES("*")), 0};
    int only = scan_pattern_slot(pattern);
    unsigned first = only < 0 ? 0 : (unsigned)only, last = only < 0 ? HASH_SLOTS - 1 : (unsigned)only;
    size_t place = reply_array_begin(call->reply);
    for (unsigned slot = first; slot <= last; slot++) {
        if (!keyspace_slot_count_in(call->keyspace, call->db, slot)) continue;
        call_lingers(call);
        enter_slot(call, slot);
        keyspace_slot_each(call->keyspace, call->db, slot, reply_if_matching, &matching);
        leave_slot(call, slot);
    }
    reply_array_end(call->reply, place, matching.count);
}

// --- SCAN

enum {
    SCAN_COUNT_DEFAULT = 10,
    SCAN_STEPS_PER_COUNT = 10, // buckets looked at for each key asked for, when most are empty
};

struct scan {
    struct call *call;
    bool matches, no_type; // MATCH is given; TYPE is given and there is no such type
    struct bytes pattern;
    int only_slot; // all that match live there, or -1
    int64_t count;
    struct buffer met; // struct entry *: what the last step met
    int64_t seen;
    size_t replied;
};

static bool parse_scan(struct call *call, struct scan *scan) {
    *scan = (struct scan){.call = call, .only_slot = -1, .count = SCAN_COUNT_DEFAULT};
    for (int i = 2; i < call->argc; i += 2) {
        if (i + 1 == call->argc) {
            call_syntax_error(call);
            return false;
        }
        struct bytes word = call->argv[i], value = call->argv[i + 1];
        if (bytes_is(word, "count")) {
            if (!call_integer(call, value, &scan->count)) return false;
            if (scan->count < 1) {
                call_syntax_error(call);
                return false;
            }
        } else if (bytes_is(word, "match")) {
            scan->pattern = value;
            scan->matches = !bytes_equal(value, BYTES("*"));
            scan->only_slot = scan->matches ? scan_pattern_slot(value) : -1;
        } else if (bytes_is(word, "type")) {
            scan->no_type = !bytes_is(value, "string");
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

static void note_met(void *context, struct entry *entry) {
    struct scan *scan = context;
    buffer_append(&scan->met, &entry, sizeof entry);
}

// Replies what the step met and fits; what has expired is removed, now that the table may change.
static void reply_met(struct scan *scan, unsigned slot) {
    struct call *call = scan->call;
    size_t count = scan->met.size / sizeof(struct entry *);
    struct entry **met = (struct entry **)(void *)scan->met.data;
    for (size_t i = 0; i < count; i++) {
        struct bytes key = entry_key(met[i]);
        if (scan->no_type || (scan->matches && !glob_match(scan->pattern, key, false))) continue;
        if (is_expired(call, met[i])) {
            if (!role.replica) dispatch_expire(call_dispatcher(call), call->db, slot, key);
            continue;
        }
        reply_bulk(call->reply, key);
        scan->replied++;
    }
    scan->seen += (int64_t)count;
    scan->met.size = 0;
}

// Looks at buckets of one slot, from cursor->in_slot on, until enough is seen or the slot ends (in_slot is 0
// then).
static void scan_slot(struct scan *scan, struct scan_cursor *cursor, int64_t *steps) {
    struct call *call = scan->call;
    enter_slot(call, cursor->slot);
    do {
        cursor->in_slot =
            keyspace_slot_scan(call->keyspace, call->db, cursor->slot, cursor->in_slot, note_met, scan);
        reply_met(scan, cursor->slot);
    } while (cursor->in_slot && scan->seen < scan->count && --*steps > 0);
    leave_slot(call, cursor->slot);
}

// Runs the scan from `cursor` on; the cursor to go on from, 0 when it has been everywhere.
static uint64_t scan_from(struct scan *scan, struct scan_cursor cursor) {
    unsigned last = HASH_SLOTS - 1;
    if (scan->only_slot >= 0) {
        last = (unsigned)scan->only_slot;
        if (cursor.slot < last) cursor = (struct scan_cursor){.slot = last};
    }
    int64_t steps;
    if (__builtin_mul_overflow(scan->count, SCAN_STEPS_PER_COUNT, &steps)) steps = INT64_MAX;
    while (cursor.slot <= last) {
        if (keyspace_slot_count_in(scan->call->keyspace, scan->call->db, cursor.slot))
            scan_slot(scan, &cursor, &steps);
        else
            cursor.in_slot = 0;
        if (!cursor.in_slot) cursor.slot++;
        call_lingers(scan->call);
        if (scan->seen >= scan->count || steps <= 0) break;
    }
    return cursor.slot <= last ? scan_cursor_pack(cursor) : 0;
}

void key_scan(struct call *call) {
    uint64_t number;
    struct scan scan;
    if (!scan_cursor_parse(call->argv[1], &number)) {
        reply_error(call->reply, "ERR invalid cursor");
        return;
    }
    if (!parse_scan(call, &scan)) return;

    // The cursor comes first in the reply but is known last: the keys are written to a buffer of their own.
    struct buffer keys = BUFFER_EMPTY;
    struct reply *outer = call->reply, inner = {.out = &keys, .protocol = outer->protocol};
    call->reply = &inner;
    uint64_t next = scan_from(&scan, scan_cursor_unpack(number));
    call->reply = outer;

    char text[NUMBER_TEXT_MAX];
    reply_array(outer, 2);
    reply_bulk(outer, bytes_of(text, number_format_unsigned(text, next)));
    reply_array(outer, scan.replied);
    reply_raw(outer, buffer_bytes(&keys));
    buffer_free(&keys);
    buffer_free(&scan.met);
}

// --- RANDOMKEY

enum {
    RANDOM_TRIES = 100
}; // on a replica, which cannot delete what has expired, before an expired key is good enough

static uint64_t draw(const struct call *call) {
    static _Thread_local struct prng prng;
    static _Thread_local bool seeded;
    if (!seeded) {
        const uint64_t parts[] = {(uint64_t)call->now_ms, call->worker, call->session->id};
        prng_seed(&prng, hash_bytes(parts, sizeof parts)); // the hash has the process's own seed in it
        seeded = true;
    }
    return prng_next(&prng);
}

// The slot of the `index`-th key when slots are counted through; the last one with keys if some vanished
// meanwhile, or -1.
static int slot_of_index(const struct call *call, uint64_t index) {
    int found = -1;
    for (unsigned slot = 0; slot < HASH_SLOTS; slot++) {
        size_t count = keyspace_slot_count_in(call->keyspace, call->db, slot);
        if (!count) continue;
        found = (int)slot;
        if (index < count) break;
        index -= count;
    }
    return found;
}

void key_randomkey(struct call *call) {
    for (int tries = 0;; tries++) {
        size_t total = keyspace_count(call->keyspace, call->db);
        int slot = total ? slot_of_index(call, draw(call) % total) : -1;
        if (slot < 0) {
            reply_null(call->reply);
            return;
        }
        enter_slot(call, (unsigned)slot);
        struct entry *entry =
            keyspace_slot_random(call->keyspace, call->db, (unsigned)slot, draw(call), false);
        bool good = entry && (!is_expired(call, entry) || (role.replica && tries >= RANDOM_TRIES));
        if (good)
            reply_bulk(call->reply, entry_key(entry));
        else if (entry && !role.replica)
            dispatch_expire(call_dispatcher(call), call->db, (unsigned)slot, entry_key(entry));
        leave_slot(call, (unsigned)slot);
        if (good) return;
    }
}
