#include "call/invalidation.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/prng.h"
#include "call/broadcasts.h"
#include "call/tracking.h"
#include "keyspace/slot_lock.h"
#include "keyspace/tracked.h"
#include "os/lock.h"
#include "os/ticks.h"
#include "resp/writer.h"

static struct invalidation_sinks sinks;

// --- What this thread has noted.

struct changed_key {
    size_t offset, size; // in note.text
    uint64_t skip;       // a listener that changed it and does not want to hear of it, or 0
    bool by_itself;
};

struct note {
    struct buffer events; // struct tracked_key *, in the order of what happened; NULL: everything was flushed
    // Broadcast when the turn ends:
    struct buffer changed; // struct changed_key
    struct buffer text;
    size_t settled;  // how many of them have their `skip`
    bool overflowed; // too much to be told one by one
};
static _Thread_local struct note note;
_Thread_local bool invalidation_noted;

static void add_event(struct tracked_key *read) {
    buffer_append(&note.events, &read, sizeof read);
}

static void hear_change(struct bytes key, struct tracked_key *read, bool broadcasting, bool by_itself) {
    invalidation_noted = true;
    if (read) add_event(read);
    if (!broadcasting || note.overflowed) return;
    if (note.text.size + note.changed.size > INVALIDATION_GATHERED_MAX) {
        note.overflowed = true;
        return;
    }
    struct changed_key changed = {.offset = note.text.size, .size = key.size, .by_itself = by_itself};
    buffer_append(&note.changed, &changed, sizeof changed);
    buffer_append_bytes(&note.text, key);
}

static void hear_flush(void) {
    invalidation_noted = true;
    add_event(NULL);
}

void invalidation_start(struct keyspace *keyspace, const struct invalidation_sinks *chosen) {
    static const struct keyspace_ear ear = {.changed = hear_change, .flushed = hear_flush};
    sinks = *chosen;
    keyspace_set_ear(keyspace, &ear);
}

// --- Pushes.

static void begin_push(struct buffer *out, const char *kind) {
    struct reply reply = {.out = out, .protocol = 3};
    out->size = 0;
    reply_push(&reply, 2);
    reply_bulk_string(&reply, kind);
}

static void push_of_keys(struct buffer *out, const struct bytes *keys, unsigned count) {
    begin_push(out, "invalidate");
    struct reply reply = {.out = out, .protocol = 3};
    reply_array(&reply, count);
    for (unsigned i = 0; i < count; i++)
        reply_bulk(&reply, keys[i]);
}

static void push_of_flush(struct buffer *out) {
    begin_push(out, "invalidate");
    struct reply reply = {.out = out, .protocol = 3};
    reply_null(&reply);
}

// --- Mailboxes: what workers tell each other's sessions.

enum letter_kind {
    LETTER_TRACKERS,  // a push for these sessions, which have read its key
    LETTER_LISTENERS, // likewise, which listen to a prefix
    LETTER_TARGET,    // a push for the second session, to which the first redirects
    LETTER_BROKEN,    // the second session, to which the first redirects, is gone
    LETTER_ALL,       // everything changed: for all who track
};

struct letter {
    enum letter_kind kind;
    unsigned count; // listeners, which follow; then the push
    size_t push_size;
};

struct mailbox {
    struct lock lock; // guards what follows
    struct buffer letters;
    bool posted, overflowed;
};
static struct mailbox mailboxes[DISPATCHERS_MAX];

static void open_mailbox(void *argument);

static void post_letter(unsigned worker, enum letter_kind kind, const uint64_t *listeners, unsigned count,
                        struct bytes push) {
    struct mailbox *mailbox = &mailboxes[worker];
    struct letter letter = {.kind = kind, .count = count, .push_size = push.size};
    lock_acquire(&mailbox->lock);
    if (mailbox->letters.size > INVALIDATION_MAILBOX_MAX) {
        mailbox->overflowed = true;
        buffer_free(&mailbox->letters);
    }
    if (!mailbox->overflowed) {
        buffer_append(&mailbox->letters, &letter, sizeof letter);
        buffer_append(&mailbox->letters, listeners, count * sizeof *listeners);
        buffer_append_bytes(&mailbox->letters, push);
    }
    bool post = !mailbox->posted;
    mailbox->posted = true;
    lock_release(&mailbox->lock);
    if (post) sinks.post(worker, open_mailbox, (void *)(uintptr_t)worker);
}

// --- One session is told. On its worker, `here`.

