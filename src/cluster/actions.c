#include "cluster/actions.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cluster/peers.h"

void actions_begin(struct cluster *cluster) {
    for (size_t i = 0; i < cluster->actions.count; i++)
        if (cluster->actions.items[i].kind == CLUSTER_ACTION_SEND)
            cluster_message_release(cluster->actions.items[i].send.message);
    cluster->actions.count = 0;
    cluster->text.size = 0;
}

// An order's outcome comes last, behind the routes and roles that it changed.
static void outcome_last(struct cluster *cluster) {
    size_t count = cluster->actions.count;
    struct cluster_action *items = cluster->actions.items;
    for (size_t i = 0; i + 1 < count; i++) {
        if (items[i].kind != CLUSTER_ACTION_OUTCOME) continue;
        struct cluster_action outcome = items[i];
        memmove(&items[i], &items[i + 1], (count - i - 1) * sizeof(*items));
        items[count - 1] = outcome;
        return;
    }
}

// While the step runs, texts may move; till here an offset stands for the address.
void actions_end(struct cluster *cluster) {
    outcome_last(cluster);
    for (size_t i = 0; i < cluster->actions.count; i++) {
        struct cluster_action *action = &cluster->actions.items[i];
        if (action->kind == CLUSTER_ACTION_NOTE)
            action->note.text = cluster->text.data + (uintptr_t)action->note.text;
        if (action->kind == CLUSTER_ACTION_OUTCOME)
            action->outcome.text.data = cluster->text.data + (uintptr_t)action->outcome.text.data;
    }
}

struct cluster_action *action_add(struct cluster *cluster, enum cluster_action_kind kind) {
    if (cluster->actions.count == cluster->actions_capacity) {
        cluster->actions_capacity = cluster->actions_capacity ? cluster->actions_capacity * 2 : 16;
        cluster->actions.items =
            mem_realloc(cluster->actions.items, cluster->actions_capacity * sizeof(*cluster->actions.items));
    }
    struct cluster_action *action = &cluster->actions.items[cluster->actions.count++];
    action->kind = kind;
    return action;
}

// Something waits for what was promised.
static uint64_t await_promise(struct cluster *cluster) {
    if (cluster->todo & TODO_PROMISE) cluster->todo |= TODO_SAVE_SYNC;
    return promise_awaited(cluster);
}

void action_send(struct cluster *cluster, struct cluster_link link, struct cluster_message *message,
                 bool waits) {
    if (cluster->stalled) {
        cluster_message_release(message);
        return;
    }
    uint16_t type = (uint16_t)(message->data[12] << 8 | message->data[13]);
    struct cluster_action *action = action_add(cluster, CLUSTER_ACTION_SEND);
    action->send.link = link;
    action->send.message = message;
    action->send.save = waits ? await_promise(cluster) : 0;
    cluster->sent[type]++;
}

bool action_send_peer(struct cluster *cluster, struct peer *peer, struct cluster_message *message,
                      bool waits) {
    if (peer->link != LINK_UP || peer == cluster->myself) return false;
    action_send(cluster, (struct cluster_link){peer_handle(peer), 0}, cluster_message_retain(message), waits);
    return true;
}

void action_disconnect(struct cluster *cluster, struct peer *peer) {
    if (peer->link == LINK_NONE) return;
    peer_set_link(cluster, peer, LINK_NONE);
    peer->link_time = cluster->now;
    action_add(cluster, CLUSTER_ACTION_DISCONNECT)->disconnect = (struct cluster_link){peer_handle(peer), 0};
}

// Appends a terminated text and returns where it begins, as a pointer only in type.
static const char *text_add(struct cluster *cluster, const char *text, size_t size) {
    size_t at = cluster->text.size;
    buffer_append(&cluster->text, text, size);
    buffer_append_byte(&cluster->text, '\0');
    return (const char *)(uintptr_t)at;
}

void action_note(struct cluster *cluster, enum log_level level, const char *format, ...) {
    enum { NOTE_MAX = 512 };
    char text[NOTE_MAX];
    if (level < cluster->config.note_level) return;
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (size >= NOTE_MAX) size = NOTE_MAX - 1;
    struct cluster_action *action = action_add(cluster, CLUSTER_ACTION_NOTE);
    action->note.level = level;
    action->note.text = text_add(cluster, text, (size_t)size);
}

void action_outcome(struct cluster *cluster, uint64_t number, bool ok, bool waits, const char *text) {
    size_t size = strlen(text);
    struct cluster_action *action = action_add(cluster, CLUSTER_ACTION_OUTCOME);
    action->outcome.number = number;
    action->outcome.ok = ok;
    action->outcome.text = bytes_of(text_add(cluster, text, size), size);
    action->outcome.save = waits ? await_promise(cluster) : 0;
}

// Cluster spec, "Replica election and promotion": epochs and votes are stored on disk before they are spoken
// of.
void promise(struct cluster *cluster) {
    cluster->todo |= TODO_SAVE | TODO_PROMISE | TODO_SAVE_SYNC;
}

void promise_in_time(struct cluster *cluster) {
    cluster->todo |= TODO_SAVE | TODO_PROMISE;
}

uint64_t promise_awaited(const struct cluster *cluster) {
    if (cluster->todo & TODO_PROMISE) return cluster->save_number + 1;
    return cluster->promise_number > cluster->saved_number ? cluster->promise_number : 0;
}
