#include <limits.h>
#include <math.h>

#include "call/call.h"
#include "commands/common.h"
#include "commands/strings.h"

// The integer that an entry (or NULL: 0) holds. False, with the error replied.
static bool read_integer(struct call *call, const struct entry *entry, int64_t *value) {
    if (!require_string(call, entry)) return false;
    if (entry && entry->encoding != ENCODING_INTEGER) {
        char scratch[NUMBER_TEXT_MAX];
        return call_integer(call, entry_string(entry, scratch), value);
    }
    *value = entry ? entry_integer(entry) : 0;
    return true;
}

static void add(struct call *call, int64_t increment) {
    int64_t value;
    if (!read_integer(call, call_write(call, call->argv[1]), &value)) return;
    if (__builtin_add_overflow(value, increment, &value)) {
        reply_error(call->reply, "ERR increment or decrement would overflow");
        return;
    }
    call_set_integer(call, call->argv[1], value);
    reply_integer(call->reply, value);
}

void string_incr(struct call *call) {
    add(call, 1);
}

void string_decr(struct call *call) {
    add(call, -1);
}

void string_incrby(struct call *call) {
    int64_t increment;
    if (call_integer(call, call->argv[2], &increment)) add(call, increment);
}

void string_decrby(struct call *call) {
    int64_t decrement;
    if (!call_integer(call, call->argv[2], &decrement)) return;
    if (decrement == LLONG_MIN) {
        reply_error(call->reply, "ERR decrement would overflow");
        return;
    }
    add(call, -decrement);
}

void string_incrbyfloat(struct call *call) {
    struct bytes key = call->argv[1];
    struct entry *entry = call_write(call, key);
    if (!require_string(call, entry)) return;
    char scratch[NUMBER_TEXT_MAX];
    long double value = 0, increment;
    if ((entry && !long_double_parse(entry_string(entry, scratch), &value)) ||
        !long_double_parse(call->argv[2], &increment)) {
        reply_error(call->reply, "ERR value is not a valid float");
        return;
    }
    value += increment;
    if (isnan(value) || isinf(value)) {
        reply_error(call->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    char text[DOUBLE_TEXT_MAX];
    struct bytes result = bytes_of(text, long_double_format(text, value));
    if (!set_string_as_text(call, key, result, entry ? entry_expiry(entry) : NO_EXPIRY)) return;
    // The sum is told, so that a replica with another idea of floating point has the same.
    const struct bytes effect[] = {BYTES("SET"), key, result, BYTES("KEEPTTL")};
    call_effect(call, 4, effect);
    reply_bulk(call->reply, result);
}
