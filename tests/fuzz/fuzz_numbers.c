// Any text: what is taken as a number reads back from its own text, and an integer only in the one way to
// write it.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/numbers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds) abort();
}

static void check_integers(struct bytes text) {
    char again[NUMBER_TEXT_MAX];
    int64_t value;
    if (number_parse(text, &value)) require(bytes_equal(bytes_of(again, number_format(again, value)), text));
    uint64_t magnitude;
    if (number_parse_unsigned(text, &magnitude))
        require(bytes_equal(bytes_of(again, number_format_unsigned(again, magnitude)), text));
}

static void check_doubles(struct bytes text) {
    static char again[DOUBLE_TEXT_MAX];
    double value, back;
    if (double_parse(text, &value)) {
        require(!isnan(value));
        require(double_parse(bytes_of(again, double_format(again, value)), &back));
        require(back == value);
    }
    long double wide, wide_back;
    if (long_double_parse(text, &wide)) {
        size_t length = long_double_format(again, wide);
        require(length == strlen(again) && length < DOUBLE_TEXT_MAX);
        // Seventeen digits after the point are kept, so near zero it reads back as a neighbour.
        require(long_double_parse(bytes_of(again, length), &wide_back));
        require(wide_back == wide || fabsl(wide_back - wide) <= 1e-17L);
    }
}

static void check_format(const uint8_t *data, size_t size) {
    char text[NUMBER_TEXT_MAX];
    static char double_text[DOUBLE_TEXT_MAX];
    uint64_t bits, bits_back;
    if (size < sizeof bits) return;
    memcpy(&bits, data, sizeof bits);
    require(number_parse_unsigned(bytes_of(text, number_format_unsigned(text, bits)), &bits_back));
    require(bits_back == bits);
    double value, back;
    memcpy(&value, &bits, sizeof value);
    size_t length = double_format(double_text, value);
    if (isnan(value)) return;
    require(double_parse(bytes_of(double_text, length), &back) && back == value);
    char human[32];
    memory_format_human(human, bits);
    require(strlen(human) < sizeof human);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes text = bytes_of(data, size);
    check_integers(text);
    check_doubles(text);
    check_format(data, size);
    uint64_t bytes;
    memory_parse(text, &bytes);
    return 0;
}
