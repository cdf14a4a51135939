#include "call/call.h"
#include "commands/common.h"
#include "commands/expire_options.h"
#include "commands/keys.h"

static bool parse_options(struct call *call, unsigned *options) {
    static const char *const words[] = {"nx", "xx", "gt", "lt"};
    *options = 0;
    for (int i = 3; i < call->argc; i++) {
        unsigned word = 0;
        while (word < 4 && !bytes_is(call->argv[i], words[word]))
            word++;
        if (word == 4) {
            reply_errorf(call->reply, "ERR Unsupported option %.*s", (int)call->argv[i].size,
                         call->argv[i].data);
            return false;
        }
        *options |= 1u << word;
    }
    const char *conflict = expire_options_conflict(*options);
    if (conflict) reply_errorf(call->reply, "ERR %s", conflict);
    return !conflict;
}

static void expire(struct call *call, enum time_unit unit, bool relative) {
    struct bytes key = call->argv[1];
    unsigned options;
    int64_t value, when;
    if (!parse_options(call, &options) || !call_integer(call, call->argv[2], &value)) return;
    if (!expire_moment(value, unit == TIME_SECONDS, relative ? call->now_ms : 0, &when)) {
        reply_invalid_expire(call);
        return;
    }
    struct entry *entry = call_write(call, key);
    if (!entry || !expire_options_allow(options, entry_expiry(entry), when)) {
        reply_integer(call->reply, 0);
        return;
    }
    if (expires_at_once(call, when)) {
        delete_with_effect(call, key, settings.lazyfree_lazy_expire);
    } else {
        // A negative moment can only come from our primary: the key is as good as gone then, too.
        if (when < 0) when = 0;
        struct number_argument at;
        const struct bytes effect[] = {BYTES("PEXPIREAT"), key, number_argument(&at, when)};
        call_set_expiry(call, key, when);
        call_effect(call, 3, effect);
    }
    reply_integer(call->reply, 1);
}

void key_expire(struct call *call) {
    expire(call, TIME_SECONDS, true);
}

void key_pexpire(struct call *call) {
    expire(call, TIME_MILLISECONDS, true);
}

void key_expireat(struct call *call) {
    expire(call, TIME_SECONDS, false);
}

void key_pexpireat(struct call *call) {
    expire(call, TIME_MILLISECONDS, false);
}

enum { REPLY_NO_KEY = -2, REPLY_LASTING = -1 };

static void reply_time(struct call *call, enum time_unit unit, bool relative) {
    struct entry *entry = lookup_untouched(call, call->argv[1]);
    if (!entry || !entry->has_expiry) {
        reply_integer(call->reply, entry ? REPLY_LASTING : REPLY_NO_KEY);
        return;
    }
    int64_t value = entry_expiry(entry);
    if (relative) value = value > call->now_ms ? value - call->now_ms : 0;
    if (unit == TIME_SECONDS) value = value / 1000 + (value % 1000 >= 500); // a sum could overflow
    reply_integer(call->reply, value);
}

void key_ttl(struct call *call) {
    reply_time(call, TIME_SECONDS, true);
}

void key_pttl(struct call *call) {
    reply_time(call, TIME_MILLISECONDS, true);
}

void key_expiretime(struct call *call) {
    reply_time(call, TIME_SECONDS, false);
}

void key_pexpiretime(struct call *call) {
    reply_time(call, TIME_MILLISECONDS, false);
}

void key_persist(struct call *call) {
    struct entry *entry = call_write(call, call->argv[1]);
    bool expires = entry && entry->has_expiry;
    if (expires) call_set_expiry(call, call->argv[1], NO_EXPIRY);
    reply_integer(call->reply, expires);
}
