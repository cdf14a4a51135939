#include <string.h>

#include "base/memory.h"
#include "call/call.h"
#include "commands/common.h"
#include "commands/lcs.h"
#include "commands/strings.h"

struct lcs_options {
    bool length_only, positions, with_lengths;
    int64_t shortest;
};

static bool parse(struct call *call, struct lcs_options *options) {
    *options = (struct lcs_options){0};
    for (int i = 3; i < call->argc; i++) {
        struct bytes word = call->argv[i];
        if (bytes_is(word, "idx")) {
            options->positions = true;
        } else if (bytes_is(word, "len")) {
            options->length_only = true;
        } else if (bytes_is(word, "withmatchlen")) {
            options->with_lengths = true;
        } else if (bytes_is(word, "minmatchlen") && i + 1 < call->argc) {
            if (!call_integer(call, call->argv[++i], &options->shortest)) return false;
            if (options->shortest < 0) options->shortest = 0;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    if (options->length_only && options->positions) {
        reply_error(call->reply, "ERR If you want both the length and indexes, please just use IDX.");
        return false;
    }
    return true;
}

struct positions {
    struct reply *reply;
    const struct lcs_options *options;
    size_t count;
};

static void reply_range(struct reply *reply, uint32_t at, uint32_t length) {
    reply_array(reply, 2);
    reply_integer(reply, at);
    reply_integer(reply, (int64_t)at + length - 1);
}

static void reply_run(void *context, struct lcs_run run) {
    struct positions *positions = context;
    if (run.length < positions->options->shortest) return;
    reply_array(positions->reply, positions->options->with_lengths ? 3 : 2);
    reply_range(positions->reply, run.a_at, run.length);
    reply_range(positions->reply, run.b_at, run.length);
    if (positions->options->with_lengths) reply_integer(positions->reply, run.length);
    positions->count++;
}

static void reply_positions(struct call *call, const struct lcs_options *options, const struct lcs *lcs) {
    struct positions positions = {call->reply, options, 0};
    reply_map(call->reply, 2);
    reply_bulk_string(call->reply, "matches");
    size_t place = reply_array_begin(call->reply);
    lcs_each_run(lcs, reply_run, &positions);
    reply_array_end(call->reply, place, positions.count);
    reply_bulk_string(call->reply, "len");
    reply_integer(call->reply, lcs_length(lcs));
}

struct assembly {
    const char *source;
    char *end; // what has been assembled begins here
};

static void prepend_run(void *context, struct lcs_run run) {
    struct assembly *assembly = context;
    assembly->end -= run.length;
    memcpy(assembly->end, assembly->source + run.a_at, run.length);
}

static void reply_subsequence(struct call *call, struct bytes a, const struct lcs *lcs) {
    uint32_t length = lcs_length(lcs);
    char *text = mem_alloc(length + 1);
    struct assembly assembly = {a.data, text + length};
    lcs_each_run(lcs, prepend_run, &assembly);
    reply_bulk(call->reply, bytes_of(text, length));
    mem_free(text);
}

static void reply_lcs(struct call *call, const struct lcs_options *options, struct bytes a, struct bytes b) {
    if (a.size >= UINT32_MAX - 1 || b.size >= UINT32_MAX - 1) {
        reply_error(call->reply, "ERR String too long for LCS");
        return;
    }
    if (lcs_memory(a.size, b.size) > settings.proto_max_bulk_len) {
        reply_error(call->reply,
                    "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
        return;
    }
    struct lcs *lcs = lcs_solve(a, b);
    if (!lcs) {
        reply_error(call->reply, "ERR Insufficient memory, failed allocating transient memory for LCS");
        return;
    }
    if (options->length_only)
        reply_integer(call->reply, lcs_length(lcs));
    else if (options->positions)
        reply_positions(call, options, lcs);
    else
        reply_subsequence(call, a, lcs);
    lcs_free(lcs);
}

void string_lcs(struct call *call) {
    const struct entry *first = call_read(call, call->argv[1]);
    const struct entry *second = call_read(call, call->argv[2]);
    if ((first && first->type != ENTRY_STRING) || (second && second->type != ENTRY_STRING)) {
        reply_error(call->reply, "ERR The specified keys must contain string values");
        return;
    }
    struct lcs_options options;
    if (!parse(call, &options)) return;
    char scratch[2][NUMBER_TEXT_MAX];
    reply_lcs(call, &options, first ? entry_string(first, scratch[0]) : BYTES(""),
              second ? entry_string(second, scratch[1]) : BYTES(""));
}
