// cluster: the cluster protocol of one node as a pure state machine. One door: an event goes in, actions come
// out.
//
// Nothing in here touches a socket, a file, a clock, a thread or a source of randomness: time comes with each
// event, randomness from the seed given at creation, the next deadline goes out. The same events give the
// same actions. Thread: one at a time, the driver's (the bus thread of the server, or the simulator).
//
// THE DRIVER'S LAW. Correctness of votes and epochs rests on it.
//
// 1. Deliver events one at a time. After each step carry out all actions, in the order of the list, before
//    the next step (a SAVE may be finished later, see 3). The list and all it points to live until the next
//    step.
//
// 2. SAVE n: write what cluster_nodes_conf() yields at that moment to disk (temporary file, fsync when
//    `sync`, rename). Then deliver SAVED with that number. Saves complete in the order of their numbers; a
//    later one that succeeded covers the earlier ones. Saves may be skipped in favour of a later one, then
//    only the later one is reported.
//
// 3. SEND and OUTCOME with `save` != 0 are held until a SAVED event with number >= save and ok has been
//    delivered; the SAVE may stand later in the same list. When that save fails, held sends are dropped, and
//    held outcomes are answered with an error. Held sends of one link leave in their order; a send that waits
//    for nothing may overtake them (a slow disk must not hold up heartbeats), but keeps its place among its
//    like.
//
// 4. Links. CONNECT asks for the one outgoing link of a node; the driver answers with LINK_UP or with one of
//    LINK_DOWN and LINK_REFUSED. After LINK_UP come PACKETs, then at most one LINK_DOWN. After DISCONNECT no
//    event of that link may be delivered any more (bytes and held sends are dropped). A new CONNECT of the
//    same node may follow at once. Links accepted from others are inbound: the driver numbers them in the
//    order in which it accepts them (never 0, not reused soon; after the last number the first follows). They
//    need no LINK_UP; LINK_DOWN is reported when they close. A DISCONNECT for them closes them. A send to a
//    link that is down is dropped silently.
//
// 5. TICK when cluster_deadline() has come; earlier or later ticks are harmless.
//
// 6. REPLICATION: once before each tick, and whenever the primary link goes up or down. While
//    cluster_view_status().manual_failover is set: whenever the offset changes, and once PAUSE_WRITES is in
//    force.
//
// 7. ORDERs whose outcome depends on keys carry the facts (see struct cluster_order).
//
// 8. A node that restarts is created from the text of its last completed save.
#ifndef SHOAL_CLUSTER_CLUSTER_H
#define SHOAL_CLUSTER_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/log.h"
#include "cluster/cluster_config.h"
#include "cluster/message.h"

struct cluster;

// A node of this core's view. 0 is no node. Not reused soon after its node is forgotten: a stale handle is
// harmless.
typedef uint32_t cluster_node;

// A link: either our outgoing one to `node`, or an accepted one, `inbound`; the other is 0.
struct cluster_link {
    cluster_node node;
    uint32_t inbound;
};

enum cluster_event_kind {
    CLUSTER_EVENT_TICK,
    CLUSTER_EVENT_PACKET,
    CLUSTER_EVENT_DATA,         // part of a large packet has come in: the peer is alive
    CLUSTER_EVENT_LINK_UP,      // outgoing links only
    CLUSTER_EVENT_LINK_DOWN,    // closed, or could not be made
    CLUSTER_EVENT_LINK_REFUSED, // could not be made because the peer's host refused: nobody listens there
    CLUSTER_EVENT_SAVED,
    CLUSTER_EVENT_ORDER,
    CLUSTER_EVENT_REPLICATION,
    CLUSTER_EVENT_STALL, // this node can't serve, or can again
};

enum { CLUSTER_ORDER_ARGUMENTS_MAX = 65536 };

// What an administrator typed after CLUSTER: "MEET" "127.0.0.1" "7001", "ADDSLOTS" "1" "2", "SETSLOT" "5"
// "NODE" id... The state-changing subcommands: MEET ADDSLOTS ADDSLOTSRANGE DELSLOTS DELSLOTSRANGE FLUSHSLOTS
// SETSLOT FORGET REPLICATE FAILOVER RESET SET-CONFIG-EPOCH BUMPEPOCH SAVECONFIG, in any case. Reading
// subcommands are answered from the views.
struct cluster_order {
    uint64_t number; // the driver's; comes back in the outcome
    const struct bytes *arguments;
    size_t count;
    bool has_keys;         // this node's database is not empty
    uint64_t keys_in_slot; // keys in the slot that cluster_order_slot names
};

