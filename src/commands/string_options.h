// string_options: the options that SET and GETEX share.
#ifndef SHOAL_COMMANDS_STRING_OPTIONS_H
#define SHOAL_COMMANDS_STRING_OPTIONS_H

#include <stdbool.h>

#include "base/bytes.h"
#include "call/call.h"
#include "commands/common.h"

enum string_option {
    OPTION_NX = 1 << 0,
    OPTION_XX = 1 << 1,
    OPTION_GET = 1 << 2,
    OPTION_KEEPTTL = 1 << 3,
    OPTION_PERSIST = 1 << 4,
    OPTION_EX = 1 << 5,
    OPTION_PX = 1 << 6,
    OPTION_EXAT = 1 << 7,
    OPTION_PXAT = 1 << 8,
};

enum {
    OPTIONS_EXPIRE = OPTION_EX | OPTION_PX | OPTION_EXAT | OPTION_PXAT,
    OPTIONS_OF_SET = OPTION_NX | OPTION_XX | OPTION_GET | OPTION_KEEPTTL | OPTIONS_EXPIRE,
    OPTIONS_OF_GETEX = OPTION_PERSIST | OPTIONS_EXPIRE,
};

struct string_options {
    unsigned given;      // enum string_option bits
    struct bytes expire; // the time that follows EX, PX, EXAT or PXAT
};

// Reads the options from argv[from] on, of which only `allowed` may occur. False, with the syntax error
// replied.
bool string_options_parse(struct call *call, int from, unsigned allowed, struct string_options *options);

// When the key shall expire, NO_EXPIRY without an expire option. False, with the error replied.
bool string_options_expiry(struct call *call, const struct string_options *options, int64_t *expire_ms);

#endif