static bool is_told(const struct session *session) {
    return !session->closing && session->kind == SESSION_NORMAL;
}

static struct session *find(unsigned here, uint64_t listener) {
    struct session *session = sinks.find(here, listener_session(listener));
    return session && is_told(session) ? session : NULL;
}

static void find_broken(unsigned here, uint64_t source, uint64_t target) {
    struct session *session = find(here, source);
    if (!session || !session->tracking || session->tracking->redirect != listener_session(target)) return;
    session->tracking->broken = true;
    if (session->protocol != 3) return;
    struct buffer push = BUFFER_EMPTY;
    begin_push(&push, "tracking-redir-broken");
    struct reply reply = {.out = &push, .protocol = 3};
    reply_integer(&reply, (int64_t)listener_session(target));
    sinks.send(here, session->id, buffer_bytes(&push));
    buffer_free(&push);
}

// A target that speaks RESP2 would have to be subscribed to a channel: it is told nothing.
static void tell_target(unsigned here, uint64_t source, uint64_t target, struct bytes push) {
    const struct session *session = find(here, target);
    if (session && session->protocol == 3) sinks.send(here, session->id, push);
    if (session) return;
    if (listener_worker(source) == here)
        find_broken(here, source, target);
    else
        post_letter(listener_worker(source), LETTER_BROKEN, (uint64_t[]){source, target}, 2, BYTES(""));
}

static void tell(unsigned here, const struct session *session, struct bytes push) {
    const struct session_tracking *tracking = session->tracking;
    if (tracking->redirect) {
        uint64_t source = listener_of(session->id, here);
        uint64_t target = listener_of(tracking->redirect, tracking->redirect_worker);
        if (tracking->redirect_worker == here)
            tell_target(here, source, target, push);
        else
            post_letter(tracking->redirect_worker, LETTER_TARGET, (uint64_t[]){source, target}, 2, push);
    } else if (session->protocol == 3) {
        sinks.send(here, session->id, push);
    }
}

// It may have turned tracking off, or on in the other mode, since it read the key or chose the prefix.
static void tell_listener(unsigned here, uint64_t listener, bool broadcast, struct bytes push) {
    const struct session *session = find(here, listener);
    if (session && session->tracking && session->tracking->options.broadcast == broadcast)
        tell(here, session, push);
}

static void tell_all(unsigned here) {
    struct buffer push = BUFFER_EMPTY;
    push_of_flush(&push);
    LIST_EACH(node, tracking_of_worker(here)) {
        const struct session_tracking *tracking = LIST_ENTRY(node, struct session_tracking, of_worker);
        const struct session *session = tracking->session;
        if (is_told(session)) tell(here, session, buffer_bytes(&push));
    }
    buffer_free(&push);
}

// --- Letters arrive.

static void read_letter(unsigned here, const struct letter *letter, const uint64_t *listeners,
                        struct bytes push) {
    switch (letter->kind) {
    case LETTER_TRACKERS:
    case LETTER_LISTENERS:
        for (unsigned i = 0; i < letter->count; i++)
            tell_listener(here, listeners[i], letter->kind == LETTER_LISTENERS, push);
        break;
    case LETTER_TARGET: tell_target(here, listeners[0], listeners[1], push); break;
    case LETTER_BROKEN: find_broken(here, listeners[0], listeners[1]); break;
    case LETTER_ALL: tell_all(here); break;
    }
}

static void read_letters(unsigned here, struct bytes letters) {
    uint64_t *listeners = NULL;
    unsigned capacity = 0;
    size_t at = 0;
    while (at < letters.size) {
        struct letter letter;
        memcpy(&letter, letters.data + at, sizeof letter);
        at += sizeof letter;
        if (letter.count > capacity) {
            capacity = letter.count;
            listeners = mem_realloc(listeners, capacity * sizeof *listeners);
        }
        size_t size = letter.count * sizeof *listeners;
        if (size) memcpy(listeners, letters.data + at, size);
        at += size;
        read_letter(here, &letter, listeners, bytes_of(letters.data + at, letter.push_size));
        at += letter.push_size;
    }
    mem_free(listeners);
}

