#include "cli/cluster_move.h"

#include <stdio.h>
#include <string.h>

#include "base/bitset.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "cli/cluster_interrupt.h"
#include "cli/cluster_log.h"
#include "cli/cluster_migrate.h"
#include "os/clock.h"
#include "resp/request.h"

enum {
    BATCH_SLOTS = 64,       // slots open at the same time
    MIGRATES_IN_FLIGHT = 4, // more would keep the source's other clients waiting
    KEYS_FIRST = 64,        // keys in one MIGRATE, unless the user says how many
    KEYS_LEAST = 1,
    KEYS_MOST = 128,
    MIGRATE_SLOW_US = 20000, // on average: then fewer keys at a time
    MIGRATE_FAST_US = 4000,  // then more
    RETRY_PAUSE_MS = 100,    // after a passing error
    RETRY_GIVE_UP_MS = 15000,
};

// One slot of a batch.
struct open_slot {
    uint16_t slot;
    bool empty;   // the source has no keys of it left in the database
    bool failed;  // a key could not be moved
    size_t asked; // keys of the MIGRATE that is under way
    uint64_t keys;
    struct buffer migrate; // the request
};

struct batch {
    struct slot_mover *mover;
    struct cluster_node *source;
    struct open_slot slots[BATCH_SLOTS];
    size_t count;
    unsigned db; // the database whose keys move now
    size_t keys_at_once;
    int64_t trouble_since_ms; // when the passing errors began that still go on; 0: there are none
};

// ---- SETSLOT for a whole batch at a node ----

static void queue_setslot(const struct cluster_node *at, unsigned slot, const char *how, const char *id) {
    char number[NUMBER_TEXT_MAX];
    number_format(number, slot);
    request_strings(connection_queue(at->connection), "CLUSTER", "SETSLOT", number, how, id, NULL);
}

// Reads the answers to a batch's SETSLOTs; false, with the first error said, when there is one.
static bool read_setslots(const struct cluster_node *at, size_t count, const char *how) {
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        const struct reply *reply = connection_read(at->connection);
        if (reply && (reply->type != REPLY_ERROR || cluster_node_has_retired(reply))) continue;
        if (good) {
            cluster_log(TONE_BAD, "\n[ERR] CLUSTER SETSLOT ... %s failed.\n", how);
            cluster_node_say_error(at, reply);
        }
        if (!reply) return false;
        good = false;
    }
    return good;
}

static bool set_slots(const struct batch *batch, const struct cluster_node *at, const char *how,
                      const char *id) {
    for (size_t i = 0; i < batch->count; i++)
        queue_setslot(at, batch->slots[i].slot, how, id);
    return read_setslots(at, batch->count, how);
}

// ---- Keys ----

static void queue_key_question(struct batch *batch, unsigned slot) {
    struct buffer *queue = connection_queue(batch->source->connection);
    request_begin(queue, 4);
    request_string(queue, "CLUSTER");
    request_string(queue, "GETKEYSINSLOT");
    request_integer(queue, slot);
    request_integer(queue, (int64_t)batch->keys_at_once);
}

static void build_migrate(struct batch *batch, struct open_slot *open, const struct reply *reply) {
    struct migrate_wish wish = migrate_wish_to(batch->mover->target, batch->db, batch->mover->options);
    struct texts keys = {0};
    for (size_t i = 0; i < reply->count; i++)
        texts_add(&keys, reply->items[i].text);
    open->migrate.size = 0;
    migrate_append(&open->migrate, &wish, &keys);
    texts_free(&keys);
    open->asked = reply->count;
}

// Asks which keys the open slots still have and prepares their MIGRATEs. False when the source does not
// answer.
static bool ask_for_keys(struct batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        batch->slots[i].asked = 0;
        if (!batch->slots[i].empty && !batch->slots[i].failed)
            queue_key_question(batch, batch->slots[i].slot);
    }
    for (size_t i = 0; i < batch->count; i++) {
        struct open_slot *open = &batch->slots[i];
        if (open->empty || open->failed) continue;
        const struct reply *reply = connection_read(batch->source->connection);
        if (!reply || reply->type != REPLY_ARRAY) {
            cluster_log(TONE_BAD, "\n[ERR] CLUSTER GETKEYSINSLOT failed.\n");
            cluster_node_say_error(batch->source, reply);
            return false;
        }
        if (reply->count)
            build_migrate(batch, open, reply);
        else
            open->empty = true;
    }
    return true;
}

static void say_migrate_failed(const struct batch *batch, const struct open_slot *open, struct bytes why) {
    const struct cluster_node *source = batch->source, *target = batch->mover->target;
    cluster_log(TONE_BAD, "\n[ERR] Calling MIGRATE: %.*s\n", (int)why.size, why.data);
    cluster_log(TONE_BAD, "Slot %u from %s:%u to %s:%u is left open.\n", open->slot, source->host,
                source->port, target->host, target->port);
    if (memmem(why.data, why.size, "BUSYKEY", 7))
        printf("A key of this slot exists at the target as well. With --cluster-replace the source's value "
               "takes its "
               "place.\n");
}

