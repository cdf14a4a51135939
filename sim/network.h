// network: hosts, and connections that behave as TCP does.
//
// Bytes of one direction arrive in order or not at all. A lost segment is not lost data: it comes late, and
// holds up what follows it. Where a path is blocked, data waits and is tried again, ever less often. A
// process that dies closes its connections and its host refuses new ones; a host that dies says nothing at
// all. What happens is told to the sink, at the moment at which the process would see it.
//
// Invariant: a connection lives as long as one end is open or something of it is under way.
// Thread: belongs to its run's thread.
#ifndef SHOAL_SIM_NETWORK_H
#define SHOAL_SIM_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "cluster/message.h"
#include "sim/world.h"

enum {
    NETWORK_QUEUE_MAX = 512,         // messages of a direction under way or waiting; more cut the connection
    NETWORK_RETRY_FIRST_MS = 200,    // a segment without an answer is sent again after this, doubling,
    NETWORK_RETRY_MAX_MS = 6400,     // at most after this
    NETWORK_CONNECT_MAX_MS = 127000, // a connection attempt without any answer ends after this
    NETWORK_HOP_MIN_US = 80,         // a message's way through a healthy network takes this to
    NETWORK_HOP_MAX_US = 900,        // this
};

enum network_end { END_CLOSED, END_CONNECTING, END_OPEN };

struct network;

// Side 0 connected, side 1 accepted. `link` is the driver's name for its end, 0 until it sets one.
struct connection {
    struct network *network;
    uint32_t node[2];
    uint8_t end[2]; // enum network_end
    uint8_t retries[2];
    uint16_t queued[2];
    uint32_t under_way; // events that refer to the connection
    uint32_t accepted;  // its number in the order in which connections are accepted
    uint64_t due[2];    // when the last message of the direction that starts at this side arrives; while it
                        // connects, [0] is when it began to
    struct waiting *first[2], *last[2]; // messages that a blocked path holds up, in order
    uint32_t link[2];
    struct list_node of_node[2]; // in the host's list
};

struct network_sink {
    void (*connected)(void *context, uint32_t node, struct connection *connection);
    void (*refused)(void *context, uint32_t node, struct connection *connection);
    void (*closed)(void *context, uint32_t node, struct connection *connection, int side);
    void (*arrived)(void *context, uint32_t node, struct connection *connection, int side,
                    struct cluster_message *message);
};

struct host {
    char address[16];
    bool up;                         // the machine
    bool running;                    // the process on it
    uint16_t renamed;                // how often it changed its address
    uint64_t frozen_until;           // the process sees nothing before this moment
    struct put_off frozen;           // what happens to it then
    uint32_t slow_us;                // added to each message from or to it, up to
    uint8_t loss;                    // percent of its messages that are lost at first
    struct list_node connections[2]; // by side
};

struct network {
    struct world *world;
    const struct network_sink *sink;
    void *context;
    uint32_t count;
    struct host *hosts;
    uint8_t *blocks;       // [from * count + to]: how many faults block this way
    struct packer *packer; // of messages that wait
    uint64_t connections;
    uint32_t accepted; // how many were
    uint64_t lines;    // of messages that a blocked path holds up
    uint64_t loose;    // bytes of messages that are under way as they are
    bool closing;      // the run is over: what is under way goes nowhere
};

void network_init(struct network *network, struct world *world, uint32_t count,
                  const struct network_sink *sink, void *context);

// Ends all connections, telling nobody; what is under way goes nowhere. When the world has no more events,
// all connections are gone.
void network_close_all(struct network *network);

void network_free(struct network *network);

// The host moves to another address: "10.a.b.c" where a counts its moves.
void network_move(struct network *network, uint32_t node);

// The host that has this address, or -1.
int network_find(const struct network *network, const char *address);

// Blocks (by 1) or unblocks (by -1) the way from one host to another; faults add up.
void network_block(struct network *network, uint32_t from, uint32_t to, int by);

void network_unblock_all(struct network *network);

// Is there a message that a trouble held up and that its receiver may still read? Old news come late, also
// after the trouble has ended. Says of whom, and to whom.
bool network_holds_up(const struct network *network, uint32_t *from, uint32_t *to);

static inline bool network_blocked(const struct network *network, uint32_t from, uint32_t to) {
    return network->blocks[(uint64_t)from * network->count + to] != 0;
}

// Starts to connect to `address`; the sink hears how it went. The connection stays valid until the owner of
// side 0 closes it, or the sink was told that it was refused or closed.
struct connection *network_connect(struct network *network, uint32_t from, const char *address,
                                   uint32_t link);

// Sends from `side`; retains the message. Cuts the connection when its queue is full. The sink is not called
// from here.
void network_send(struct connection *connection, int side, struct cluster_message *message);

// Breaks the connection in the middle: both ends hear of it.
void network_cut(struct connection *connection);

// Closes this side's end: the other sees it after what was sent before. The sink is not told at this side.
void network_close(struct connection *connection, int side);

// The process of the host ends. With the machine up, peers see their connections closed.
void network_process_dies(struct network *network, uint32_t node, bool host_too);

// The process stands still until the moment `until`, or until somebody thaws or ends it.
void network_freeze(struct network *network, uint32_t node, uint64_t until);
void network_thaw(struct network *network, uint32_t node);

// For the handler of an event that happens to a frozen process: it happens again when the process thaws.
void network_wait_for_thaw(struct network *network, uint32_t node, const struct event *event);

void network_process_starts(struct network *network, uint32_t node);

#endif
