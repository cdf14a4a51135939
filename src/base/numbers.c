#include "base/numbers.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_digits(const char *at, const char *end, uint64_t *value) {
    if (at == end || end - at > 20) return false;
    if (*at == '0' && end - at > 1) return false;
    uint64_t sum = 0;
    for (; at < end; at++) {
        unsigned digit = (unsigned)(*at - '0');
        if (digit > 9) return false;
        if (sum > (UINT64_MAX - digit) / 10) return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

bool number_parse_unsigned(struct bytes text, uint64_t *value) {
    return text.size && parse_digits(text.data, text.data + text.size, value);
}

bool number_parse(struct bytes text, int64_t *value) {
    if (text.size == 0 || text.size > 20) return false;
    bool negative = text.data[0] == '-';
    uint64_t magnitude;
    if (!parse_digits(text.data + negative, text.data + text.size, &magnitude)) return false;
    if (negative) {
        if (magnitude == 0 || magnitude > (uint64_t)INT64_MAX + 1) return false;
        *value = (int64_t)(0 - magnitude);
        return true;
    }
    if (magnitude > INT64_MAX) return false;
    *value = (int64_t)magnitude;
    return true;
}

const char number__pairs[] = "00010203040506070809101112131415161718192021222324"
                                  "25262728293031323334353637383940414243444546474849"
                                  "50515253545556575859606162636465666768697071727374"
                                  "75767778798081828384858687888990919293949596979899";

size_t number_format_unsigned(char *text, uint64_t value) {
    char digits[NUMBER_TEXT_MAX];
    char *at = digits + sizeof digits;
    while (value >= 100) {
        unsigned pair = (unsigned)(value % 100) * 2;
        value /= 100;
        at -= 2;
        memcpy(at, number__pairs + pair, 2);
    }
    if (value >= 10) {
        at -= 2;
        memcpy(at, number__pairs + value * 2, 2);
    } else {
        *--at = (char)('0' + value);
    }
    size_t size = (size_t)(digits + sizeof digits - at);
    memcpy(text, at, size);
    text[size] = '\0';
    return size;
}

size_t number_format(char *text, int64_t value) {
    if (value >= 0) return number_format_unsigned(text, (uint64_t)value);
    text[0] = '-';
    return 1 + number_format_unsigned(text + 1, 0 - (uint64_t)value);
}

// Copies `text` into a terminated buffer for strtod; refuses what strtod would skip or stop at.
static bool copy_for_strtod(struct bytes text, char *copy, size_t room) {
    if (text.size == 0 || text.size >= room) return false;
    if (memchr(text.data, '\0', text.size) || (unsigned char)text.data[0] <= ' ') return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return true;
}

bool double_parse(struct bytes text, double *value) {
    char copy[DOUBLE_TEXT_MAX];
    if (!copy_for_strtod(text, copy, sizeof copy)) return false;
    char *end;
    errno = 0;
    double parsed = strtod(copy, &end);
    if (*end || isnan(parsed) || (errno == ERANGE && (isinf(parsed) || parsed == 0))) return false;
    *value = parsed;
    return true;
}

bool long_double_parse(struct bytes text, long double *value) {
    char copy[DOUBLE_TEXT_MAX]; // whatever long_double_format wrote reads back
    if (!copy_for_strtod(text, copy, sizeof copy)) return false;
    char *end;
    errno = 0;
    long double parsed = strtold(copy, &end);
    if (*end || isnan(parsed) || (errno == ERANGE && (isinf(parsed) || parsed == 0))) return false;
    *value = parsed;
    return true;
}

size_t double_format(char *text, double value) {
    if (isnan(value)) return (size_t)sprintf(text, "nan");
    if (isinf(value)) return (size_t)sprintf(text, value > 0 ? "inf" : "-inf");
    if (value == 0) return (size_t)sprintf(text, signbit(value) ? "-0" : "0");
    if (fabs(value) < 1e17 && value == (double)(int64_t)value) return number_format(text, (int64_t)value);
    // A normal double always survives 15 digits when fewer would do; one near zero may need a single digit.
    for (int precision = isnormal(value) ? 15 : 1; precision <= 17; precision++) {
        int size = sprintf(text, "%.*g", precision, value);
        if (strtod(text, NULL) == value) return (size_t)size;
    }
    return strlen(text);
}

size_t long_double_format(char *text, long double value) {
    if (isinf(value)) return (size_t)sprintf(text, value > 0 ? "inf" : "-inf");
    size_t size = (size_t)snprintf(text, DOUBLE_TEXT_MAX, "%.17Lf", value);
    if (strchr(text, '.')) {
        while (text[size - 1] == '0')
            size--;
        if (text[size - 1] == '.') size--;
        text[size] = '\0';
    }
    if (strcmp(text, "-0") == 0) size = (size_t)sprintf(text, "0");
    return size;
}

bool memory_parse(struct bytes text, uint64_t *value) {
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = {{"", 1},           {"b", 1},
                 {"k", 1000},       {"kb", 1024},
                 {"m", 1000000},    {"mb", 1024 * 1024},
                 {"g", 1000000000}, {"gb", 1024 * 1024 * 1024}};
    size_t digits = 0;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    uint64_t number;
    if (!number_parse_unsigned(bytes_of(text.data, digits), &number)) return false;
    struct bytes unit = {text.data + digits, text.size - digits};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!bytes_is(unit, units[i].name)) continue;
        if (number > UINT64_MAX / units[i].factor) return false;
        *value = number * units[i].factor;
        return true;
    }
    return false;
}

void memory_format_human(char *text, uint64_t value) {
    static const char units[] = "KMGTP";
    if (value < 1024) {
        sprintf(text, "%lluB", (unsigned long long)value);
        return;
    }
    double scaled = (double)value / 1024;
    int unit = 0;
    while (scaled >= 1024 && unit < 4) {
        scaled /= 1024;
        unit++;
    }
    sprintf(text, "%.2f%c", scaled, units[unit]);
}