struct cluster_event {
    enum cluster_event_kind kind;
    uint64_t now;      // milliseconds, monotonic: every timer goes by it
    uint64_t unix_now; // milliseconds since 1970: only written into gossip and nodes.conf
    union {
        struct {
            struct cluster_link link;
            struct bytes bytes;   // one whole packet as its length field says; need not be aligned
            const char *peer_ip;  // the address of the other end of the link
            const char *local_ip; // the address of our end
        } packet;
        struct cluster_link link; // DATA, LINK_UP, LINK_DOWN, LINK_REFUSED
        struct {
            uint64_t number;
            bool ok;
        } saved;
        struct cluster_order order;
        struct {
            uint64_t offset;   // a primary's own stream, or what a replica has applied
            uint64_t data_age; // a replica: ms since it last heard of its primary over the replication link
            bool primary_link_up;   // a replica: that link works and the first synchronisation is done
            bool writes_paused;     // a primary: PAUSE_WRITES is in force and `offset` counts the last write
            bool ever_synchronised; // a replica: its data came from its present primary at some time
        } replication;
        bool stalled; // STALL: it says nothing more, as if it were dead, but goes on listening; until told
                      // otherwise
    };
};

enum cluster_action_kind {
    CLUSTER_ACTION_SEND,
    CLUSTER_ACTION_CONNECT,
    CLUSTER_ACTION_DISCONNECT,
    CLUSTER_ACTION_SAVE,
    CLUSTER_ACTION_PUBLISH_ROUTES, // owners, roles, state or addresses changed: read cluster_view.h again
    CLUSTER_ACTION_BECOME_PRIMARY, // stop replicating, keep the data, take writes
    CLUSTER_ACTION_BECOME_REPLICA, // replicate from ip:port; also given again when the address changes
    CLUSTER_ACTION_DROP_SLOT,      // delete the keys of a slot that is not ours any more
    CLUSTER_ACTION_DROP_ALL,       // delete every key (RESET of a replica)
    CLUSTER_ACTION_PAUSE_WRITES,   // manual failover: hold clients' writes until `until` or RESUME_WRITES
    CLUSTER_ACTION_RESUME_WRITES,
    CLUSTER_ACTION_NOTE,
    CLUSTER_ACTION_OUTCOME,
};

struct cluster_action {
    enum cluster_action_kind kind;
    union {
        struct {
            struct cluster_link link;
            struct cluster_message *message; // retain it to keep it beyond the next step
            uint64_t save;                   // 0, or the save to wait for
        } send;
        struct {
            cluster_node node;
            char ip[CLUSTER_IP_SIZE];
            uint16_t port; // the bus port
        } connect;
        struct cluster_link disconnect;
        struct {
            uint64_t number;
            bool sync;
        } save;
        struct {
            char ip[CLUSTER_IP_SIZE];
            uint16_t port; // the client port
            cluster_node node;
        } primary;      // BECOME_REPLICA
        uint16_t slot;  // DROP_SLOT
        uint64_t until; // PAUSE_WRITES: monotonic milliseconds
        struct {
            enum log_level level;
            const char *text;
        } note;
        struct {
            uint64_t number;
            bool ok;           // false: `text` is an error reply, code first, without '-'
            struct bytes text; // a status reply otherwise, "OK" for most
            uint64_t save;     // as in send
        } outcome;
    };
};

// items[0..count), owned by the core until the next step.
struct cluster_actions {
    struct cluster_action *items;
    size_t count;
};

// A node. `conf` is the text of its nodes.conf, empty (size 0) for a new node, which then draws its name from
// `seed`. NULL when the text is no nodes.conf, with the reason in error (a terminated text; nothing was
// changed). The first step yields what the start needs (a SAVE, PUBLISH_ROUTES, BECOME_REPLICA).
struct cluster *cluster_create(const struct cluster_config *config, struct bytes conf, uint64_t seed,
                               uint64_t now, uint64_t unix_now, struct buffer *error);

void cluster_destroy(struct cluster *cluster);

// What many cores of one thread may have in common: the memory of messages, the names and addresses of nodes.
// It lives until the last of them is destroyed, even when it was released before.
struct cluster_commons;
struct cluster_commons *cluster_commons_create(void);
void cluster_commons_release(struct cluster_commons *commons);

// As cluster_create.
struct cluster *cluster_create_among(const struct cluster_commons *commons,
                                     const struct cluster_config *config, struct bytes conf, uint64_t seed,
                                     uint64_t now, uint64_t unix_now, struct buffer *error);

// The door.
const struct cluster_actions *cluster_step(struct cluster *cluster, const struct cluster_event *event);

// When the next TICK is due, monotonic milliseconds.
uint64_t cluster_deadline(const struct cluster *cluster);

// Takes a changed configuration; what others must hear of (addresses, names) leaves with the next step.
void cluster_set_config(struct cluster *cluster, const struct cluster_config *config);

// Appends the text of nodes.conf for the state as it is now.
void cluster_nodes_conf(const struct cluster *cluster, struct buffer *out);

// The slot whose number of keys the order needs in keys_in_slot, or -1.
int cluster_order_slot(const struct bytes *arguments, size_t count);

#endif
