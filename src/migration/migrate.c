// MIGRATE: the worker's part.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "codec/dump.h"
#include "keyspace/slot_lock.h"
#include "migration/migration_private.h"
#include "resp/request.h"

enum { DEFAULT_TIMEOUT_MS = 1000 };

static struct migration_workers workers;

struct options {
    bool copy, replace;
    struct bytes user, password;
    int first_key, key_count;
};

// --- Arguments: MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH password] [AUTH2 user password] [KEYS key ...]

static int find_keys(const struct bytes *argv, int argc, int *positions) {
    int count = 0;
    for (int i = 6; i < argc && count == 0; i++) {
        // What follows AUTH is a password, whatever it says.
        int skipped = bytes_is(argv[i], "auth2") ? 2 : bytes_is(argv[i], "auth");
        i += skipped;
        if (skipped || !bytes_is(argv[i], "keys")) continue;
        if (argv[3].size) return 0; // a key here and keys there: the command will say what is wrong
        for (int j = i + 1; j < argc; j++)
            positions[count++] = j;
    }
    if (count == 0 && argc > 3) positions[count++] = 3;
    return count;
}

static bool parse_options(struct call *call, struct options *options) {
    *options = (struct options){.first_key = 3, .key_count = 1};
    for (int i = 6; i < call->argc; i++) {
        int left = call->argc - i - 1;
        if (bytes_is(call->argv[i], "copy")) {
            options->copy = true;
        } else if (bytes_is(call->argv[i], "replace")) {
            options->replace = true;
        } else if (bytes_is(call->argv[i], "auth") && left >= 1) {
            options->password = call->argv[++i];
        } else if (bytes_is(call->argv[i], "auth2") && left >= 2) {
            options->user = call->argv[++i];
            options->password = call->argv[++i];
        } else if (bytes_is(call->argv[i], "keys")) {
            if (call->argv[3].size) {
                reply_error(call->reply,
                            "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string");
                return false;
            }
            options->first_key = i + 1;
            options->key_count = left;
            return true;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

static bool parse_target(struct call *call, struct job *job) {
    int64_t port, timeout;
    if (!call_integer(call, call->argv[5], &timeout) || !call_integer(call, call->argv[4], &job->target_db)) return false;
    // What is no port or no host can't be reached, and Redis says no more of it.
    if (!number_parse(call->argv[2], &port) || port < 0 || port > UINT16_MAX) port = 0;
    job->port = (uint16_t)port;
    job->timeout_ms = timeout <= 0 ? DEFAULT_TIMEOUT_MS : timeout > INT32_MAX ? INT32_MAX : (int)timeout;
    if (call->argv[1].size < TARGET_HOST_MAX) memcpy(job->host, call->argv[1].data, call->argv[1].size);
    return true;
}

static void append_authentication(struct buffer *out, const struct options *options) {
    if (!options->password.data) return;
    request_begin(out, options->user.data ? 3 : 2);
    request_string(out, "AUTH");
    if (options->user.data) request_argument(out, options->user);
    request_argument(out, options->password);
}

// --- Packing.

static void append_restore(struct job *job, struct call *call, const struct entry *entry, bool replace,
                           struct buffer *payload) {
    static const struct rdb_format format = {.version = RDB_VERSION_DEFAULT, .compress = false, .checksum = true};
    char scratch[NUMBER_TEXT_MAX];
    struct codec_value value = entry->encoding == ENCODING_INTEGER ? codec_integer(entry_integer(entry))
                                                                   : codec_string(entry_string(entry, scratch));
    payload->size = 0;
    dump_append(payload, &value, &format);
    int64_t expire_ms = entry_expiry(entry), ttl = 0;
    if (expire_ms != NO_EXPIRY) ttl = expire_ms > call->now_ms ? expire_ms - call->now_ms : 1;
    request_begin(&job->requests, replace ? 5 : 4);
    request_string(&job->requests, settings.cluster_enabled ? "RESTORE-ASKING" : "RESTORE");
    request_argument(&job->requests, entry_key(entry));
    request_integer(&job->requests, ttl);
    request_argument(&job->requests, buffer_bytes(payload));
    if (replace) request_string(&job->requests, "REPLACE");
}

static int compare_slots(const void *a, const void *b) {
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

// The slots of the keys, ascending, each once.
static void list_slots(struct job *job) {
    job->slots = mem_alloc((size_t)job->key_count * sizeof *job->slots);
    for (int i = 0; i < job->key_count; i++)
        job->slots[i] = (uint16_t)job->keys[i].slot;
    qsort(job->slots, (size_t)job->key_count, sizeof *job->slots, compare_slots);
    for (int i = 0; i < job->key_count; i++)
        if (i == 0 || job->slots[i] != job->slots[job->slot_count - 1]) job->slots[job->slot_count++] = job->slots[i];
}

// Serialises those of the keys that are here.
static void pack(struct job *job, struct call *call, const struct options *options) {
    struct buffer payload = BUFFER_EMPTY;
    size_t names_size = 0;
    for (int i = 0; i < options->key_count; i++)
        names_size += call->argv[options->first_key + i].size;
    buffer_reserve(&job->names, names_size + 1); // so that the views into it stay
    job->keys = mem_calloc((size_t)options->key_count + 1, sizeof *job->keys);
    for (int i = 0; i < options->key_count; i++) {
        struct bytes key = call->argv[options->first_key + i];
        struct entry *entry = call_peek(call, key);
        if (!entry) continue;
        append_restore(job, call, entry, options->replace, &payload);
        struct moving_key *moving = &job->keys[job->key_count++];
        moving->name = bytes_of(job->names.data + job->names.size, key.size);
        moving->slot = hash_slot(key);
        buffer_append_bytes(&job->names, key);
    }
    buffer_free(&payload);
    if (job->key_count) list_slots(job);
}

void job_free(struct job *job) {
    buffer_free(&job->authentication);
    buffer_free(&job->requests);
    buffer_free(&job->names);
    buffer_free(&job->error);
    mem_free(job->keys);
    mem_free(job->slots);
    mem_free(job);
}

// --- The end.

static void remove_arrived(struct job *job, struct dispatcher *dispatcher) {
    if (job->copy || role.replica) return;
    if (keyspace_swaps(dispatcher->keyspace) != job->swaps) {
        // The keys may be in another database now, and others with their names in this one.
        if (!job->error.size) buffer_append_string(&job->error, "ERR SWAPDB came in between: the keys were copied, not moved");
        return;
    }
    for (int i = 0; i < job->key_count; i++)
        if (job->keys[i].arrived) dispatch_drop(dispatcher, job->db, job->keys[i].slot, job->keys[i].name);
}

static void reply_outcome(struct reply *reply, struct job *job) {
    if (job->error.size)
        reply_error(reply, buffer_string(&job->error));
    else
        reply_ok(reply);
}

// On the worker that took the command.
static void finish(void *argument) {
    struct job *job = argument;
    struct dispatcher *dispatcher = workers.dispatcher(job->worker);
    slot_lock_many(dispatcher->keyspace, job->slots, job->slot_count);
    remove_arrived(job, dispatcher);
    dispatch_flush_effects(dispatcher);
    for (unsigned i = 0; i < job->slot_count; i++)
        keyspace_slot_set_busy(dispatcher->keyspace, job->slots[i], false);
    slot_unlock_many(dispatcher->keyspace, job->slots, job->slot_count);
    workers.wake_all();
    struct buffer answer = BUFFER_EMPTY;
    struct reply reply = {.out = &answer, .protocol = job->ticket.protocol};
    reply_outcome(&reply, job);
    call_answer(job->ticket, buffer_bytes(&answer));
    buffer_free(&answer);
    job_free(job);
}

// --- The beginning.

static void send_by_courier(struct call *call, struct job *job) {
    for (unsigned i = 0; i < job->slot_count; i++)
        keyspace_slot_set_busy(call->keyspace, job->slots[i], true);
    // The threads bound each wait by the timeout; the answer needs no second clock.
    job->ticket = call_defer(call, 0, NULL);
    courier_send(job);
}

// EXEC's commands come one after the other, and nothing in between: all workers stand still until the target has answered.
static void send_inside_exec(struct call *call, struct job *job) {
    courier_carry(job);
    remove_arrived(job, call_dispatcher(call));
    reply_outcome(call->reply, job);
    job_free(job);
}

static void migrate(struct call *call) {
    struct options options;
    struct job *job = mem_calloc(1, sizeof *job);
    if (!parse_options(call, &options) || !parse_target(call, job)) {
        job_free(job);
        return;
    }
    pack(job, call, &options);
    if (job->key_count == 0) {
        reply_simple(call->reply, "NOKEY");
        job_free(job);
        return;
    }
    append_authentication(&job->authentication, &options);
    job->copy = options.copy;
    job->worker = call->worker;
    job->db = call->db;
    job->swaps = keyspace_swaps(call->keyspace);
    if (call->in_exec)
        send_inside_exec(call, job);
    else
        send_by_courier(call, job);
}

static void ended(struct job *job) {
    loop_post(workers.loop(job->worker), finish, job);
}

void migration_start(const struct migration_workers *chosen) {
    workers = *chosen;
    courier_start(ended);
}

void migration_stop(void) {
    courier_stop();
}

const struct command migration_commands[] = {
    {.name = "migrate",
     .run = migrate,
     .arity = -6,
     .flags = CMD_WRITE | CMD_MOVABLEKEYS | CMD_DEFERS,
     .categories = CAT_KEYSPACE | CAT_DANGEROUS,
     .keys = {{.begin = KEY_BEGIN_INDEX,
               .index = 3,
               .find = KEY_FIND_RANGE,
               .last = 0,
               .step = 1,
               .flags = KEY_RW | KEY_ACCESS | KEY_DELETE},
              {.begin = KEY_BEGIN_KEYWORD,
               .index = (uint16_t)-2,
               .keyword = "KEYS",
               .find = KEY_FIND_RANGE,
               .last = -1,
               .step = 1,
               .flags = KEY_RW | KEY_ACCESS | KEY_DELETE | KEY_INCOMPLETE}},
     .find_keys = find_keys},
    {.name = NULL},
};
