#include <string.h>

#include "call/call.h"
#include "commands/common.h"
#include "commands/string_options.h"
#include "commands/strings.h"

// What a replica must do for a SET whose time to live was relative: the moment itself is told.
static void effect_set_at(struct call *call, struct bytes key, struct bytes value, int64_t expire_ms) {
    struct number_argument at;
    const struct bytes effect[] = {BYTES("SET"), key, value, BYTES("PXAT"), number_argument(&at, expire_ms)};
    call_effect(call, 5, effect);
}

// SET ... GET reads nothing on a replica, so GET is left out there.
static void effect_without_get(struct call *call, unsigned options) {
    struct bytes effect[5] = {BYTES("SET"), call->argv[1], call->argv[2]};
    int count = 3;
    if (options & OPTION_NX) effect[count++] = BYTES("NX");
    if (options & OPTION_XX) effect[count++] = BYTES("XX");
    if (options & OPTION_KEEPTTL) effect[count++] = BYTES("KEEPTTL");
    call_effect(call, count, effect);
}

__attribute__((noinline)) static void set_with_options(struct call *call) {
    struct bytes key = call->argv[1], value = call->argv[2];
    struct string_options options;
    int64_t expire_ms;
    if (!string_options_parse(call, 3, OPTIONS_OF_SET, &options)) return;
    if (!string_options_expiry(call, &options, &expire_ms)) return;

    bool get = options.given & OPTION_GET;
    bool expires = expire_ms != NO_EXPIRY;
    struct entry *old = get ? call_read(call, key) : call_write(call, key);
    if (get) {
        if (!require_string(call, old)) return;
        if (old)
            call_reply_string(call, old);
        else
            reply_null(call->reply);
    }
    if (((options.given & OPTION_NX) && old) || ((options.given & OPTION_XX) && !old)) {
        if (!get) reply_null(call->reply);
        return;
    }
    if ((options.given & OPTION_KEEPTTL) && old) expire_ms = entry_expiry(old);
    if (!call_set_string(call, key, value, expire_ms)) return;
    if (expires)
        effect_set_at(call, key, value, expire_ms);
    else if (get)
        effect_without_get(call, options.given);
    if (!get) reply_ok(call->reply);
}

void string_set(struct call *call) {
    if (call->argc > 3) {
        set_with_options(call);
    } else if (call_set_string(call, call->argv[1], call->argv[2], NO_EXPIRY)) {
        reply_ok(call->reply);
    }
}

void string_setnx(struct call *call) {
    bool absent = !call_write(call, call->argv[1]);
    if (absent && !call_set_string(call, call->argv[1], call->argv[2], NO_EXPIRY)) return;
    reply_integer(call->reply, absent);
}

static void set_for(struct call *call, enum time_unit unit) {
    int64_t expire_ms;
    if (!parse_expiry(call, call->argv[2], unit, true, &expire_ms)) return;
    if (!call_set_string(call, call->argv[1], call->argv[3], expire_ms)) return;
    effect_set_at(call, call->argv[1], call->argv[3], expire_ms);
    reply_ok(call->reply);
}

void string_setex(struct call *call) {
    set_for(call, TIME_SECONDS);
}

void string_psetex(struct call *call) {
    set_for(call, TIME_MILLISECONDS);
}

// Sets each pair; false when memory ran out, with the error replied. What was set until then stays.
static bool set_pairs(struct call *call) {
    for (int i = 1; i < call->argc; i += 2)
        if (!call_set_string(call, call->argv[i], call->argv[i + 1], NO_EXPIRY)) return false;
    return true;
}

void string_mset(struct call *call) {
    if (call->argc % 2 == 0) {
        call_wrong_arity(call);
    } else if (set_pairs(call)) {
        reply_ok(call->reply);
    }
}

void string_msetnx(struct call *call) {
    if (call->argc % 2 == 0) {
        call_wrong_arity(call);
        return;
    }
    for (int i = 1; i < call->argc; i += 2) {
        if (call_write(call, call->argv[i])) {
            reply_integer(call->reply, 0);
            return;
        }
    }
    if (set_pairs(call)) reply_integer(call->reply, 1);
}

// May a string grow by `more` bytes? False, with the error replied.
static bool may_grow(struct call *call, size_t size, size_t more) {
    if (must_obey(call) || (more <= SIZE_MAX - size && size + more <= settings.proto_max_bulk_len))
        return true;
    reply_error(call->reply, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return false;
}

void string_append(struct call *call) {
    struct bytes key = call->argv[1], tail = call->argv[2];
    struct entry *entry = call_write(call, key);
    if (!require_string(call, entry)) return;
    size_t size = entry ? entry_string_size(entry) : 0;
    if (!entry) {
        if (!call_set_string(call, key, tail, NO_EXPIRY)) return;
    } else {
        if (!may_grow(call, size, tail.size)) return;
        char *data = call_open_string(call, key, size + tail.size);
        if (!data) return;
        if (tail.size) memcpy(data + size, tail.data, tail.size);
    }
    reply_integer(call->reply, (int64_t)(size + tail.size));
}

void string_setrange(struct call *call) {
    struct bytes key = call->argv[1], part = call->argv[3];
    int64_t offset;
    if (!call_integer(call, call->argv[2], &offset)) return;
    if (offset < 0) {
        reply_error(call->reply, "ERR offset is out of range");
        return;
    }
    struct entry *entry = call_write(call, key);
    if (!require_string(call, entry)) return;
    size_t size = entry ? entry_string_size(entry) : 0;
    if (part.size == 0) {
        reply_integer(call->reply, (int64_t)size);
        return;
    }
    if (!may_grow(call, (size_t)offset, part.size)) return;
    size_t end = (size_t)offset + part.size;
    size_t wanted = end > size ? end : size;
    char *data = call_open_string(call, key, wanted);
    if (!data) return;
    memcpy(data + offset, part.data, part.size);
    reply_integer(call->reply, (int64_t)wanted);
}
