#include "commands/expire_options.h"

#include <stddef.h>

#include "keyspace/entry.h"

const char *expire_options_conflict(unsigned options) {
    if ((options & EXPIRE_NX) && (options & (EXPIRE_XX | EXPIRE_GT | EXPIRE_LT)))
        return "NX and XX, GT or LT options at the same time are not compatible";
    if ((options & EXPIRE_GT) && (options & EXPIRE_LT))
        return "GT and LT options at the same time are not compatible";
    return NULL;
}

bool expire_options_allow(unsigned options, int64_t now, int64_t wanted) {
    bool expires = now != NO_EXPIRY;
    if ((options & EXPIRE_NX) && expires) return false;
    if ((options & EXPIRE_XX) && !expires) return false;
    if ((options & EXPIRE_GT) && (!expires || wanted <= now)) return false;
    if ((options & EXPIRE_LT) && expires && wanted >= now) return false;
    return true;
}

bool expire_moment(int64_t value, bool seconds, int64_t base_ms, int64_t *moment_ms) {
    int64_t moment;
    if (__builtin_mul_overflow(value, seconds ? 1000 : 1, &moment)) return false;
    if (__builtin_add_overflow(moment, base_ms, &moment)) return false;
    *moment_ms = moment;
    return true;
}
