#include "base/log.h"
#include "base/memory.h"
#include "call/call.h"
#include "codec/dump.h"
#include "commands/common.h"
#include "commands/keys.h"
#include "keyspace/access.h"

void key_dump(struct call *call) {
    struct entry *entry = call_read(call, call->argv[1]);
    if (!entry) {
        reply_null(call->reply);
        return;
    }
    char scratch[NUMBER_TEXT_MAX];
    struct codec_value value = entry->encoding == ENCODING_INTEGER
                                   ? codec_integer(entry_integer(entry))
                                   : codec_string(entry_string(entry, scratch));
    struct buffer payload = BUFFER_EMPTY;
    if (dump_append(&payload, &value, &RDB_FORMAT_DEFAULT))
        reply_bulk(call->reply, buffer_bytes(&payload));
    else
        reply_errorf(call->reply, "ERR %s", dump_error_text(DUMP_NO_MEMORY));
    buffer_free(&payload);
}

enum { NOT_GIVEN = -1, FREQUENCY_MAX = 255, KEY_SHOWN_MAX = 128 };

struct restore_options {
    bool replace, absolute;
    int64_t idle_seconds, frequency; // or NOT_GIVEN
};

// Reads a number from 0 to `max`; `error` is replied for one outside.
static bool parse_limited(struct call *call, struct bytes text, int64_t max, const char *error,
                          int64_t *value) {
    if (!call_integer(call, text, value)) return false;
    if (*value >= 0 && *value <= max) return true;
    reply_error(call->reply, error);
    return false;
}

static bool parse_options(struct call *call, struct restore_options *options) {
    *options = (struct restore_options){.idle_seconds = NOT_GIVEN, .frequency = NOT_GIVEN};
    for (int i = 4; i < call->argc; i++) {
        struct bytes word = call->argv[i];
        bool more = i + 1 < call->argc;
        if (bytes_is(word, "replace")) {
            options->replace = true;
        } else if (bytes_is(word, "absttl")) {
            options->absolute = true;
        } else if (bytes_is(word, "idletime") && more && options->frequency == NOT_GIVEN) {
            if (!parse_limited(call, call->argv[++i], INT64_MAX, "ERR Invalid IDLETIME value, must be >= 0",
                               &options->idle_seconds))
                return false;
        } else if (bytes_is(word, "freq") && more && options->idle_seconds == NOT_GIVEN) {
            if (!parse_limited(call, call->argv[++i], FREQUENCY_MAX,
                               "ERR Invalid FREQ value, must be >= 0 and <= 255", &options->frequency))
                return false;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

static void set_access(struct call *call, struct entry *entry, const struct restore_options *options) {
    bool lfu = keyspace_access(call->keyspace)->lfu;
    if (lfu && options->frequency != NOT_GIVEN)
        access_set_frequency(entry, (unsigned)options->frequency, call->now_ms);
    else if (!lfu && options->idle_seconds != NOT_GIVEN)
        access_set_idle(entry, options->idle_seconds, call->now_ms);
}

// Replicas are told the moment at which the key expires, not how long it lives from when they hear of it.
static void effect_absolute(struct call *call, int64_t expire_ms) {
    struct number_argument at;
    struct bytes *effect = mem_alloc(((size_t)call->argc + 1) * sizeof *effect);
    for (int i = 0; i < call->argc; i++)
        effect[i] = call->argv[i];
    effect[2] = number_argument(&at, expire_ms);
    effect[call->argc] = BYTES("ABSTTL");
    call_effect(call, call->argc + 1, effect);
    mem_free(effect);
}

static void restore(struct call *call, const struct restore_options *options, int64_t ttl,
                    struct bytes value) {
    struct bytes key = call->argv[1];
    int64_t expire_ms = NO_EXPIRY;
    if (ttl && options->absolute) expire_ms = ttl;
    if (ttl && !options->absolute && __builtin_add_overflow(ttl, call->now_ms, &expire_ms))
        expire_ms = INT64_MAX;
    if (ttl && expires_at_once(call, expire_ms)) {
        if (options->replace) delete_with_effect(call, key, false);
        reply_ok(call->reply);
        return;
    }
    if (!call_set_string(call, key, value, expire_ms)) return;
    struct entry *entry = call_peek(call, key);
    if (entry) set_access(call, entry, options);
    if (ttl && !options->absolute) effect_absolute(call, expire_ms);
    reply_ok(call->reply);
}

// Whoever moves slots to this server should find out here, too, why it does not work.
static void refuse_payload(struct call *call, enum dump_verdict verdict) {
    struct bytes key = call->argv[1];
    int shown = key.size > KEY_SHOWN_MAX ? KEY_SHOWN_MAX : (int)key.size;
    if (verdict == DUMP_UNSUPPORTED)
        log_write(LOG_WARNING, "RESTORE of key '%.*s' refused: %s", shown, key.data, dump_error_text(verdict));
    reply_errorf(call->reply, "ERR %s", dump_error_text(verdict));
}

void key_restore(struct call *call) {
    struct restore_options options;
    if (!parse_options(call, &options)) return;
    if (!options.replace && call_write(call, call->argv[1])) {
        reply_error(call->reply, "BUSYKEY Target key name already exists.");
        return;
    }
    int64_t ttl;
    if (!parse_limited(call, call->argv[2], INT64_MAX, "ERR Invalid TTL value, must be >= 0", &ttl)) return;

    struct buffer scratch = BUFFER_EMPTY;
    struct codec_value value;
    size_t longest = must_obey(call) ? SIZE_MAX : settings.proto_max_bulk_len;
    enum dump_verdict verdict = dump_parse(call->argv[3], longest, &scratch, &value);
    if (verdict == DUMP_OK)
        restore(call, &options, ttl, value.string);
    else
        refuse_payload(call, verdict);
    buffer_free(&scratch);
}
