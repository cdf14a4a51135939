#include "call/call.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/counter.h"
#include "base/hash.h"
#include "call/dispatch.h"
#include "call/effects.h"

struct place {
    unsigned slot;
    uint64_t hash;
};

// Is it the key whose slot and hash were computed when the command was prepared?
static inline bool is_prepared(const struct call *call, struct bytes key) {
    const struct prepared *known = call->prepared;
    return __builtin_expect(key.data == known->key.data && key.size == known->key.size && key.data, 1);
}

static inline struct place prepared_place(const struct call *call) {
    return (struct place){call->prepared->slot, call->prepared->hash};
}

static inline struct place place_of(const struct call *call, struct bytes key) {
    if (is_prepared(call, key)) return prepared_place(call);
    return (struct place){hash_slot(key), hash_bytes(key.data, key.size)};
}

static inline struct entry *find_at(const struct call *call, unsigned db, struct place place,
                                    struct bytes key) {
    return keyspace_find(call->keyspace, db, place.slot, place.hash, key);
}

// Kept apart, like whatever is not done for most keys: else the everyday way has to save what it alone never
// loses.
__attribute__((noinline)) static struct entry *find_unprepared(const struct call *call, unsigned db,
                                                               struct bytes key) {
    return find_at(call, db, place_of(call, key), key);
}

// An entry past its time: a primary removes it; a replica hides it, save from its primary, which decides.
__attribute__((noinline)) static bool is_gone(struct call *call, unsigned db, struct entry *entry) {
    if (entry_expiry(entry) > call->now_ms) return false;
    if (call->session->kind == SESSION_PRIMARY || call->session->kind == SESSION_LOADER) return false;
    struct bytes key = entry_key(entry);
    if (!role.replica) dispatch_expire(call->dispatcher, db, hash_slot(key), key);
    return true;
}

static inline struct entry *unless_gone(struct call *call, unsigned db, struct entry *entry) {
    if (!entry || __builtin_expect(!entry->has_expiry, 1)) return entry;
    return is_gone(call, db, entry) ? NULL : entry;
}

static inline struct entry *find_live(struct call *call, unsigned db, struct bytes key) {
    struct entry *entry = is_prepared(call, key) ? find_at(call, db, prepared_place(call), key)
                                                 : find_unprepared(call, db, key);
    return unless_gone(call, db, entry);
}

struct entry *call_read(struct call *call, struct bytes key) {
    struct entry *entry = find_live(call, call->db, key);
    struct dispatch_counters *counters = call->dispatcher->counters;
    if (!entry) {
        counter_add(&counters->misses, 1);
        return NULL;
    }
    counter_add(&counters->hits, 1);
    if (!call->session->no_touch) keyspace_use(call->keyspace, entry, call->now_ms);
    return entry;
}

struct entry *call_peek(struct call *call, struct bytes key) {
    return find_live(call, call->db, key);
}

struct entry *call_peek_in(struct call *call, unsigned db, struct bytes key) {
    return find_live(call, db, key);
}

struct entry *call_write(struct call *call, struct bytes key) {
    struct entry *entry = call_peek(call, key);
    if (entry && !call->session->no_touch) keyspace_use(call->keyspace, entry, call->now_ms);
    return entry;
}

static void changed(struct call *call, unsigned db, unsigned slot, struct bytes key) {
    keyspace_touched(call->keyspace, db, slot, key);
    call->changes++;
}

static bool out_of_memory(struct call *call) {
    reply_error(call->reply, "OOM command not allowed: no memory for the value");
    return false;
}

bool call_set_string_in(struct call *call, unsigned db, struct bytes key, struct bytes value, int64_t expire_ms) {
    struct place place = place_of(call, key);
    struct entry *entry =
        keyspace_set_string(call->keyspace, db, place.slot, place.hash, key, value, expire_ms, call->now_ms);
    if (!entry) return out_of_memory(call);
    changed(call, db, place.slot, key);
    return true;
}

void call_set_blob_in(struct call *call, unsigned db, struct bytes key, struct blob *blob,
                      int64_t expire_ms) {
    struct place place = place_of(call, key);
    keyspace_set_blob(call->keyspace, db, place.slot, place.hash, key, blob, expire_ms, call->now_ms);
    changed(call, db, place.slot, key);
}

bool call_set_string(struct call *call, struct bytes key, struct bytes value, int64_t expire_ms) {
    return call_set_string_in(call, call->db, key, value, expire_ms);
}

void call_set_integer(struct call *call, struct bytes key, int64_t value) {
    struct place place = place_of(call, key);
    keyspace_set_integer(call->keyspace, call->db, place.slot, place.hash, key, value, call->now_ms);
    changed(call, call->db, place.slot, key);
}

char *call_open_string(struct call *call, struct bytes key, size_t size) {
    struct place place = place_of(call, key);
    char *data;
    if (!keyspace_open_string(call->keyspace, call->db, place.slot, place.hash, key, size, call->now_ms, &data)) {
        out_of_memory(call);
        return NULL;
    }
    changed(call, call->db, place.slot, key);
    return data;
}

void call_set_expiry_in(struct call *call, unsigned db, struct bytes key, int64_t expire_ms) {
    struct place place = place_of(call, key);
    keyspace_set_expiry(call->keyspace, db, place.slot, place.hash, key, expire_ms);
    changed(call, db, place.slot, key);
}