// On the mailbox's worker.
static void open_mailbox(void *argument) {
    unsigned here = (unsigned)(uintptr_t)argument;
    struct mailbox *mailbox = &mailboxes[here];
    lock_acquire(&mailbox->lock);
    struct buffer letters = mailbox->letters;
    bool overflowed = mailbox->overflowed;
    mailbox->letters = BUFFER_EMPTY;
    mailbox->posted = mailbox->overflowed = false;
    lock_release(&mailbox->lock);
    read_letters(here, buffer_bytes(&letters));
    if (overflowed) tell_all(here);
    buffer_free(&letters);
}

// --- Settling.

// Tells these listeners, here or by letter, all but `skip`.
static void tell_listeners(unsigned here, const uint64_t *listeners, unsigned count, bool broadcast,
                           uint64_t skip, struct bytes push) {
    uint64_t elsewhere = 0; // a bit for each other worker that has some of them
    for (unsigned i = 0; i < count; i++) {
        unsigned worker = listener_worker(listeners[i]);
        if (worker != here)
            elsewhere |= 1ull << worker;
        else if (listeners[i] != skip)
            tell_listener(here, listeners[i], broadcast, push);
    }
    if (!elsewhere) return;
    uint64_t *theirs = mem_alloc(count * sizeof *theirs);
    for (; elsewhere; elsewhere &= elsewhere - 1) {
        unsigned worker = (unsigned)__builtin_ctzll(elsewhere), found = 0;
        for (unsigned i = 0; i < count; i++)
            if (listener_worker(listeners[i]) == worker) theirs[found++] = listeners[i];
        post_letter(worker, broadcast ? LETTER_LISTENERS : LETTER_TRACKERS, theirs, found, push);
    }
    mem_free(theirs);
}

static void settle_key(unsigned here, struct tracked_key *read, uint64_t skip) {
    struct buffer push = BUFFER_EMPTY;
    struct bytes key = tracked_key_bytes(read);
    push_of_keys(&push, &key, 1);
    uint64_t room[8], *readers = read->count <= 8 ? room : mem_alloc(read->count * sizeof *readers);
    unsigned count = 0;
    TRACKED_EACH_READER(reader, read)
    readers[count++] = reader;
    tell_listeners(here, readers, count, false, skip, buffer_bytes(&push));
    if (readers != room) mem_free(readers);
    buffer_free(&push);
    tracked_key_free(read);
}

static void settle_flush(unsigned here) {
    for (unsigned worker = 0; worker < DISPATCHERS_MAX; worker++) {
        if (worker == here)
            tell_all(here);
        else if (tracking_on_worker(worker))
            post_letter(worker, LETTER_ALL, NULL, 0, BYTES(""));
    }
}

bool invalidation_too_many_tracked(const struct keyspace *keyspace) {
    return settings.tracking_table_max_keys &&
           keyspace_tracked_keys(keyspace) > settings.tracking_table_max_keys;
}

// Forgets keys chosen by luck, telling their readers.
static void make_room(struct dispatcher *dispatcher) {
    struct keyspace *keyspace = dispatcher->keyspace;
    struct prng prng;
    prng_seed(&prng, ticks_now());
    for (unsigned i = 0; i < INVALIDATION_EVICTED_MAX && invalidation_too_many_tracked(keyspace); i++) {
        unsigned slot = keyspace_tracked_slot(keyspace, (unsigned)prng_below(&prng, HASH_SLOTS));
        if (slot == HASH_SLOTS) return;
        slot_lock(keyspace, slot);
        struct tracked_key *taken = keyspace_untrack_any(keyspace, slot, prng_next(&prng));
        slot_unlock(keyspace, slot);
        if (taken) settle_key(dispatcher->worker, taken, 0);
    }
}

void invalidation_settle(struct dispatcher *dispatcher, const struct session *session) {
    bool no_loop = session && session->tracking && session->tracking->options.no_loop;
    uint64_t skip = no_loop ? listener_of(session->id, session->worker) : 0;
    struct tracked_key *const *events = (struct tracked_key *const *)note.events.data;
    for (size_t i = 0; i < note.events.size / sizeof *events; i++) {
        if (events[i])
            settle_key(dispatcher->worker, events[i], skip);
        else
            settle_flush(dispatcher->worker);
    }
    if (note.events.size) buffer_free(&note.events);
    struct changed_key *changed = (struct changed_key *)note.changed.data;
    for (size_t i = note.settled; i < note.changed.size / sizeof *changed; i++)
        changed[i].skip = changed[i].by_itself ? 0 : skip;
    note.settled = note.changed.size / sizeof *changed;
    invalidation_noted = false;
    if (invalidation_too_many_tracked(dispatcher->keyspace)) make_room(dispatcher);
}

