// replication: a simple model of the data beside the cluster protocol: streams that primaries write and
// replicas follow, and which slots have keys. Looked at when somebody asks, so that it costs no events of its
// own. Thread: belongs to its run's thread.
#ifndef SHOAL_SIM_REPLICATION_H
#define SHOAL_SIM_REPLICATION_H

#include <stdbool.h>
#include <stdint.h>

struct node;

// The process begins: nobody is followed yet, nothing heard.
void replication_start(struct node *node);

// The node writes its own stream from now on.
void replication_lead(struct node *node);

// The node follows another one (-1: an address where nobody is).
void replication_follow(struct node *node, int source);

// Clients' writes are held until the node's clock shows `until_ms`; 0: they aren't.
void replication_pause(struct node *node, uint64_t until_ms);

// Brings a primary's stream up to now.
void replication_advance(struct node *node);

// Brings link, offset and keys up to now.
void replication_update(struct node *node);

// Tells the core as the law asks: replication_update, and the event.
void replication_tell(struct node *node);

// A manual failover is under way at the node: looks at its offset, and its source's, often for a while.
void replication_watch(struct node *node);

// The node's process died: those who follow it see their link break (not when the machine died with it).
void replication_source_dies(struct node *node, bool machine_too);

bool replication_has_keys(const struct node *node);

#endif
