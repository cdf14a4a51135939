// actions: the list that a step gives out. Part of the core.
#ifndef SHOAL_CLUSTER_ACTIONS_H
#define SHOAL_CLUSTER_ACTIONS_H

#include "cluster/state.h"

// Empties the list of the step before and releases its messages.
void actions_begin(struct cluster *cluster);

// Makes the list ready to be read: texts get their addresses.
void actions_end(struct cluster *cluster);

struct cluster_action *action_add(struct cluster *cluster, enum cluster_action_kind kind);

// Sends `message` (the list takes over one reference) to the link; waits for the promise's save when `waits`.
// Whoever is stalled sends nothing.
void action_send(struct cluster *cluster, struct cluster_link link, struct cluster_message *message,
                 bool waits);

// To a peer's outgoing link; false, and nothing sent, when it is not up. The message keeps its reference.
bool action_send_peer(struct cluster *cluster, struct peer *peer, struct cluster_message *message,
                      bool waits);

void action_disconnect(struct cluster *cluster, struct peer *peer);

void action_note(struct cluster *cluster, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void action_outcome(struct cluster *cluster, uint64_t number, bool ok, bool waits, const char *text);

// From now on what we say of ourselves waits for a save of it, which is due at once.
void promise(struct cluster *cluster);

// The same, but the save is due when something waits for it, or with the next of what we know of others.
void promise_in_time(struct cluster *cluster);

// The save that a promising message waits for; 0 when all is saved.
uint64_t promise_awaited(const struct cluster *cluster);

#endif
