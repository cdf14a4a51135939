#include "commands/string_options.h"

static const struct {
    const char *word;
    unsigned option;
    unsigned excludes;
} words[] = {
    {"nx", OPTION_NX, OPTION_XX},
    {"xx", OPTION_XX, OPTION_NX},
    {"get", OPTION_GET, 0},
    {"keepttl", OPTION_KEEPTTL, OPTION_PERSIST | OPTIONS_EXPIRE},
    {"persist", OPTION_PERSIST, OPTION_KEEPTTL | OPTIONS_EXPIRE},
    {"ex", OPTION_EX, OPTION_KEEPTTL | OPTION_PERSIST | (OPTIONS_EXPIRE & ~OPTION_EX)},
    {"px", OPTION_PX, OPTION_KEEPTTL | OPTION_PERSIST | (OPTIONS_EXPIRE & ~OPTION_PX)},
    {"exat", OPTION_EXAT, OPTION_KEEPTTL | OPTION_PERSIST | (OPTIONS_EXPIRE & ~OPTION_EXAT)},
    {"pxat", OPTION_PXAT, OPTION_KEEPTTL | OPTION_PERSIST | (OPTIONS_EXPIRE & ~OPTION_PXAT)},
};

enum { WORDS = sizeof words / sizeof *words };

bool string_options_parse(struct call *call, int from, unsigned allowed, struct string_options *options) {
    *options = (struct string_options){0};
    for (int i = from; i < call->argc; i++) {
        int word = 0;
        while (word < WORDS && !bytes_is(call->argv[i], words[word].word))
            word++;
        bool fits =
            word < WORDS && (words[word].option & allowed) && !(options->given & words[word].excludes);
        bool timed = fits && (words[word].option & OPTIONS_EXPIRE);
        if (!fits || (timed && i + 1 == call->argc)) {
            call_syntax_error(call);
            return false;
        }
        options->given |= words[word].option;
        if (timed) options->expire = call->argv[++i];
    }
    return true;
}

bool string_options_expiry(struct call *call, const struct string_options *options, int64_t *expire_ms) {
    *expire_ms = NO_EXPIRY;
    if (!(options->given & OPTIONS_EXPIRE)) return true;
    bool seconds = options->given & (OPTION_EX | OPTION_EXAT);
    bool relative = options->given & (OPTION_EX | OPTION_PX);
    return parse_expiry(call, options->expire, seconds ? TIME_SECONDS : TIME_MILLISECONDS, relative,
                        expire_ms);
}
