#include "call/call.h"
#include "commands/common.h"
#include "commands/keys.h"

// Sets `key` to the value of `source`; a large one is shared. False: out of memory, the error is replied.
static bool put_value(struct call *call, unsigned db, struct bytes key, const struct entry *source) {
    char scratch[NUMBER_TEXT_MAX];
    int64_t expire_ms = entry_expiry(source);
    if (source->encoding == ENCODING_BLOB) {
        call_set_blob_in(call, db, key, entry_blob(source), expire_ms);
        return true;
    }
    struct bytes value = entry_string(source, scratch);
    bool as_text = source->encoding != ENCODING_INTEGER && db == call->db;
    return as_text ? set_string_as_text(call, key, value, expire_ms)
                   : call_set_string_in(call, db, key, value, expire_ms);
}

// Makes `key` of database `db` what `source`, another entry of the same slot or of exclusive mode, is. False:
// out of memory, the error is replied.
static bool put_copy(struct call *call, unsigned db, struct bytes key, const struct entry *source) {
    bool raw = source->raw;
    uint32_t access = source->access;
    if (!put_value(call, db, key, source)) return false;
    struct entry *copy = call_peek_in(call, db, key);
    if (copy) { // it is absent only when a replica is given a key that has expired
        copy->raw = raw;
        copy->access = access;
    }
    return true;
}

// Renames; the keys differ and `source` is the entry of the first.
static bool rename_entry(struct call *call, const struct entry *source) {
    return put_copy(call, call->db, call->argv[2], source) && call_delete(call, call->argv[1]);
}

static struct entry *source_of_rename(struct call *call) {
    struct entry *source = call_write(call, call->argv[1]);
    if (!source) reply_error(call->reply, "ERR no such key");
    return source;
}

void key_rename(struct call *call) {
    struct entry *source = source_of_rename(call);
    if (!source) return;
    if (bytes_equal(call->argv[1], call->argv[2]) || rename_entry(call, source)) reply_ok(call->reply);
}

void key_renamenx(struct call *call) {
    struct entry *source = source_of_rename(call);
    if (!source) return;
    if (bytes_equal(call->argv[1], call->argv[2]) || call_write(call, call->argv[2]))
        reply_integer(call->reply, 0);
    else if (rename_entry(call, source))
        reply_integer(call->reply, 1);
}

static void reply_same_objects(struct call *call) {
    reply_error(call->reply, "ERR source and destination objects are the same");
}

static bool parse_copy(struct call *call, unsigned *db, bool *replace) {
    *db = call->db;
    *replace = false;
    for (int i = 3; i < call->argc; i++) {
        if (bytes_is(call->argv[i], "replace")) {
            *replace = true;
        } else if (bytes_is(call->argv[i], "db") && i + 1 < call->argc) {
            if (!parse_database(call, call->argv[++i], db)) return false;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    if (settings_only_database_zero() && *db != 0) {
        reply_error(call->reply, "ERR Copying to another database is not allowed in cluster mode");
        return false;
    }
    return true;
}

void key_copy(struct call *call) {
    unsigned db;
    bool replace;
    if (!parse_copy(call, &db, &replace)) return;
    struct bytes from = call->argv[1], to = call->argv[2];
    if (db == call->db && bytes_equal(from, to)) {
        reply_same_objects(call);
        return;
    }
    // The destination first: when it has expired, it is deleted by being looked at.
    bool taken = call_peek_in(call, db, to) != NULL;
    struct entry *source = call_read(call, from);
    if (!source || (taken && !replace))
        reply_integer(call->reply, 0);
    else if (put_copy(call, db, to, source))
        reply_integer(call->reply, 1);
}

void key_move(struct call *call) {
    if (settings_only_database_zero()) {
        reply_error(call->reply, "ERR MOVE is not allowed in cluster mode");
        return;
    }
    unsigned db;
    struct bytes key = call->argv[1];
    if (!parse_database(call, call->argv[2], &db)) return;
    if (db == call->db) {
        reply_same_objects(call);
        return;
    }
    bool taken = call_peek_in(call, db, key) != NULL;
    struct entry *source = call_write(call, key);
    if (!source || taken)
        reply_integer(call->reply, 0);
    else if (put_copy(call, db, key, source) && call_delete(call, key))
        reply_integer(call->reply, 1);
}
