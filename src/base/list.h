// list: an intrusive doubly linked ring. Pure; the caller's lock or thread protects it.
//
// A list is a head node; members embed a struct list_node. An unlinked node points to itself.
#ifndef SHOAL_BASE_LIST_H
#define SHOAL_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *next;
    struct list_node *previous;
};

// The struct of type `type` whose member `member` is the node `node`.
#define LIST_ENTRY(node, type, member) ((type *)((char *)(node) - offsetof(type, member)))

// Walks the list; `node` may be removed inside the loop.
#define LIST_EACH(node, head)                                                                                \
    for (struct list_node *node = (head)->next, *node##_next = node->next; node != (head);                   \
         node = node##_next, node##_next = node->next)

static inline void list_init(struct list_node *node) {
    node->next = node->previous = node;
}

static inline bool list_empty(const struct list_node *head) {
    return head->next == head;
}

static inline void list_append(struct list_node *head, struct list_node *node) {
    node->previous = head->previous;
    node->next = head;
    head->previous->next = node;
    head->previous = node;
}

static inline void list_prepend(struct list_node *head, struct list_node *node) {
    list_append(head->next, node);
}

// Unlinks; harmless for a node that is in no list.
static inline void list_remove(struct list_node *node) {
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_init(node);
}

#endif
