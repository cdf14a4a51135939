// CLUSTER commands on their way to the bus thread and back. A worker defers the command and posts it; the bus answers
// when the save that the outcome waits for is on disk and the routes that it changed are published. Inside EXEC, where
// redis-cli --cluster fix puts some of them, the worker stands still meanwhile: the bus never waits for a worker.
#include <string.h>

#include "base/list.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "bus/bus_private.h"
#include "os/clock.h"
#include "os/thread.h"

enum { EXEC_WAIT_MS = 10000 }; // a disk that takes longer than this is not waited for inside EXEC

struct order {
    struct list_node node;
    struct call_ticket ticket;
    struct bytes *argv; // argv[0] is the subcommand; one block with the bytes
    int argc;
    bool has_keys;
    uint64_t keys_in_slot;
    uint64_t number;
    bool inside_exec; // the worker waits in `exec`, which guards the next two
    bool answered, abandoned;
    bool more_follow; // in the same EXEC: as little as possible should come between them, and the last waits for its save
    // Once decided:
    bool decided;
    uint64_t save;
    struct buffer answer;
};

static struct list_node orders = {&orders, &orders};
static uint64_t next_number = 1;
static struct monitor exec;
static uint64_t exec_save; // the last save that an order inside EXEC needs and did not wait for

void orders_init(void) {
    monitor_init(&exec);
}

static void order_free(struct order *order) {
    buffer_free(&order->answer);
    mem_free(order->argv);
    mem_free(order);
}

static void finish(struct order *order) {
    list_remove(&order->node);
    if (!order->inside_exec) {
        call_answer(order->ticket, buffer_bytes(&order->answer));
        order_free(order);
        return;
    }
    monitor_enter(&exec);
    bool abandoned = order->abandoned;
    order->answered = true;
    monitor_notify(&exec);
    monitor_leave(&exec);
    if (abandoned) order_free(order);
}

// On the bus thread.
static void take(void *argument) {
    struct order *order = argument;
    struct reply reply = {.out = &order->answer, .protocol = order->ticket.protocol};
    order->number = next_number++;
    list_append(&orders, &order->node);
    if (views_answer(order->argv, order->argc, &reply)) {
        order->decided = true; // it leaves behind the client's earlier orders
        return;
    }
    struct cluster_event event = {.kind = CLUSTER_EVENT_ORDER};
    event.order = (struct cluster_order){.number = order->number,
                                         .arguments = order->argv,
                                         .count = (size_t)order->argc,
                                         .has_keys = order->has_keys,
                                         .keys_in_slot = order->keys_in_slot};
    bus_step(&event);
}

static bool holds_keys(struct keyspace *keyspace) {
    for (unsigned db = 0; db < keyspace_databases(keyspace); db++)
        if (keyspace_count(keyspace, db)) return true;
    return false;
}

static struct bytes *copy_arguments(const struct bytes *argv, int argc) {
    size_t size = (size_t)argc * sizeof *argv;
    for (int i = 0; i < argc; i++)
        size += argv[i].size;
    struct bytes *copy = mem_alloc(size);
    char *at = (char *)(copy + argc);
    for (int i = 0; i < argc; i++) {
        copy[i] = bytes_of(at, argv[i].size);
        if (argv[i].size) memcpy(at, argv[i].data, argv[i].size);
        at += argv[i].size;
    }
    return copy;
}

// Waits, on a worker, for the answer to an order that was posted.
static void wait_inside_exec(struct call *call, struct order *order) {
    int64_t until_us = clock_mono_us() + EXEC_WAIT_MS * 1000;
    monitor_enter(&exec);
    for (int64_t left_us = EXEC_WAIT_MS * 1000; !order->answered && left_us > 0; left_us = until_us - clock_mono_us())
        monitor_wait(&exec, left_us);
    bool answered = order->answered;
    order->abandoned = !answered; // then the bus frees it
    monitor_leave(&exec);
    if (!answered) {
        reply_error(call->reply, "ERR the outcome of the CLUSTER command did not come in time, see the log");
        return;
    }
    struct bytes answer = buffer_bytes(&order->answer);
    reply_raw(call->reply, answer);
    if (answer.size && answer.data[0] == '-') call->reply->failed = true;
    order_free(order);
}

