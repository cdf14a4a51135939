#include "call/session.h"

#include <inttypes.h>

#include "base/memory.h"
#include "call/command.h"
#include "call/tracking.h"
#include "call/watches.h"
#include "os/clock.h"
#include "os/lock.h"

// Every session; the lock guards the list's links and the counters, not the sessions.
static struct lock registry_lock;
static struct list_node registry = {&registry, &registry};
static uint64_t next_id = 1;
static unsigned normal_count;

void session_open(struct session *session, uint16_t worker, enum session_kind kind) {
    *session = (struct session){.worker = worker, .kind = kind, .protocol = 2};
    list_init(&session->watches);
    session->created_ms = session->active_ms = clock_mono_ms();
    lock_acquire(&registry_lock);
    session->id = next_id++;
    if (kind == SESSION_LOADER) {
        list_init(&session->everyone);
    } else {
        list_append(&registry, &session->everyone);
        if (kind == SESSION_NORMAL) normal_count++;
    }
    lock_release(&registry_lock);
}

void session_close(struct session *session) {
    lock_acquire(&registry_lock);
    list_remove(&session->everyone);
    if (session->kind == SESSION_NORMAL) normal_count--;
    lock_release(&registry_lock);
    session_empty_queue(session);
    tracking_turn_off(session);
    mem_free(session->transaction.queue);
    buffer_free(&session->output);
    attachments_free(&session->attachments);
    mem_free(session->name);
    mem_free(session->lib_name);
    mem_free(session->lib_version);
    session->name = session->lib_name = session->lib_version = NULL;
}

void session_change_kind(struct session *session, enum session_kind kind) {
    lock_acquire(&registry_lock);
    if (session->kind == SESSION_NORMAL) normal_count--;
    if (kind == SESSION_NORMAL) normal_count++;
    session->kind = kind;
    lock_release(&registry_lock);
}

void session_each(void (*visit)(void *context, struct session *session), void *context) {
    // Exclusive mode: no worker opens or closes one meanwhile.
    LIST_EACH(node, &registry)
        visit(context, LIST_ENTRY(node, struct session, everyone));
}

struct session *session_by_id(uint64_t id) {
    LIST_EACH(node, &registry) {
        struct session *session = LIST_ENTRY(node, struct session, everyone);
        if (session->id == id) return session;
    }
    return NULL;
}

unsigned session_count(void) {
    lock_acquire(&registry_lock);
    unsigned count = normal_count;
    lock_release(&registry_lock);
    return count;
}

void session_empty_queue(struct session *session) {
    struct transaction *transaction = &session->transaction;
    for (int i = 0; i < transaction->count; i++)
        mem_free(transaction->queue[i].argv);
    transaction->count = 0;
    transaction->memory = 0;
    transaction->open = transaction->failed = false;
}

static void describe_flags(const struct session *session, struct buffer *out) {
    size_t before = out->size;
    if (session->kind == SESSION_REPLICA) buffer_append_byte(out, session->monitor ? 'O' : 'S');
    if (session->kind == SESSION_NORMAL && session->monitor) buffer_append_byte(out, 'O');
    if (session->kind == SESSION_PRIMARY) buffer_append_byte(out, 'M');
    if (session->transaction.open) buffer_append_byte(out, 'x');
    if (session->waiting == WAIT_DEFERRED) buffer_append_byte(out, 'b');
    if (session->tracking) buffer_append_byte(out, 't');
    if (session->tracking && session->tracking->broken) buffer_append_byte(out, 'R');
    if (session->tracking && session->tracking->options.broadcast) buffer_append_byte(out, 'B');
    if (watches_changed(session)) buffer_append_byte(out, 'd');
    if (session->close_after_reply) buffer_append_byte(out, 'c');
    if (session->closing) buffer_append_byte(out, 'A');
    if (session->unix_socket) buffer_append_byte(out, 'U');
    if (session->cluster_readonly) buffer_append_byte(out, 'r');
    if (session->no_evict) buffer_append_byte(out, 'e');
    if (session->no_touch) buffer_append_byte(out, 'T');
    if (out->size == before) buffer_append_byte(out, 'N');
}

void session_describe(const struct session *session, int64_t mono_ms, struct buffer *out) {
    const char *name = session->name ? session->name : "";
    buffer_appendf(out, "id=%" PRIu64 " addr=%s laddr=%s fd=%d name=%s age=%" PRId64 " idle=%" PRId64 " flags=",
                   session->id, session->address, session->local_address, session->fd, name,
                   (mono_ms - session->created_ms) / 1000, (mono_ms - session->active_ms) / 1000);
    describe_flags(session, out);
    size_t output = session_output_size(session);
    size_t memory = sizeof *session + session->output.capacity + session->input_size + session->input_free +
                    session->transaction.memory + session->attachments.size;
    buffer_appendf(
        out,
        " db=%u sub=0 psub=0 ssub=0 multi=%d qbuf=%zu qbuf-free=%zu argv-mem=0 multi-mem=%zu "
        "rbs=%zu rbp=%zu obl=%zu oll=%u omem=%zu tot-mem=%zu events=%s cmd=%s user=default redir=%" PRId64 " resp=%d "
        "lib-name=%s lib-ver=%s",
        session->db, session->transaction.open ? session->transaction.count : -1, session->input_size,
        session->input_free, session->transaction.memory, session->output.capacity, session->output.capacity,
        session->output.size, session->attachments.count - session->attachments.first,
        session->attachments.size, memory, output ? "rw" : "r",
        session->last_command ? session->last_command->full_name : "NULL",
        session->tracking ? (int64_t)session->tracking->redirect : -1, session->protocol,
        session->lib_name ? session->lib_name : "", session->lib_version ? session->lib_version : "");
}
