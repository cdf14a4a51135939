// state: the inside of the core, shared by the files of src/cluster that decide. Nobody outside of this
// folder includes it.
//
// Times are the event's monotonic milliseconds plus CLOCK_BASE, so that 0 can mean "never" and subtraction
// can't wrap. Invariants: owner[s] is the index of a live peer or NO_PEER; peer->slots counts its entries in
// owner[]; a replica owns no slot; `size` counts the peers that own slots; by_name finds every live peer.
#ifndef SHOAL_CLUSTER_STATE_H
#define SHOAL_CLUSTER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/prng.h"
#include "cluster/cluster.h"
#include "cluster/cluster_view.h"
#include "cluster/directory.h"
#include "cluster/packet.h"
#include "cluster/peer.h"

#define CLOCK_BASE ((uint64_t)1 << 40)

enum {
    NO_PEER = CLUSTER_NO_INDEX,
    PEERS_MAX = 16384,
    BLACKLIST_MAX = 256,
    TICK_MS = 100,         // "cron 10/s"
    RANDOM_PING_MS = 1000, // once a second one of RANDOM_PING_CANDIDATES is pinged
    RANDOM_PING_CANDIDATES = 5,
    WRITABLE_DELAY_MS = 2000,  // after a restart a primary first listens
    REJOIN_DELAY_MIN_MS = 500, // after a minority spell, node timeout within these bounds
    REJOIN_DELAY_MAX_MS = 5000,
    HANDSHAKE_TIMEOUT_MIN_MS = 1000,
    MIGRATION_DELAY_MS = 5000, // a primary must have been orphaned for so long
    SAVE_RETRY_MS = 1000,
    CLOCK_TOLERANCE_MS = 500,  // how far in our future a gossiped pong may lie
    LINK_RETRY_MAX_MS = 2000,  // a link that can't be made is tried less and less often, down to this
    LINKS_PER_TICK = 64,       // how many links are made in one go
    SMALL_CLUSTER = 64,        // up to so many nodes pings are twice as frequent
    SUSPICION_FANOUT_MAX = 32, // how many peers hear of a suspicion at once; the rest by gossip
    PEER_WORD = 64             // peers in a word of a set of peers
};

struct forgotten {
    uint64_t until;
    char id[CLUSTER_ID_SIZE];
};

// What we have told the disk, and so may tell the world. While a promise waits for its save, pings speak
// this.
struct spoken {
    uint64_t current_epoch, config_epoch;
    uint16_t flags;
    char primary[CLUSTER_ID_SIZE];
    uint16_t slots_of;
    uint64_t slots_version; // `slots` are those of peer `slots_of` at this slots_version of the cluster, plus
                            // one; 0: of nobody
    uint8_t slots[PACKET_SLOTS_SIZE];
};

// As a replica of a failed primary.
struct election {
    uint64_t at;    // when votes are asked for; 0 = nothing planned
    uint64_t epoch; // of the votes
    uint32_t votes;
    uint32_t quorum; // as it was when votes were asked for
    uint32_t rank;   // among the replicas of the shard,
    uint32_t place;  // and of the shard among those that wait for an election
    bool asked;
    bool rivals;      // others asked in the same moment
    uint16_t primary; // whom it is to succeed
    uint8_t refusal;  // the last reason that was logged
};

struct manual_failover {
    uint64_t until; // 0 = none under way
    // As the primary:
    uint16_t replica;
    bool pause_wanted; // PAUSE_WRITES was given
    bool paused;       // and the driver says that it holds: the offset is final
    // As the replica:
    bool can_start;
    bool offset_known;
    uint16_t pings_before; // over our link to the primary, before MFSTART, and not answered yet
    uint64_t primary_offset;
    uint64_t primary_epoch; // its configEpoch when it told that: with another one it has begun anew
};

enum todo {
    TODO_SAVE = 1,
    TODO_PROMISE = 2,   // a save that what we say waits for
    TODO_SAVE_SYNC = 4, // at once
    TODO_STATE = 8,
    TODO_ROUTES = 16,
    TODO_ELECTION = 32,
    TODO_SUSPICION = 64,
    TODO_ANNOUNCE = 128, // PONG to everybody: we have changed
    TODO_CLOCK = 256,    // time has passed: the state may follow what was counted before
};

// Slots in a row of one owner; all of them, in order, as of slots_version.
struct slot_run {
    uint16_t owner, first, last;
};
struct slot_runs {
    uint64_t version;
    struct slot_run *items;
    uint32_t count, capacity;
};

// What every step looks at comes first and lies together, what is large comes last.
struct cluster {
    uint64_t now;
    uint64_t unix_ahead; // unix_now - now, modulo 2^64
    uint64_t last_step, awake_since;
    uint64_t next_tick, next_random_ping, next_suspicion, next_fail_news;
    uint64_t forget_news_at;  // when forget_news is told, unless another does before; UINT64_MAX: it was
    uint64_t suspicions_told; // when suspicions were last spoken of
    uint64_t next_renewal;    // when all that stand are spoken of again
    uint32_t todo;
    uint32_t gossip_mark;

    struct cluster_actions actions;
    size_t actions_capacity;
    struct peer *myself;
    struct peer **peers;  // by index; NULL where there is none
    struct peer **blocks; // where they lie: PEER_WORD in a block, by index
    uint32_t peers_capacity, peers_end, peers_count;
    uint32_t by_name_size;
    uint16_t *by_name; // number of the name in the directory -> index of the peer, or NO_PEER
    struct directory *directory;
    struct reported **reports; // by index: whom the peer says to fail, a row of words; NULL: nobody
    uint32_t report_age;       // in which of the ages what is heard now falls, ...
    uint64_t next_report_age;  // ... and until when; see reports.h
    struct message_pool *pool;
    struct prng prng;