// --- The end of a turn.

struct telling {
    unsigned here;
    const struct bytes *keys;
    const uint64_t *skips; // of each key
    struct buffer push;
};

// The push for a listener that changed some of these keys itself.
static void tell_others_changes(struct telling *telling, const struct broadcast *broadcast,
                                uint64_t listener) {
    struct bytes *keys = mem_alloc(broadcast->count * sizeof *keys);
    unsigned kept = 0;
    for (unsigned i = broadcast->first; i < broadcast->first + broadcast->count; i++)
        if (telling->skips[i] != listener) keys[kept++] = telling->keys[i];
    push_of_keys(&telling->push, keys, kept);
    if (kept) tell_listeners(telling->here, &listener, 1, true, 0, buffer_bytes(&telling->push));
    mem_free(keys);
}

static bool has_changed_any(const struct telling *telling, const struct broadcast *broadcast,
                            uint64_t listener) {
    for (unsigned i = broadcast->first; i < broadcast->first + broadcast->count; i++)
        if (telling->skips[i] == listener) return true;
    return false;
}

static bool has_skips(const struct telling *telling, const struct broadcast *broadcast) {
    for (unsigned i = broadcast->first; i < broadcast->first + broadcast->count; i++)
        if (telling->skips[i]) return true;
    return false;
}

static void tell_broadcast(void *context, const struct broadcast *broadcast) {
    struct telling *telling = context;
    if (!has_skips(telling, broadcast)) { // the everyday case: all are told the same
        push_of_keys(&telling->push, telling->keys + broadcast->first, broadcast->count);
        tell_listeners(telling->here, broadcast->listeners, broadcast->listener_count, true, 0,
                       buffer_bytes(&telling->push));
        return;
    }
    uint64_t *common = mem_alloc(broadcast->listener_count * sizeof *common);
    unsigned count = 0;
    for (unsigned i = 0; i < broadcast->listener_count; i++) {
        uint64_t listener = broadcast->listeners[i];
        if (listener_worker(listener) == telling->here && has_changed_any(telling, broadcast, listener))
            tell_others_changes(telling, broadcast, listener);
        else
            common[count++] = listener;
    }
    push_of_keys(&telling->push, telling->keys + broadcast->first, broadcast->count);
    if (count) tell_listeners(telling->here, common, count, true, 0, buffer_bytes(&telling->push));
    mem_free(common);
}

struct ordered_key {
    struct bytes key;
    uint64_t skip;
    size_t number; // the later of two changes counts
};

static int compare_keys(const void *a, const void *b) {
    const struct ordered_key *one = a, *other = b;
    int order = bytes_compare(one->key, other->key);
    return order ? order : (one->number > other->number) - (one->number < other->number);
}

static void broadcast_changes(unsigned here) {
    const struct changed_key *changed = (const struct changed_key *)note.changed.data;
    size_t count = note.changed.size / sizeof *changed;
    struct ordered_key *ordered = mem_alloc(count * sizeof *ordered);
    for (size_t i = 0; i < count; i++)
        ordered[i] = (struct ordered_key){bytes_of(note.text.data + changed[i].offset, changed[i].size),
                                          changed[i].skip, i};
    qsort(ordered, count, sizeof *ordered, compare_keys);
    struct bytes *keys = mem_alloc(count * sizeof *keys);
    uint64_t *skips = mem_alloc(count * sizeof *skips);
    unsigned kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && bytes_equal(ordered[i].key, ordered[i + 1].key)) continue;
        keys[kept] = ordered[i].key;
        skips[kept++] = ordered[i].skip;
    }
    struct telling telling = {.here = here, .keys = keys, .skips = skips};
    broadcasts_match(keys, kept, tell_broadcast, &telling);
    buffer_free(&telling.push);
    mem_free(skips);
    mem_free(keys);
    mem_free(ordered);
}

static void end_broadcast(unsigned here) {
    if (note.overflowed)
        settle_flush(here);
    else if (note.changed.size)
        broadcast_changes(here);
    buffer_free(&note.changed);
    buffer_free(&note.text);
    note.settled = 0;
    note.overflowed = false;
}

void invalidation_end_turn(struct dispatcher *dispatcher) {
    if (invalidation_noted || invalidation_too_many_tracked(dispatcher->keyspace))
        invalidation_settle(dispatcher, NULL);
    if (note.changed.size || note.overflowed) end_broadcast(dispatcher->worker);
}
