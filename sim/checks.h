// checks: what must always hold, looked at from outside: from what nodes put on the wire, what their disks
// hold, and what their views say. Each look costs only what the step could have changed.
//
//  always   one vote per epoch and voter, restarts included
//           a promotion outside of TAKEOVER has a majority of votes, and is the only one of its epoch
//           a vote, a claim of an epoch or a request for votes is on disk before it is spoken
//           a kind manual failover asks for votes with all of the primary's stream in hand
//           the epochs of a node's messages never go back (its own config epoch not even over a restart)
//  settled  one owner per slot; all views equal in nodes, roles, primaries, epochs and slots; nobody seen as
//  failed;
//           every node says that the cluster is ok
//
// Thread: belongs to its run's thread.
#ifndef SHOAL_SIM_CHECKS_H
#define SHOAL_SIM_CHECKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/message.h"

struct sim;
struct node;

struct checked_node {
    uint64_t epoch;        // the current epoch of its last heartbeat in this life
    uint64_t vote_epoch;   // of its last vote or request for votes in this life
    uint64_t config_epoch; // the greatest that it claimed as a primary, in all lives
    size_t myself_at;      // where its file last said which line is its own
    uint64_t disk_epoch, disk_vote_epoch;
    // The greatest config epoch that the file has held for the node itself since it started. Not the file's
    // present one: a primary that has just become a replica writes its primary's epoch (as Redis does), and
    // until it hears that this is saved it still says what it said before. That promise was on disk when it
    // was made, and whatever the node wins later is newer than the current epoch, which never goes back on
    // disk.
    uint64_t disk_config_epoch;
    bool seat_doubled; // of the seat with this number: a TAKEOVER gave it a second voice, and it has more
                       // than one still
};

// Numbers by number; 0 is no key.
struct number_map {
    struct {
        uint64_t key, value;
    } * places;
    size_t size, count;
};

struct checks {
    struct checked_node *nodes;
    struct number_map votes;   // epoch and voter -> whom it voted for, and as who
    struct number_map winners; // epoch -> winner
    uint64_t elections;        // won
};

void checks_init(struct checks *checks, uint32_t nodes);
void checks_free(struct checks *checks);

// A node made a message: what it says must not go back. A heartbeat that `waits` for a save says more than
// those that are made after it and leave before it; it is left out.
void check_made(struct sim *sim, struct node *node, const struct cluster_message *message, bool waits);

// A node puts a message on the wire to the node `to`.
void check_spoken(struct sim *sim, struct node *node, uint32_t to, const struct cluster_message *message);

// Its file changed.
void check_disk(struct sim *sim, struct node *node);

// It begins a new life.
void check_started(struct sim *sim, struct node *node);

// It has become a primary by a TAKEOVER; it becomes a replica (is_primary says so already, its seat is the
// one it leaves).
void check_taken_over(struct sim *sim, struct node *node);
void check_stepped_down(struct sim *sim, struct node *node);

// Its core said BECOME_PRIMARY.
void check_promoted(struct sim *sim, struct node *node);

// Do all living nodes agree on a healthy cluster, each with a link to each, and has everything arrived that
// was held up on its way? When not, `why` (size bytes) says what is in the way. Nodes that are dead are to be
// seen as failed by all.
bool check_settled(struct sim *sim, char *why, size_t size);

#endif
