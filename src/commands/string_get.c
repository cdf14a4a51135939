#include "call/call.h"
#include "commands/common.h"
#include "commands/string_options.h"
#include "commands/strings.h"

// Reads a string and replies it, or null. NULL when there is none, or it is no string.
static struct entry *get(struct call *call, struct bytes key) {
    struct entry *entry = call_read(call, key);
    if (!entry) {
        reply_null(call->reply);
        return NULL;
    }
    if (!require_string(call, entry)) return NULL;
    call_reply_string(call, entry);
    return entry;
}

void string_get(struct call *call) {
    get(call, call->argv[1]);
}

void string_getdel(struct call *call) {
    if (get(call, call->argv[1])) delete_with_effect(call, call->argv[1], false);
}

void string_getset(struct call *call) {
    struct entry *old = call_read(call, call->argv[1]);
    if (!require_string(call, old)) return;
    if (old)
        call_reply_string(call, old);
    else
        reply_null(call->reply);
    if (!call_set_string(call, call->argv[1], call->argv[2], NO_EXPIRY)) return;
    const struct bytes effect[] = {BYTES("SET"), call->argv[1], call->argv[2]};
    call_effect(call, 3, effect);
}

void string_getex(struct call *call) {
    struct string_options options;
    if (!string_options_parse(call, 2, OPTIONS_OF_GETEX, &options)) return;
    struct bytes key = call->argv[1];
    struct entry *entry = call_read(call, key);
    if (!entry) {
        reply_null(call->reply);
        return;
    }
    int64_t expire_ms;
    if (!require_string(call, entry) || !string_options_expiry(call, &options, &expire_ms)) return;
    call_reply_string(call, entry);

    if (expire_ms != NO_EXPIRY && (options.given & (OPTION_EXAT | OPTION_PXAT)) &&
        expires_at_once(call, expire_ms)) {
        delete_with_effect(call, key, settings.lazyfree_lazy_expire);
    } else if (expire_ms != NO_EXPIRY) {
        struct number_argument at;
        const struct bytes effect[] = {BYTES("PEXPIREAT"), key, number_argument(&at, expire_ms)};
        call_set_expiry(call, key, expire_ms);
        call_effect(call, 3, effect);
    } else if ((options.given & OPTION_PERSIST) && entry->has_expiry) {
        const struct bytes effect[] = {BYTES("PERSIST"), key};
        call_set_expiry(call, key, NO_EXPIRY);
        call_effect(call, 2, effect);
    }
}

// The part of `value` from `start` to `end`, both inclusive and, when negative, counted from the end.
static struct bytes range_of(struct bytes value, int64_t start, int64_t end) {
    int64_t size = (int64_t)value.size;
    if (start < 0 && end < 0 && start > end) return BYTES("");
    if (start < 0) start += size;
    if (end < 0) end += size;
    if (start < 0) start = 0;
    if (end < 0) end = 0;
    if (end >= size) end = size - 1;
    if (start > end || size == 0) return BYTES("");
    return bytes_of(value.data + start, (size_t)(end - start) + 1);
}

void string_getrange(struct call *call) {
    int64_t start, end;
    if (!call_integer(call, call->argv[2], &start) || !call_integer(call, call->argv[3], &end)) return;
    struct entry *entry = call_read(call, call->argv[1]);
    if (!require_string(call, entry)) return;
    char scratch[NUMBER_TEXT_MAX];
    if (entry)
        call_reply_part(call, entry, range_of(entry_string(entry, scratch), start, end));
    else
        reply_bulk(call->reply, BYTES(""));
}

void string_mget(struct call *call) {
    reply_array(call->reply, (size_t)call->argc - 1);
    for (int i = 1; i < call->argc; i++) {
        struct entry *entry = call_read(call, call->argv[i]);
        if (entry && entry->type == ENTRY_STRING)
            call_reply_string(call, entry);
        else
            reply_null(call->reply);
    }
}

void string_strlen(struct call *call) {
    struct entry *entry = call_read(call, call->argv[1]);
    if (!require_string(call, entry)) return;
    reply_integer(call->reply, entry ? (int64_t)entry_string_size(entry) : 0);
}
