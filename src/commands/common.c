#include "commands/common.h"

#include <limits.h>
#include <string.h>

#include "base/counter.h"
#include "call/dispatch.h"

struct entry *lookup_untouched(struct call *call, struct bytes key) {
    struct entry *entry = call_peek(call, key);
    struct dispatch_counters *counters = call_dispatcher(call)->counters;
    if (entry)
        counter_add(&counters->hits, 1);
    else
        counter_add(&counters->misses, 1);
    return entry;
}

bool require_string(struct call *call, const struct entry *entry) {
    if (!entry || entry->type == ENTRY_STRING) return true;
    reply_error(call->reply, "WRONGTYPE Operation against a key holding the wrong kind of value");
    return false;
}

bool must_obey(const struct call *call) {
    return call->session->kind == SESSION_PRIMARY || call->session->kind == SESSION_LOADER;
}

bool expires_at_once(const struct call *call, int64_t expire_ms) {
    return expire_ms <= call->now_ms && !must_obey(call) && !role.replica && !role.loading;
}

bool set_string_as_text(struct call *call, struct bytes key, struct bytes text, int64_t expire_ms) {
    int64_t integer;
    if (!number_parse(text, &integer)) return call_set_string(call, key, text, expire_ms);
    if (!call_set_string(call, key, BYTES(""), expire_ms)) return false;
    char *data = call_open_string(call, key, text.size);
    if (!data) return false;
    memcpy(data, text.data, text.size);
    struct entry *entry = call_peek(call, key);
    if (entry) entry->raw = false;
    return true;
}

void delete_with_effect(struct call *call, struct bytes key, bool lazy) {
    const struct bytes effect[] = {lazy ? BYTES("UNLINK") : BYTES("DEL"), key};
    if (call_delete(call, key)) call_effect(call, 2, effect);
}

void reply_invalid_expire(struct call *call) {
    reply_errorf(call->reply, "ERR invalid expire time in '%s' command", call->command->full_name);
}

bool parse_expiry(struct call *call, struct bytes text, enum time_unit unit, bool relative,
                  int64_t *expire_ms) {
    int64_t value;
    if (!call_integer(call, text, &value)) return false;
    if (value <= 0 || (unit == TIME_SECONDS && value > LLONG_MAX / 1000)) {
        reply_invalid_expire(call);
        return false;
    }
    if (unit == TIME_SECONDS) value *= 1000;
    if (relative && value > LLONG_MAX - call->now_ms) {
        reply_invalid_expire(call);
        return false;
    }
    *expire_ms = relative ? value + call->now_ms : value;
    return true;
}

bool parse_database(struct call *call, struct bytes text, unsigned *db) {
    int64_t number;
    if (!call_integer_in(call, text, INT_MIN, INT_MAX, &number)) return false;
    unsigned count = settings_only_database_zero() ? settings.databases : keyspace_databases(call->keyspace);
    if (number < 0 || number >= (int64_t)count) {
        reply_error(call->reply, "ERR DB index is out of range");
        return false;
    }
    *db = (unsigned)number;
    return true;
}

bool is_plain_name(struct bytes text) {
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < '!' || text.data[i] > '~') return false;
    return true;
}
