#include "call/admission.h"

#include <stdlib.h>
#include <string.h>

#include "base/crc16.h"
#include "base/memory.h"
#include "call/watches.h"
#include "keyspace/slot_lock.h"

static void add_slot(struct admitted *admission, unsigned slot) {
    if (admission->count == admission->capacity) {
        admission->capacity *= 2;
        uint16_t *wider = mem_alloc(admission->capacity * sizeof *wider);
        memcpy(wider, admission->slots, admission->count * sizeof *wider);
        if (admission->slots != admission->room) mem_free(admission->slots);
        admission->slots = wider;
    }
    admission->slots[admission->count++] = (uint16_t)slot;
}

static void add_keys(struct admitted *admission, const struct command *command, const struct bytes *argv, int argc) {
    enum { POSITIONS_ON_STACK = 128 };
    int room[POSITIONS_ON_STACK];
    int *positions = argc <= POSITIONS_ON_STACK ? room : mem_alloc((size_t)argc * sizeof *positions);
    int found = command_keys(command, argv, argc, positions, false);
    if (found < 0) admission->bad_keys = true;
    for (int i = 0; i < found; i++)
        add_slot(admission, hash_slot(argv[positions[i]]));
    if (positions != room) mem_free(positions);
}

static int compare_slots(const void *a, const void *b) {
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

static void sort_slots(struct admitted *admission) {
    if (admission->count < 2) return;
    qsort(admission->slots, admission->count, sizeof *admission->slots, compare_slots);
    unsigned kept = 1;
    for (unsigned i = 1; i < admission->count; i++)
        if (admission->slots[i] != admission->slots[kept - 1]) admission->slots[kept++] = admission->slots[i];
    admission->count = kept;
}

static bool names_keys(const struct command *command) {
    return command->keys[0].begin != KEY_BEGIN_NONE || command->find_keys;
}

// EXEC needs what its queue needs, all at once; a queued command that looks for keys by itself wants everything.
static void add_queue(struct admitted *admission, const struct session *session) {
    const struct transaction *transaction = &session->transaction;
    for (int i = 0; i < transaction->count; i++) {
        const struct queued_command *queued = &transaction->queue[i];
        // DEBUG decides by its subcommand, which is too late here: whoever holds slots can't wait for all
        // workers.
        if (queued->command->admission == ADMIT_EXCLUSIVE || command_is(queued->command, "debug"))
            admission->exclusive = true;
        if (names_keys(queued->command)) {
            add_keys(admission, queued->command, queued->argv, queued->argc);
            // Nobody may wait while slots are locked: MIGRATE, which waits for its target, has everything.
            if (queued->command->flags & CMD_DEFERS) admission->exclusive = true;
        } else if (queued->command->flags & (CMD_READONLY | CMD_WRITE)) {
            admission->exclusive = true;
        }
    }
}

static void add_watched(struct admitted *admission, const struct session *session) {
    LIST_EACH(node, (struct list_node *)&session->watches)
        add_slot(admission, watches_slot(node));
}

// Commands that end a transaction or its watches.
static bool ends_watches(const struct command *command) {
    return command->categories & CAT_TRANSACTION || command_is(command, "reset") || command_is(command, "quit");
}

void admission_work_out(struct admitted *admission, const struct session *session, const struct prepared *prepared) {
    const struct command *command = prepared->command;
    admission->slots = admission->room;
    admission->capacity = ADMISSION_SLOTS_ON_STACK;
    admission->count = 0;
    admission->bad_keys = false;
    admission->exclusive = command->admission == ADMIT_EXCLUSIVE;
    const struct key_spec *spec = &command->keys[0];
    if (prepared->key.data && spec->last == 0 && command->keys[1].begin == KEY_BEGIN_NONE) {
        admission->room[0] = (uint16_t)prepared->slot;
        admission->count = 1;
    } else if (names_keys(command)) {
        add_keys(admission, command, prepared->parsed.argv, prepared->parsed.argc);
    }
    if (__builtin_expect(session->transaction.open, 0) && command_is(command, "exec")) add_queue(admission, session);
    sort_slots(admission);
    admission->keyed = admission->count;
    if (admission->count) admission->first_keyed = admission->slots[0];
    if (__builtin_expect(!list_empty(&session->watches), 0) && ends_watches(command)) {
        add_watched(admission, session);
        sort_slots(admission);
    }
}

void admission_let_in(struct dispatcher *dispatcher, const struct admitted *admission) {
    if (admission->exclusive)
        dispatch_begin_exclusive(dispatcher);
    else if (admission->count)
        slot_lock_many(dispatcher->keyspace, admission->slots, admission->count);
    dispatcher->held = true; // whatever it nests locks nothing of its own
}

void admission_let_out(struct dispatcher *dispatcher, const struct admitted *admission) {
    dispatcher->held = false;
    if (admission->exclusive)
        dispatch_end_exclusive(dispatcher);
    else if (admission->count)
        slot_unlock_many(dispatcher->keyspace, admission->slots, admission->count);
}

void admission_free(struct admitted *admission) {
    if (admission->slots != admission->room) mem_free(admission->slots);
}
