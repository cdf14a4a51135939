#include "call/effects.h"

#include <stdio.h>

#include "base/numbers.h"

static const struct bytes multi = BYTES("*1\r\n$5\r\nMULTI\r\n"), exec = BYTES("*1\r\n$4\r\nEXEC\r\n");

static bool wanted(const struct dispatcher *dispatcher) {
    return journal_active(dispatcher->journal) && !role.replica && !role.loading;
}

static void append_header(struct buffer *out, char kind, size_t value) {
    char text[NUMBER_TEXT_MAX + 3];
    text[0] = kind;
    char *end = number_put(text + 1, value);
    memcpy(end, "\r\n", 2);
    buffer_append(out, text, (size_t)(end + 2 - text));
}

static void append_bulk(struct buffer *out, struct bytes bytes) {
    append_header(out, '$', bytes.size);
    buffer_append_bytes(out, bytes);
    buffer_append(out, "\r\n", 2);
}

static void append_select(struct dispatcher *dispatcher, int db) {
    char text[NUMBER_TEXT_MAX];
    append_header(&dispatcher->effects, '*', 2);
    append_bulk(&dispatcher->effects, BYTES("SELECT"));
    append_bulk(&dispatcher->effects, bytes_of(text, number_format(text, db)));
    dispatcher->effect_db = db;
}

// Notes the database of the next effect, with a SELECT where it differs from that of the last.
static void begin_effect(struct dispatcher *dispatcher, int db) {
    if (dispatcher->effect_count == 0)
        dispatcher->effect_db = dispatcher->effect_first_db = db;
    else if (db != dispatcher->effect_db)
        append_select(dispatcher, db);
    dispatcher->effect_count++;
}

static void gather(struct dispatcher *dispatcher, unsigned db, int argc, const struct bytes *argv,
                   struct bytes raw) {
    begin_effect(dispatcher, (int)db);
    if (raw.size) {
        buffer_append_bytes(&dispatcher->effects, raw);
        return;
    }
    append_header(&dispatcher->effects, '*', (size_t)argc);
    for (int i = 0; i < argc; i++)
        append_bulk(&dispatcher->effects, argv[i]);
}

void effects_add(struct dispatcher *dispatcher, unsigned db, int argc, const struct bytes *argv) {
    if (wanted(dispatcher)) gather(dispatcher, db, argc, argv, (struct bytes){NULL, 0});
}

__attribute__((noinline)) static void gather_itself(struct call *call) {
    const struct resp_command *parsed = &call->prepared->parsed;
    struct bytes raw = parsed->is_inline ? (struct bytes){NULL, 0} : parsed->raw;
    gather(call->dispatcher, call->db, call->argc, call->argv, raw);
}

void effects_finish(struct call *call) {
    if (!call->effect_replaced && wanted(call->dispatcher)) gather_itself(call);
}

void effects__journal(struct dispatcher *dispatcher, struct session *session) {
    struct buffer *effects = &dispatcher->effects;
    bool wrap = dispatcher->effect_count > 1;
    if (wrap) {
        // One append, so that nobody else's effect comes between.
        buffer_append_bytes(effects, exec);
        buffer_extend(effects, multi.size);
        memmove(effects->data + multi.size, effects->data, effects->size - multi.size);
        memcpy(effects->data, multi.data, multi.size);
    }
    // The stream must be left in the database that the journal believes it to be in.
    if (dispatcher->effect_db != dispatcher->effect_first_db) append_select(dispatcher, dispatcher->effect_first_db);
    uint64_t end =
        journal_append(dispatcher->journal, dispatcher->worker, dispatcher->effect_first_db, buffer_bytes(effects));
    if (session) session->last_write_offset = end;
    effects->size = 0;
    dispatcher->effect_count = 0;
}