void call_set_expiry(struct call *call, struct bytes key, int64_t expire_ms) {
    call_set_expiry_in(call, call->db, key, expire_ms);
}

bool call_delete_in(struct call *call, unsigned db, struct bytes key) {
    struct place place = place_of(call, key);
    if (!unless_gone(call, db, find_at(call, db, place, key))) return false;
    changed(call, db, place.slot, key);
    keyspace_remove(call->keyspace, db, place.slot, place.hash, key);
    return true;
}

bool call_delete(struct call *call, struct bytes key) {
    return call_delete_in(call, call->db, key);
}

void call_effect_in(struct call *call, unsigned db, int argc, const struct bytes *argv) {
    call->effect_replaced = true;
    effects_add(call->dispatcher, db, argc, argv);
}

void call_effect(struct call *call, int argc, const struct bytes *argv) {
    call_effect_in(call, call->db, argc, argv);
}

void call_no_effect(struct call *call) {
    call->effect_replaced = true;
}

void call_changed(struct call *call, unsigned count) {
    call->changes += count;
}

void call_wrong_arity(struct call *call) {
    reply_errorf(call->reply, "ERR wrong number of arguments for '%s' command", call->command->full_name);
}

void call_syntax_error(struct call *call) {
    reply_error(call->reply, "ERR syntax error");
}

static void upper_name(const struct command *command, char *out, size_t room) {
    const char *name = command->parent ? command->parent->name : command->name;
    size_t i = 0;
    for (; name[i] && i + 1 < room; i++)
        out[i] = (char)(name[i] >= 'a' && name[i] <= 'z' ? name[i] - 32 : name[i]);
    out[i] = '\0';
}

void call_unknown_subcommand(struct call *call) {
    char name[64];
    upper_name(call->command, name, sizeof name);
    int shown = call->argv[1].size > 128 ? 128 : (int)call->argv[1].size;
    reply_errorf(call->reply, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.", shown,
                 call->argv[1].data, name);
}

void call_reply_help(struct call *call, const char *const *lines) {
    char name[64], title[160];
    upper_name(call->command, name, sizeof name);
    size_t count = 0;
    while (lines[count])
        count++;
    snprintf(title, sizeof title, "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", name);
    reply_array(call->reply, count + 3);
    reply_simple(call->reply, title);
    for (size_t i = 0; i < count; i++)
        reply_simple(call->reply, lines[i]);
    reply_simple(call->reply, "HELP");
    reply_simple(call->reply, "    Prints this help.");
}

void call_reply_part(struct call *call, const struct entry *entry, struct bytes part) {
    struct session *session = call->session;
    bool by_reference =
        part.size >= ATTACHMENT_MIN && entry->encoding == ENCODING_BLOB && session->connection;
    if (__builtin_expect(!by_reference, 1)) {
        reply_bulk(call->reply, part);
        return;
    }
    reply_bulk_begin(call->reply, part.size);
    attachments_add(&session->attachments, session->output.size, entry_blob(entry), part);
    reply_bulk_end(call->reply);
}

void call_reply_string(struct call *call, const struct entry *entry) {
    if (__builtin_expect(entry->encoding == ENCODING_EMBEDDED, 1)) {
        reply_bulk(call->reply, bytes_of(entry__value_data(entry), entry->value_size));
        return;
    }
    char scratch[NUMBER_TEXT_MAX];
    call_reply_part(call, entry, entry_string(entry, scratch));
}

bool call_integer(struct call *call, struct bytes argument, int64_t *value) {
    if (number_parse(argument, value)) return true;
    reply_error(call->reply, "ERR value is not an integer or out of range");
    return false;
}

bool call_integer_in(struct call *call, struct bytes argument, int64_t min, int64_t max, int64_t *value) {
    int64_t parsed;
    if (!call_integer(call, argument, &parsed)) return false;
    if (parsed < min || parsed > max) {
        reply_errorf(call->reply, "ERR value is out of range, value must between %" PRId64 " and %" PRId64,
                     min, max);
        return false;
    }
    *value = parsed;
    return true;
}

// --- Answers that come later.

static void (*answer_sink)(struct call_ticket ticket, struct bytes resp);

void call_set_answer_sink(void (*sink)(struct call_ticket ticket, struct bytes resp)) {
    answer_sink = sink;
}

enum { HUNDRED_YEARS_S = 3155760000 }; // so that times computed from a timeout never overflow

struct call_ticket call_defer(struct call *call, int64_t timeout_ms, void (*timed_out)(struct session *session)) {
    if (timeout_ms > 1000 * (int64_t)HUNDRED_YEARS_S) timeout_ms = 1000 * (int64_t)HUNDRED_YEARS_S;
    struct session *session = call->session;
    int64_t now = call->dispatcher->mono_ms;
    session->waiting = WAIT_DEFERRED;
    session->wait_number++;
    session->wait_pending++;
    session->wait_since_ms = now;
    session->wait_until_ms = timeout_ms ? now + timeout_ms : 0;
    session->wait_timed_out = timed_out;
    session->wait_can_be_unblocked = false;
    return (struct call_ticket){.session = session->id,
                                .number = session->wait_number,
                                .worker = session->worker,
                                .protocol = (uint8_t)session->protocol};
}

void call_answer(struct call_ticket ticket, struct bytes resp) {
    answer_sink(ticket, resp);
}