    // By index, so that a tick need not look at all peers; see peers.h.
    uint32_t *inbound;   // the last link that the peer has made to us; 0: it has gone
    uint64_t *look_at;   // when a tick must look at the peer; 0: the next one
    uint64_t *linkless;  // set of peers: no link
    uint64_t *suspects;  // set of peers: PFAIL
    uint64_t *untold;    // set of peers: of those, whom speak_suspicions has not spoken of
    uint64_t *fail_news; // set of peers: whose failure we will tell, unless another does before
    uint32_t suspect_count;
    uint32_t
        suspect_word; // modulo the words of `suspects`: where the next heartbeat that tells of some begins
    uint32_t link_cursor;     // the peer for whom a link was made last
    uint64_t looked_interval; // look_at was computed with this interval of pings

    uint64_t current_epoch, last_vote_epoch;
    uint64_t save_number, saved_number, promise_number;
    uint64_t save_again; // when a failed save is tried again
    uint64_t next_save;  // when a plain save is due
    uint64_t next_spoken_save;
    bool next_spoken_announced; // and then everybody hears it at once
    bool save_failed;
    bool stalled; // we say nothing, and nobody's silence counts
    bool ok;
    bool coverage_only;
    bool covered, majority; // as last counted
    bool writes_paused;
    bool primary_link_up, ever_synchronised;
    bool told_replica;
    uint16_t told_primary; // what the driver was told to replicate from
    uint16_t told_port;
    char told_ip[CLUSTER_IP_SIZE];
    uint64_t data_age, data_age_time;
    uint64_t circle_time; // since when our primary calls itself our replica
    uint64_t minority_time;
    struct election election;
    struct manual_failover manual;
    uint64_t slots_version;                 // grows with every change of an owner or a role
    uint64_t routes_version;                // grows with every PUBLISH_ROUTES
    uint32_t size, assigned, moving, taken; // `taken`: entries of taken_from
    uint32_t
        full_size; // `size` before a primary stepped down of whose successor we have not heard; 0: none has
    uint64_t claims_version; // of `claims`
    uint16_t claims_of;
    uint16_t generation;
    uint32_t forgotten_count;
    struct cluster_config config;
    uint64_t started;
    uint64_t sent[CLUSTER_MESSAGE_KINDS], received[CLUSTER_MESSAGE_KINDS];
    struct buffer text;        // of notes and outcomes, addressed by offset until the step ends
    struct slot_runs *runs;    // found when nodes.conf was written last
    struct spoken spoken;      // what heartbeats say
    struct spoken next_spoken; // what they will say once save `next_spoken_save` (0: none) is done

    uint16_t owner[CLUSTER_SLOTS];
    uint16_t migrating[CLUSTER_SLOTS];
    uint16_t importing[CLUSTER_SLOTS];
    uint16_t taken_from[CLUSTER_SLOTS]; // whom we took the slot from as the administrator ordered, until it
                                        // was heard to let go; NO_PEER otherwise
    uint8_t not_claimed[PACKET_SLOTS_SIZE]; // the owner itself does not claim the slot any more
    uint8_t claims[PACKET_SLOTS_SIZE];      // bitmap of the slots of peer `claims_of` as of claims_version
    struct forgotten forget_news;           // whom we tell others to forget, until ...
    struct forgotten forgotten[BLACKLIST_MAX];
};

// Walks all peers. Peers may be created and deleted inside; `break` does not leave the walk, `return` does.
#define PEERS_EACH(cluster, item)                                                                            \
    for (uint32_t item##_at = 0; item##_at < (cluster)->peers_end; item##_at++)                              \
        for (struct peer *item = (cluster)->peers[item##_at]; item; item = NULL)

// Walks a set of peers by ascending index; the peer that is looked at may leave the set inside.
#define PEER_SET_EACH(cluster, set, item)                                                                    \
    for (uint32_t item##_word = 0; item##_word * PEER_WORD < (cluster)->peers_end; item##_word++)            \
        for (uint64_t item##_left = (cluster)->set[item##_word]; item##_left;                                \
             item##_left &= item##_left - 1)                                                                 \
            for (struct peer *item =                                                                         \
                     (cluster)->peers[item##_word * PEER_WORD + (uint32_t)__builtin_ctzll(item##_left)];     \
                 item; item = NULL)

static inline bool peer_is(const struct peer *peer, unsigned flags) {
    return (peer->flags & flags) != 0;
}

// Who votes and whose reports count: "masters serving at least one hash slot".
static inline bool peer_votes(const struct peer *peer) {
    return peer_is(peer, CLUSTER_NODE_PRIMARY) && peer->slots > 0;
}

static inline uint64_t elapsed(const struct cluster *cluster, uint64_t since) {
    return cluster->now > since ? cluster->now - since : 0;
}

static inline uint64_t unix_time(const struct cluster *cluster, uint64_t time) {
    return time ? time + cluster->unix_ahead : 0;
}

// Of those who vote, and of those whose seats are empty for us only.
static inline uint32_t quorum(const struct cluster *cluster) {
    return (cluster->size > cluster->full_size ? cluster->size : cluster->full_size) / 2 + 1;
}

static inline uint64_t min64(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static inline uint64_t max64(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

#endif
