#include "call/tracking.h"

#include <stdatomic.h>
#include <string.h>

#include "base/crc16.h"
#include "base/hash.h"
#include "base/memory.h"
#include "call/broadcasts.h"
#include "call/invalidation.h"

static struct {
    struct list_node sessions; // zero until the first
    _Atomic unsigned count;
} workers[DISPATCHERS_MAX];

unsigned tracking_clients(void) {
    unsigned sum = 0;
    for (unsigned i = 0; i < DISPATCHERS_MAX; i++)
        sum += atomic_load_explicit(&workers[i].count, memory_order_relaxed);
    return sum;
}

struct list_node *tracking_of_worker(unsigned worker) {
    struct list_node *list = &workers[worker].sessions;
    if (!list->next) list_init(list);
    return list;
}

bool tracking_on_worker(unsigned worker) {
    return atomic_load_explicit(&workers[worker].count, memory_order_relaxed) != 0;
}

static struct bytes text_of(const struct tracking_prefix *prefix) {
    return bytes_of(prefix->data, prefix->size);
}

static void add_prefix(struct session *session, struct bytes text) {
    struct session_tracking *tracking = session->tracking;
    unsigned place = 0;
    while (place < tracking->prefix_count && bytes_compare(text_of(&tracking->prefixes[place]), text) < 0)
        place++;
    if (place < tracking->prefix_count && bytes_equal(text_of(&tracking->prefixes[place]), text)) return;
    tracking->prefixes =
        mem_realloc(tracking->prefixes, (tracking->prefix_count + 1) * sizeof *tracking->prefixes);
    memmove(&tracking->prefixes[place + 1], &tracking->prefixes[place],
            (tracking->prefix_count - place) * sizeof *tracking->prefixes);
    tracking->prefixes[place] = (struct tracking_prefix){bytes_to_string(text), text.size};
    tracking->prefix_count++;
    broadcasts_add(tracking->keyspace, text, listener_of(session->id, session->worker));
}

void tracking_turn_on(struct session *session, struct keyspace *keyspace,
                      const struct tracking_options *options, struct session *redirect,
                      const struct bytes *prefixes, unsigned count) {
    if (!session->tracking) {
        session->tracking = mem_calloc(1, sizeof *session->tracking);
        session->tracking->session = session;
        session->tracking->keyspace = keyspace;
        list_append(tracking_of_worker(session->worker), &session->tracking->of_worker);
        atomic_fetch_add_explicit(&workers[session->worker].count, 1, memory_order_relaxed);
    }
    struct session_tracking *tracking = session->tracking;
    tracking->options = *options;
    tracking->broken = false;
    tracking->redirect = redirect ? redirect->id : 0;
    tracking->redirect_worker = redirect ? redirect->worker : 0;
    session->tied = true;
    if (redirect) redirect->tied = true;
    for (unsigned i = 0; i < count; i++)
        add_prefix(session, prefixes[i]);
    if (options->broadcast && count == 0) add_prefix(session, BYTES(""));
}

void tracking_turn_off(struct session *session) {
    struct session_tracking *tracking = session->tracking;
    if (!tracking) return;
    session->tracking = NULL;
    list_remove(&tracking->of_worker);
    atomic_fetch_sub_explicit(&workers[session->worker].count, 1, memory_order_relaxed);
    for (unsigned i = 0; i < tracking->prefix_count; i++) {
        broadcasts_remove(tracking->keyspace, text_of(&tracking->prefixes[i]),
                          listener_of(session->id, session->worker));
        mem_free(tracking->prefixes[i].data);
    }
    mem_free(tracking->prefixes);
    mem_free(tracking);
}

const struct tracking_prefix *tracking_prefix_over(const struct session *session, struct bytes prefix) {
    const struct session_tracking *tracking = session->tracking;
    for (unsigned i = 0; tracking && i < tracking->prefix_count; i++) {
        struct bytes text = text_of(&tracking->prefixes[i]);
        size_t common = text.size < prefix.size ? text.size : prefix.size;
        if (bytes_equal(bytes_of(text.data, common), bytes_of(prefix.data, common)))
            return &tracking->prefixes[i];
    }
    return NULL;
}

static bool reads_count(const struct session_tracking *tracking) {
    if (tracking->options.broadcast) return false;
    if (tracking->options.opt_in) return tracking->caching;
    return !(tracking->options.opt_out && tracking->caching);
}

void tracking_note_reads(struct call *call) {
    if (!(call->command->flags & CMD_READONLY) || !reads_count(call->session->tracking)) return;
    enum { POSITIONS_ON_STACK = 128 };
    int room[POSITIONS_ON_STACK];
    int *positions =
        call->argc <= POSITIONS_ON_STACK ? room : mem_alloc((size_t)call->argc * sizeof *positions);
    int found = command_keys(call->command, call->argv, call->argc, positions, false);
    for (int i = 0; i < found; i++) {
        struct bytes key = call->argv[positions[i]];
        keyspace_track(call->keyspace, hash_slot(key), hash_bytes(key.data, key.size), key,
                       listener_of(call->session->id, call->session->worker));
    }
    if (positions != room) mem_free(positions);
    if (invalidation_too_many_tracked(call->keyspace))
        invalidation_noted = true; // some are forgotten when it is settled
}

void tracking_end_command(struct session *session, const struct command *command) {
    if (session->transaction.open) return;
    bool about_clients = command && strncmp(command->full_name, "client|", strlen("client|")) == 0;
    if (!about_clients) session->tracking->caching = false;
}