// Errors that go away when the nodes have had a moment; the target's come through the source.
static bool is_passing(struct bytes error) {
    static const char *const codes[] = {"CLUSTERDOWN ", "TRYAGAIN ", "LOADING ", "MASTERDOWN "};
    static const char relayed[] = "ERR Target instance replied with error: ";
    const size_t prefix = sizeof relayed - 1;
    if (error.size > prefix && memcmp(error.data, relayed, prefix) == 0)
        error = bytes_of(error.data + prefix, error.size - prefix);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (error.size > strlen(codes[i]) && memcmp(error.data, codes[i], strlen(codes[i])) == 0) return true;
    return false;
}

// Should the MIGRATE that answered this error be tried again? Not for ever.
static bool is_worth_retrying(struct batch *batch, struct bytes error) {
    if (!is_passing(error)) return false;
    int64_t now = clock_mono_ms();
    if (!batch->trouble_since_ms) batch->trouble_since_ms = now;
    return now - batch->trouble_since_ms < RETRY_GIVE_UP_MS;
}

// Reads the answer to one MIGRATE; false when the source does not answer.
static bool read_migrate(struct batch *batch, struct open_slot *open) {
    const struct reply *reply = connection_read(batch->source->connection);
    if (!reply) {
        say_migrate_failed(batch, open, bytes_from_string(connection_error(batch->source->connection)));
        return false;
    }
    if (reply->type == REPLY_ERROR && is_worth_retrying(batch, reply->text)) return true;
    open->failed = reply->type == REPLY_ERROR;
    if (open->failed) {
        say_migrate_failed(batch, open, reply->text);
        return true;
    }
    batch->trouble_since_ms = 0;
    open->keys += open->asked;
    batch->mover->progress.keys_moved += open->asked;
    return true;
}

// Sends the prepared MIGRATEs, a few in flight. False when the source does not answer.
static bool migrate_wave(struct batch *batch, size_t *sent) {
    size_t waiting[MIGRATES_IN_FLIGHT], first = 0, in_flight = 0;
    *sent = 0;
    for (size_t i = 0; i < batch->count; i++) {
        if (!batch->slots[i].asked) continue;
        if (in_flight == MIGRATES_IN_FLIGHT) {
            if (!read_migrate(batch, &batch->slots[waiting[first]])) return false;
            first = (first + 1) % MIGRATES_IN_FLIGHT;
            in_flight--;
        }
        buffer_append_bytes(connection_queue(batch->source->connection),
                            buffer_bytes(&batch->slots[i].migrate));
        if (!connection_flush(batch->source->connection)) return false;
        waiting[(first + in_flight++) % MIGRATES_IN_FLIGHT] = i;
        ++*sent;
    }
    for (; in_flight; in_flight--, first = (first + 1) % MIGRATES_IN_FLIGHT)
        if (!read_migrate(batch, &batch->slots[waiting[first]])) return false;
    return true;
}

// A MIGRATE stops the source for as long as it takes: large values go in smaller portions.
static void adapt(struct batch *batch, size_t migrates, int64_t us) {
    if (batch->mover->options->cluster.pipeline > 0 || !migrates) return;
    int64_t each = us / (int64_t)migrates;
    if (each > MIGRATE_SLOW_US && batch->keys_at_once > KEYS_LEAST) batch->keys_at_once /= 2;
    if (each < MIGRATE_FAST_US && batch->keys_at_once < KEYS_MOST) batch->keys_at_once *= 2;
}

// Moves keys until no slot of the batch has any in the database, or those that have can't give them. False
// when the source is lost.
static bool move_keys_of_database(struct batch *batch) {
    for (;;) {
        size_t sent;
        if (!ask_for_keys(batch)) return false;
        int64_t started = clock_mono_us();
        if (!migrate_wave(batch, &sent)) return false;
        if (!sent) return true;
        if (batch->trouble_since_ms)
            clock_sleep_us(RETRY_PAUSE_MS * 1000);
        else
            adapt(batch, sent, clock_mono_us() - started);
        batch->mover->listener(batch->mover->context, &batch->mover->progress, NULL, NULL, 0);
    }
}

// Database after database: a migrating slot gets no new keys, so those that are empty stay so.
static bool move_keys(struct batch *batch) {
    for (batch->db = 0; batch->db < batch->source->databases; batch->db++) {
        if (!cluster_node_select(batch->source, batch->db)) return false;
        for (size_t i = 0; i < batch->count; i++)
            batch->slots[i].empty = false;
        if (!move_keys_of_database(batch)) return false;
    }
    return true;
}

// ---- Ownership ----

static bool give_at(const struct batch *batch, const struct cluster_node *at) {
    return set_slots(batch, at, "NODE", batch->mover->target->id);
}

// The target first: from then on it says that the slot is its own, and no moment comes in which nobody does.
static bool hand_over(const struct batch *batch) {
    const struct slot_mover *mover = batch->mover;
    if (!give_at(batch, mover->target) || !give_at(batch, batch->source)) return false;
    for (size_t i = 0; i < mover->nodes->count; i++) {
        const struct cluster_node *node = &mover->nodes->items[i];
        bool told = node == mover->target || node == batch->source || !cluster_node_is_primary(node);
        // They would hear it from the bus as well; that one of them does not answer does not stop the move.
        if (!told) give_at(batch, node);
    }
    return true;
}

