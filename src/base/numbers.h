// numbers: text to numbers and back, strictly, as the protocol wants them. Pure.
#ifndef SHOAL_BASE_NUMBERS_H
#define SHOAL_BASE_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

enum {
    NUMBER_TEXT_MAX = 24,   // room for any int64 in decimal and a terminator
    DOUBLE_TEXT_MAX = 5120, // room for any double or long double in plain notation
};

// The whole of `text` is a canonical decimal integer (no spaces, no '+', no leading zero, "-0" refused) that fits.
// False otherwise, with *value untouched.
bool number_parse(struct bytes text, int64_t *value);

// As number_parse for 0..UINT64_MAX.
bool number_parse_unsigned(struct bytes text, uint64_t *value);

// Writes `value` in decimal into `text` (at least NUMBER_TEXT_MAX bytes, terminated); returns the length.
size_t number_format(char *text, int64_t value);
size_t number_format_unsigned(char *text, uint64_t value);

extern const char number__pairs[]; // "00" to "99"

// Writes `value` in decimal at `at`, which has room for NUMBER_TEXT_MAX bytes, not terminated; returns its
// end. Meant for the sizes and counts of the protocol: the small ones cost little.
static inline char *number_put(char *at, uint64_t value) {
    if (value >= 100) return at + number_format_unsigned(at, value);
    if (value >= 10) {
        memcpy(at, number__pairs + value * 2, 2);
        return at + 2;
    }
    *at = (char)('0' + value);
    return at + 1;
}

// The whole of `text` is a number in C's notation, "inf" included, NaN and spaces refused.
bool double_parse(struct bytes text, double *value);
bool long_double_parse(struct bytes text, long double *value);

// Shortest text that reads back as the same double: "1", "-0", "0.1", "1e+21", "inf", "-inf", "nan"; returns the length.
size_t double_format(char *text, double value);

// As INCRBYFLOAT replies: 17 digits after the point at most, no exponent, trailing zeros dropped. Returns the length.
size_t long_double_format(char *text, long double value);

// A size in redis.conf's notation: "100", "1k" (1000), "1kb" (1024), m, mb, g, gb, b; any case. False for a bad one.
bool memory_parse(struct bytes text, uint64_t *value);

// `value` bytes as INFO's *_human fields show them: "512B", "1.50K", "2.00M", ...; terminated, at most 32 bytes.
void memory_format_human(char *text, uint64_t value);

#endif