void orders_submit(struct call *call) {
    struct order *order = mem_calloc(1, sizeof *order);
    list_init(&order->node);
    order->argc = call->argc - 1;
    order->argv = copy_arguments(call->argv + 1, order->argc);
    int slot = cluster_order_slot(order->argv, (size_t)order->argc);
    if (slot >= 0) order->keys_in_slot = keyspace_slot_count(call->keyspace, (unsigned)slot);
    if (bytes_is(order->argv[0], "replicate") || bytes_is(order->argv[0], "reset") ||
        bytes_is(order->argv[0], "flushslots"))
        order->has_keys = holds_keys(call->keyspace);
    order->inside_exec = call->in_exec;
    order->more_follow = call->in_exec && call->session->transaction.more_to_defer;
    if (!call->in_exec) {
        order->ticket = call_defer(call, 0, NULL);
        loop_post(bus.loop, take, order);
        return;
    }
    order->ticket = (struct call_ticket){.session = call->session->id, .protocol = (uint8_t)call->session->protocol};
    loop_post(bus.loop, take, order);
    wait_inside_exec(call, order);
}

void orders_claim_slot(unsigned slot) {
    char text[NUMBER_TEXT_MAX];
    struct bytes arguments[] = {BYTES("ADDSLOTS"), {text, number_format_unsigned(text, slot)}};
    struct cluster_event event = {.kind = CLUSTER_EVENT_ORDER};
    event.order = (struct cluster_order){.number = next_number++, .arguments = arguments, .count = 2};
    bus_step(&event); // nobody waits for its outcome
}

static struct order *find(uint64_t number) {
    LIST_EACH(node, &orders) {
        struct order *order = LIST_ENTRY(node, struct order, node);
        if (order->number == number) return order;
    }
    return NULL;
}

void orders_outcome(const struct cluster_action *action) {
    struct order *order = find(action->outcome.number);
    if (!order) return;
    char *text = bytes_to_string(action->outcome.text);
    struct reply reply = {.out = &order->answer, .protocol = order->ticket.protocol};
    if (action->outcome.ok)
        reply_simple(&reply, text);
    else
        reply_error(&reply, text);
    mem_free(text);
    order->decided = true;
    order->save = action->outcome.save;
}

// A client's answers leave in the order of its orders.
static bool is_first_of_client(const struct order *order) {
    LIST_EACH(node, &orders) {
        const struct order *other = LIST_ENTRY(node, struct order, node);
        if (other == order) return true;
        if (other->ticket.session == order->ticket.session) return false;
    }
    return true;
}

void orders_release(void) {
    LIST_EACH(node, &orders) {
        struct order *order = LIST_ENTRY(node, struct order, node);
        if (!order->decided || !is_first_of_client(order)) continue;
        if (bus.becoming_primary && !order->inside_exec) continue; // inside EXEC it may be worker 0 that waits
        if (order->more_follow && order->save > exec_save) exec_save = order->save;
        if (order->inside_exec && !order->more_follow && order->save < exec_save) order->save = exec_save;
        if (order->more_follow || order->save <= bus.saved) finish(order);
    }
}

void orders_fail(uint64_t save) {
    if (exec_save <= save) exec_save = 0;
    LIST_EACH(node, &orders) {
        struct order *order = LIST_ENTRY(node, struct order, node);
        if (!order->decided || order->save <= bus.saved || order->save > save) continue;
        struct reply reply = {.out = &order->answer, .protocol = order->ticket.protocol};
        order->answer.size = 0;
        reply_error(&reply, "ERR the cluster configuration could not be saved: see the log");
        order->save = 0; // there is nothing more to wait for
    }
}
