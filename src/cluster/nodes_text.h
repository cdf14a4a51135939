// nodes_text: the lines of nodes.conf and of CLUSTER NODES, read and written. Pure; includes base only, so
// that the command line can read what a server answers.
//
// A line: id ip:port@busport[,hostname[,aux=value...]] flags primary|- ping-sent pong-received config-epoch
// link-state slot... nodes.conf ends with a line of vars; CLUSTER NODES has neither vars nor aux fields.
#ifndef SHOAL_CLUSTER_NODES_TEXT_H
#define SHOAL_CLUSTER_NODES_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

enum {
    NODES_TEXT_ID_SIZE = 41, // with its terminator, as all texts here
    NODES_TEXT_IP_SIZE = 46,
    NODES_TEXT_NAME_SIZE = 256,
    NODES_TEXT_NODES_MAX = 65534,
};

// Bits of nodes_text_node.flags; the same numbers as on the wire.
enum {
    NODES_TEXT_PRIMARY = 1,
    NODES_TEXT_REPLICA = 2,
    NODES_TEXT_PFAIL = 4,
    NODES_TEXT_FAIL = 8,
    NODES_TEXT_MYSELF = 16,
    NODES_TEXT_HANDSHAKE = 32,
    NODES_TEXT_NOADDR = 64,
    NODES_TEXT_NOFAILOVER = 512,
};

struct nodes_text_range {
    uint16_t first, last;
};

// A slot on the move, on the line of myself.
struct nodes_text_move {
    uint16_t slot;
    bool importing; // from the node; else migrating to it
    char id[NODES_TEXT_ID_SIZE];
};

struct nodes_text_node {
    char id[NODES_TEXT_ID_SIZE];
    char primary[NODES_TEXT_ID_SIZE];  // empty: none
    char shard_id[NODES_TEXT_ID_SIZE]; // empty: not said
    char ip[NODES_TEXT_IP_SIZE];
    char hostname[NODES_TEXT_NAME_SIZE];
    char human_nodename[NODES_TEXT_NAME_SIZE];
    uint16_t port, bus_port;
    uint16_t other_port; // aux tls-port or tcp-port, whichever is not `port`
    bool other_is_tls;
    uint16_t flags;
    bool link_up;
    uint64_t ping_sent, pong_received, config_epoch;
    struct nodes_text_range *ranges; // ascending as they stand in the line
    size_t range_count;
    struct nodes_text_move *moves;
    size_t move_count;
};

struct nodes_text {
    struct nodes_text_node *nodes;
    size_t count;
    bool has_vars;
    uint64_t current_epoch, last_vote_epoch;
};

// Reads a whole text into *out, which nodes_text_free gives back. Blank lines and unknown vars are skipped.
// False, with *out empty and the reason (with its line number) appended to `error`, when a line is no line of
// this format.
bool nodes_text_parse(struct bytes text, struct nodes_text *out, struct buffer *error);

void nodes_text_free(struct nodes_text *text);

enum nodes_text_style { NODES_TEXT_FILE, NODES_TEXT_REPLY };

// Appends one line with its newline; the aux fields only in a file.
void nodes_text_write(struct buffer *out, const struct nodes_text_node *node, enum nodes_text_style style);

// Appends the line that ends a file.
void nodes_text_write_vars(struct buffer *out, uint64_t current_epoch, uint64_t last_vote_epoch);

#endif
