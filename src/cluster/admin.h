// admin: an administrator's orders. Part of the core.
#ifndef SHOAL_CLUSTER_ADMIN_H
#define SHOAL_CLUSTER_ADMIN_H

#include "cluster/state.h"

// An order being carried out; its outcome is given once, by `accept` or `reject`.
struct admin {
    struct cluster *cluster;
    const struct cluster_order *order;
};

// Carries out an order and gives its outcome.
void admin_order(struct cluster *cluster, const struct cluster_order *order);

void admin_accept(struct admin *admin);
void admin_accept_text(struct admin *admin, const char *format, ...) __attribute__((format(printf, 2, 3)));
void admin_reject(struct admin *admin, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Argument `index` as a number or a peer; false or NULL when it is none.
bool admin_number(const struct admin *admin, size_t index, int64_t *number);
struct peer *admin_peer(const struct admin *admin, size_t index);

static inline struct bytes admin_argument(const struct admin *admin, size_t index) {
    return admin->order->arguments[index];
}

// The orders about slots: admin_slots.c
void admin_addslots(struct admin *admin);
void admin_delslots(struct admin *admin);
void admin_addslotsrange(struct admin *admin);
void admin_delslotsrange(struct admin *admin);
void admin_flushslots(struct admin *admin);
void admin_setslot(struct admin *admin);

#endif
