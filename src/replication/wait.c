// WAIT: clients that wait until enough replicas have acknowledged their last write.
// Each waiter is a ticket in one list; every acknowledgement looks through it. A waiter that ran out is answered by its
// worker (its ticket is then stale) and dropped here at its time.
#include <stdio.h>

#include "base/memory.h"
#include "os/clock.h"
#include "replication/replication_private.h"

struct waiter {
    struct list_node node;
    struct call_ticket ticket;
    uint64_t offset;
    uint64_t count;
    int64_t until_ms; // monotonic, 0: for ever
};

static struct lock waiters_lock; // guards the list
static struct list_node waiters = {&waiters, &waiters};
static _Atomic unsigned waiter_count; // read without the lock, since nearly always nobody waits

static void timed_out(struct session *session) {
    struct reply reply = {.out = &session->output, .protocol = session->protocol};
    reply_integer(&reply, replicas_acknowledged(session->wait_offset));
}

static void ask_for_acknowledgements(struct call *call) {
    journal_append(replication.journal, call->worker, -1, BYTES(REPLICAS_ACKNOWLEDGE));
}

void wait_command(struct call *call) {
    int64_t count, timeout;
    if (role.replica) {
        reply_error(call->reply, "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 "
                                 "if a replica is configured to be writable (which is not the default) writes to "
                                 "replicas are just local and are not propagated.");
        return;
    }
    if (!call_integer(call, call->argv[1], &count) || !number_parse(call->argv[2], &timeout)) {
        if (call->reply->failed) return;
        reply_error(call->reply, "ERR timeout is not an integer or out of range");
        return;
    }
    if (timeout < 0) {
        reply_error(call->reply, "ERR timeout is negative");
        return;
    }
    uint64_t offset = call->session->last_write_offset;
    unsigned now = replicas_acknowledged(offset);
    if ((int64_t)now >= count || call->in_exec) {
        reply_integer(call->reply, now);
        return;
    }
    struct waiter *waiter = mem_alloc(sizeof *waiter);
    waiter->ticket = call_defer(call, timeout, timed_out);
    waiter->offset = offset;
    waiter->count = (uint64_t)count;
    waiter->until_ms = call->session->wait_until_ms;
    call->session->wait_offset = offset;
    call->session->wait_can_be_unblocked = true;
    lock_acquire(&waiters_lock);
    list_append(&waiters, &waiter->node);
    waiter_count++;
    lock_release(&waiters_lock);
    if (journal_active(replication.journal)) ask_for_acknowledgements(call);
    wait_check(); // the acknowledgement may have come before the waiter was in the list
}

// Needs the lock.
static void drop(struct waiter *waiter) {
    list_remove(&waiter->node);
    mem_free(waiter);
    waiter_count--;
}

void wait_forget(uint64_t session_id) {
    if (waiter_count == 0) return;
    lock_acquire(&waiters_lock);
    LIST_EACH(node, &waiters) {
        struct waiter *waiter = LIST_ENTRY(node, struct waiter, node);
        if (waiter->ticket.session == session_id) drop(waiter);
    }
    lock_release(&waiters_lock);
}

void wait_check(void) {
    if (waiter_count == 0) return;
    int64_t now = clock_mono_ms();
    lock_acquire(&waiters_lock);
    LIST_EACH(node, &waiters) {
        struct waiter *waiter = LIST_ENTRY(node, struct waiter, node);
        unsigned count = replicas_acknowledged(waiter->offset);
        bool enough = count >= waiter->count;
        if (!enough && !(waiter->until_ms && waiter->until_ms + 1000 < now)) continue;
        char text[32];
        int size = snprintf(text, sizeof text, ":%u\r\n", count);
        if (enough) call_answer(waiter->ticket, bytes_of(text, (size_t)size));
        drop(waiter);
    }
    lock_release(&waiters_lock);
}