// Takes the slots that failed out of the batch; true when there were any.
static bool drop_failed(struct batch *batch) {
    size_t kept = 0;
    for (size_t i = 0; i < batch->count; i++)
        if (!batch->slots[i].failed) {
            struct open_slot kept_slot = batch->slots[i];
            batch->slots[i] = batch->slots[kept];
            batch->slots[kept++] = kept_slot;
        }
    bool some = kept < batch->count;
    batch->count = kept;
    return some;
}

static void note_moved(struct batch *batch) {
    struct slot_mover *mover = batch->mover;
    struct slot_move finished[BATCH_SLOTS];
    uint64_t keys[BATCH_SLOTS];
    for (size_t i = 0; i < batch->count; i++) {
        unsigned slot = batch->slots[i].slot;
        finished[i] = (struct slot_move){(uint16_t)slot, batch->source};
        keys[i] = batch->slots[i].keys;
        bitset_clear(batch->source->slots, slot);
        bitset_set(mover->target->slots, slot);
    }
    batch->source->slot_count -= (unsigned)batch->count;
    mover->target->slot_count += (unsigned)batch->count;
    mover->progress.slots_moved += batch->count;
    mover->listener(mover->context, &mover->progress, finished, keys, batch->count);
}

static bool knows(const struct cluster_node *at, const struct cluster_node *other) {
    const struct reply *reply = CONNECTION_ASK(at->connection, "CLUSTER", "COUNT-FAILURE-REPORTS", other->id);
    return !reply || reply->type == REPLY_INTEGER; // who does not answer is found out by what follows
}

// Who has just joined is not known everywhere yet. It is waited for; what comes of it, the orders will show.
static void wait_for_acquaintance(const struct batch *batch) {
    const struct cluster_node *target = batch->mover->target, *source = batch->source;
    int64_t deadline = clock_mono_ms() + RETRY_GIVE_UP_MS;
    while (!(knows(source, target) && knows(target, source)) && clock_mono_ms() < deadline &&
           !interrupt_noted())
        clock_sleep_us(RETRY_PAUSE_MS * 1000);
}

// Whether it works out is of no interest: what stays open is shown by a check.
static void close_at(const struct batch *batch, const struct cluster_node *at) {
    for (size_t i = 0; i < batch->count; i++)
        queue_setslot(at, batch->slots[i].slot, "STABLE", NULL);
    for (size_t i = 0; i < batch->count; i++)
        if (!connection_read(at->connection)) return;
}

// The target first, since a client that is sent there by ASK must find it ready. When one of them refuses, no
// slot of the batch stays open: no key has moved.
static bool open_batch(const struct batch *batch) {
    const struct cluster_node *target = batch->mover->target, *source = batch->source;
    bool good = set_slots(batch, target, "IMPORTING", source->id) &&
                set_slots(batch, source, "MIGRATING", target->id);
    if (!good) {
        close_at(batch, target);
        close_at(batch, source);
    }
    return good;
}

static bool run_batch(struct batch *batch) {
    if (!open_batch(batch) || !move_keys(batch)) return false;
    bool some_failed = drop_failed(batch);
    if (batch->count && !hand_over(batch)) return false;
    note_moved(batch);
    return !some_failed;
}

// Fills the batch with the next moves that have one source; returns how many.
static size_t fill(struct batch *batch, const struct slot_move *moves, size_t count) {
    size_t n = 0;
    if (batch->source != moves[0].source) {
        batch->source = moves[0].source;
        wait_for_acquaintance(batch);
    }
    while (n < count && n < BATCH_SLOTS && moves[n].source == batch->source) {
        struct buffer kept = batch->slots[n].migrate;
        batch->slots[n] = (struct open_slot){.slot = moves[n].slot, .migrate = kept};
        n++;
    }
    batch->count = n;
    return n;
}

static void say_unfinished(void) {
    printf(
        "Slots that are still open are shown by --cluster check; --cluster fix finishes or closes them.\n");
    fflush(stdout);
}

enum move_result slot_mover_run(struct slot_mover *mover, const struct slot_move *moves, size_t count) {
    struct batch *batch = mem_calloc(1, sizeof *batch);
    batch->mover = mover;
    batch->keys_at_once =
        mover->options->cluster.pipeline > 0 ? (size_t)mover->options->cluster.pipeline : KEYS_FIRST;
    enum move_result result = MOVE_DONE;
    for (size_t at = 0; at < count && result == MOVE_DONE;) {
        if (interrupt_noted()) {
            result = MOVE_INTERRUPTED;
            break;
        }
        at += fill(batch, moves + at, count - at);
        if (!run_batch(batch)) result = MOVE_FAILED;
    }
    if (result == MOVE_FAILED) say_unfinished();
    for (size_t i = 0; i < BATCH_SLOTS; i++)
        buffer_free(&batch->slots[i].migrate);
    mem_free(batch);
    return result;
}
