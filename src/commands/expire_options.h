// expire_options: the conditions under which EXPIRE and its kin change a key's time to live. Pure.
#ifndef SHOAL_COMMANDS_EXPIRE_OPTIONS_H
#define SHOAL_COMMANDS_EXPIRE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum expire_option {
    EXPIRE_NX = 1 << 0, // only a key without one
    EXPIRE_XX = 1 << 1, // only a key with one
    EXPIRE_GT = 1 << 2, // only to a later moment; a key without one never expires, which is later than any
    EXPIRE_LT = 1 << 3, // only to an earlier moment
};

// What is wrong with the options together (without its code), or NULL.
const char *expire_options_conflict(unsigned options);

// May the expiry change from `now` (or NO_EXPIRY) to `wanted`, both in wall-clock milliseconds?
bool expire_options_allow(unsigned options, int64_t now, int64_t wanted);

// value * 1000 when it is in seconds, counted from `base_ms`. False when the result can't be said in an
// int64.
bool expire_moment(int64_t value, bool seconds, int64_t base_ms, int64_t *moment_ms);

#endif
