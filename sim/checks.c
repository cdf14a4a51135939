#include "sim/checks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cluster/cluster_view.h"
#include "sim/replication.h"
#include "sim/sim.h"

// Where the bus's header keeps what is looked at (version 1 of the wire, big-endian).
enum {
    HEADER_TYPE = 12,
    HEADER_CURRENT_EPOCH = 16,
    HEADER_CONFIG_EPOCH = 24,
    HEADER_FLAGS = 2250,
    HEADER_MESSAGE_FLAGS = 2253,
    HEADER_SIZE = 2256,
    MESSAGE_FLAG_FORCE_ACK = 2,
    TYPE_PING = 0,
    TYPE_PONG = 1,
    TYPE_MEET = 2,
    TYPE_AUTH_REQUEST = 5,
    TYPE_AUTH_ACK = 6,
    NODES_PER_EPOCH_KEY = 4096,
    MAP_FIRST_SIZE = 64,
};

// -- a map of numbers
// ------------------------------------------------------------------------------------------------

static size_t map_place(const struct number_map *map, uint64_t key) {
    size_t i = (size_t)(key * 0x9e3779b97f4a7c15u >> 20) & (map->size - 1);
    while (map->places[i].key && map->places[i].key != key)
        i = (i + 1) & (map->size - 1);
    return i;
}

static bool map_get(const struct number_map *map, uint64_t key, uint64_t *value) {
    if (!map->size) return false;
    size_t place = map_place(map, key);
    *value = map->places[place].value;
    return map->places[place].key != 0;
}

static void map_put(struct number_map *map, uint64_t key, uint64_t value) {
    if (map->count * 2 >= map->size) {
        struct number_map bigger = {.size = map->size ? map->size * 2 : MAP_FIRST_SIZE, .count = map->count};
        bigger.places = mem_calloc(bigger.size, sizeof *bigger.places);
        for (size_t i = 0; i < map->size; i++)
            if (map->places[i].key) bigger.places[map_place(&bigger, map->places[i].key)] = map->places[i];
        mem_free(map->places);
        *map = bigger;
    }
    size_t place = map_place(map, key);
    if (!map->places[place].key) map->count++;
    map->places[place].key = key;
    map->places[place].value = value;
}

// -- what always holds
// -----------------------------------------------------------------------------------------------

void checks_init(struct checks *checks, uint32_t nodes) {
    *checks = (struct checks){0};
    checks->nodes = mem_calloc(nodes, sizeof *checks->nodes);
}

void checks_free(struct checks *checks) {
    mem_free(checks->nodes);
    mem_free(checks->votes.places);
    mem_free(checks->winners.places);
    *checks = (struct checks){0};
}

static uint64_t read_u64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return __builtin_bswap64(value);
}

static unsigned read_u16(const uint8_t *at) {
    return (unsigned)at[0] << 8 | at[1];
}

static uint64_t vote_key(uint64_t epoch, uint32_t voter) {
    return epoch * NODES_PER_EPOCH_KEY + voter + 1;
}

// A vote as the map keeps it.
struct vote {
    uint32_t to;
    uint32_t seat; // of the voter when it voted
    bool doubled;  // by a TAKEOVER, then
};

static uint64_t vote_pack(struct vote vote) {
    return (uint64_t)vote.doubled << 63 | (uint64_t)vote.seat << 32 | vote.to;
}

static bool vote_find(const struct checks *checks, uint64_t epoch, uint32_t voter, struct vote *vote) {
    uint64_t packed;
    if (!map_get(&checks->votes, vote_key(epoch, voter), &packed)) return false;
    *vote = (struct vote){(uint32_t)packed, (uint32_t)(packed >> 32) & INT32_MAX, packed >> 63};
    return true;
}

static void check_vote(struct sim *sim, struct node *node, uint32_t to, uint64_t epoch) {
    struct checks *checks = &sim->checks;
    struct vote before;
    if (vote_find(checks, epoch, node->index, &before)) {
        sim_fail(sim, "one vote per epoch and voter: n%u voted in epoch %" PRIu64 " for n%u, and now for n%u",
                 node->index, epoch, before.to, to);
        return;
    }
    struct vote vote = {to, node->seat, checks->nodes[node->seat].seat_doubled};
    map_put(&checks->votes, vote_key(epoch, node->index), vote_pack(vote));
    sim_say(sim, "n%u votes for n%u in epoch %" PRIu64, node->index, to, epoch);
    if (checks->nodes[node->index].disk_vote_epoch < epoch)
        sim_fail(sim,
                 "persist then speak: n%u votes in epoch %" PRIu64 ", its disk knows votes up to %" PRIu64,
                 node->index, epoch, checks->nodes[node->index].disk_vote_epoch);
}

// Has it heard of the other's present config epoch?
static bool knows_epoch(const struct node *node, const struct node *other) {
    struct cluster_view_node myself, seen;
    cluster_view_myself(other->core, &myself);
    return cluster_view_find(node->core, bytes_of(other->id, CLUSTER_ID_SIZE), &seen) &&
           seen.config_epoch == myself.config_epoch;
}

// An administrator's manual failover waits for the primary to pause and the replica to have all that was
// written.
static void check_handover(struct sim *sim, struct node *node) {
    if (!node->asked_kindly || node->replication.source < 0) return;
    struct node *source = &sim->nodes[node->replication.source];
    if (!source->core || source->lives != node->asked_in_life) return;
    // It has stepped down for somebody else meanwhile, and repeats what that one writes. Its own writes,
    // which alone were held for us, we have; and who wrote since has a newer epoch, with which the voters
    // refuse us.
    if (!source->is_primary) return;
    // It has its role back, with a newer epoch. To those who have not heard of that the same applies.
    if (source->terms != node->asked_in_term && !knows_epoch(node, source)) return;
    replication_advance(source);
    if (source->replication.offset != node->replication.offset)
        sim_fail(sim,
                 "a manual failover loses nothing: n%u asks for votes at offset %" PRIu64
                 ", n%u is at %" PRIu64,
                 node->index, node->replication.offset, source->index, source->replication.offset);
}

static void check_epoch(struct sim *sim, struct node *node, uint64_t *last, uint64_t epoch,
                        const char *what) {
    if (epoch < *last)
        sim_fail(sim, "epochs never go back: a %s of n%u has epoch %" PRIu64 " after %" PRIu64, what,
                 node->index, epoch, *last);
    *last = epoch;
}

static void check_claim(struct sim *sim, struct node *node, uint64_t *last, uint64_t config_epoch) {
    if (config_epoch == *last) return;
    if (config_epoch < *last)
        sim_fail(sim, "epochs never go back: n%u claims config epoch %" PRIu64 " after %" PRIu64, node->index,
                 config_epoch, *last);
    if (*last) sim_tell(sim, "n%u claims config epoch %" PRIu64, node->index, config_epoch);
    *last = config_epoch;
}

void check_made(struct sim *sim, struct node *node, const struct cluster_message *message, bool waits) {
    if (message->size < HEADER_SIZE) return;
    struct checked_node *checked = &sim->checks.nodes[node->index];
    unsigned type = read_u16(message->data + HEADER_TYPE);
    uint64_t epoch = read_u64(message->data + HEADER_CURRENT_EPOCH);
    if (type == TYPE_AUTH_REQUEST || type == TYPE_AUTH_ACK)
        check_epoch(sim, node, &checked->vote_epoch, epoch, "vote or request");
    if (type == TYPE_AUTH_REQUEST && message->data[HEADER_MESSAGE_FLAGS] & MESSAGE_FLAG_FORCE_ACK)
        check_handover(sim, node);
    if (waits || (type != TYPE_PING && type != TYPE_PONG && type != TYPE_MEET)) return;
    check_epoch(sim, node, &checked->epoch, epoch, "heartbeat");
    if (read_u16(message->data + HEADER_FLAGS) & CLUSTER_NODE_PRIMARY)
        check_claim(sim, node, &checked->config_epoch, read_u64(message->data + HEADER_CONFIG_EPOCH));
}

void check_spoken(struct sim *sim, struct node *node, uint32_t to, const struct cluster_message *message) {
    if (message->size < HEADER_SIZE) return;
    const struct checked_node *checked = &sim->checks.nodes[node->index];
    const uint8_t *data = message->data;
    unsigned type = read_u16(data + HEADER_TYPE);
    uint64_t epoch = read_u64(data + HEADER_CURRENT_EPOCH);
    uint64_t config_epoch = read_u64(data + HEADER_CONFIG_EPOCH);
    trace_mix(&sim->trace, epoch << 20 ^ config_epoch << 5 ^ type ^ (uint64_t)message->size << 40);
    switch (type) {
    case TYPE_PING:
    case TYPE_PONG:
    case TYPE_MEET:
        if (config_epoch > checked->disk_config_epoch && read_u16(data + HEADER_FLAGS) & CLUSTER_NODE_PRIMARY)
            sim_fail(sim, "persist then speak: n%u claims config epoch %" PRIu64 ", its disk knows %" PRIu64,
                     node->index, config_epoch, checked->disk_config_epoch);
        break;
    case TYPE_AUTH_REQUEST:
        if (epoch > checked->disk_epoch)
            sim_fail(sim,
                     "persist then speak: n%u asks for votes in epoch %" PRIu64 ", its disk knows %" PRIu64,
                     node->index, epoch, checked->disk_epoch);
        break;
    case TYPE_AUTH_ACK: check_vote(sim, node, to, epoch); break;
    default: break;
    }
}

// The number after `word` in a text, or 0.
static uint64_t number_after(const char *text, const char *word) {
    const char *at = text ? strstr(text, word) : NULL;
    return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

// The beginning of the last line of a terminated text.
static const char *last_line(const char *text, size_t size) {
    const char *at = text + size;
    if (at > text && at[-1] == '\n') at--;
    while (at > text && at[-1] != '\n')
        at--;
    return at;
}

// Where the flags of the node's own line stand. Mostly its line is where it was the last time.
static const char *own_flags(struct checked_node *checked, const char *text, size_t size) {
    static const char mark[] = " myself,";
    const char *at = text + checked->myself_at;
    if (checked->myself_at + sizeof mark <= size && memcmp(at, mark, sizeof mark - 1) == 0) return at;
    at = strstr(text, mark);
    checked->myself_at = at ? (size_t)(at - text) : 0;
    return at;
}

void check_disk(struct sim *sim, struct node *node) {
    struct checked_node *checked = &sim->checks.nodes[node->index];
    const char *text = buffer_string(&node->disk.file);
    const char *last = last_line(text, node->disk.file.size);
    checked->disk_epoch = number_after(last, "currentEpoch ");
    checked->disk_vote_epoch = number_after(last, "lastVoteEpoch ");
    const char *field = own_flags(checked, text, node->disk.file.size);
    // " flags primary ping-sent pong-received config-epoch"
    for (int i = 0; field && i < 4; i++)
        field = strchr(field + 1, ' ');
    uint64_t config_epoch = field ? strtoull(field, NULL, 10) : 0;
    if (config_epoch > checked->disk_config_epoch) checked->disk_config_epoch = config_epoch;
}

void check_started(struct sim *sim, struct node *node) {
    struct checked_node *checked = &sim->checks.nodes[node->index];
    checked->epoch = checked->vote_epoch = 0;
    checked->disk_config_epoch = 0;
    check_disk(sim, node);
}

void check_taken_over(struct sim *sim, struct node *node) {
    sim->checks.nodes[node->seat].seat_doubled = true;
}

void check_stepped_down(struct sim *sim, struct node *node) {
    uint32_t voices = 0;
    for (uint32_t i = 0; i < sim->count; i++)
        voices += sim->nodes[i].is_primary && sim->nodes[i].seat == node->seat;
    if (voices < 2) sim->checks.nodes[node->seat].seat_doubled = false;
}

static uint32_t count_votes(const struct sim *sim, uint64_t epoch, uint32_t whom) {
    uint32_t votes = 0;
    struct vote vote;
    for (uint32_t voter = 0; voter < sim->count; voter++)
        votes += vote_find(&sim->checks, epoch, voter, &vote) && vote.to == whom;
    return votes;
}

// Did the seat vote for both, by two nodes that sat on it, and was it a TAKEOVER that gave it two voices?
static bool doubled_seat_voted_twice(const struct sim *sim, uint64_t epoch, uint32_t seat, uint32_t one,
                                     uint32_t other) {
    bool for_one = false, for_other = false, doubled = false;
    for (uint32_t voter = 0; voter < sim->count; voter++) {
        struct vote vote;
        if (!vote_find(&sim->checks, epoch, voter, &vote) || vote.seat != seat) continue;
        for_one |= vote.to == one;
        for_other |= vote.to == other;
        doubled |= vote.doubled;
    }
    return for_one && for_other && doubled;
}

// Two majorities of the same seats have a seat in common, and who sits there votes once. But after a
// TAKEOVER, which asks nobody, a primary that has not heard of it votes with its shard's voice, and so does
// the one that took its place: the protocol promises one winner to those only who don't use it ("manual
// failover without cluster consensus ... in violation of the last-failover-wins principle"). Is that why
// there are two: would one of them have no majority without the seats that such a second voice let vote for
// both? (Other seats may have two voices as well, for a moment: of a primary that does not know of its
// elected successor, and of that one. They are no excuse.)
static bool seats_were_doubled(const struct sim *sim, uint64_t epoch, uint32_t one, uint32_t other,
                               uint32_t majority) {
    uint32_t twice = 0, votes = count_votes(sim, epoch, one), others = count_votes(sim, epoch, other);
    for (uint32_t seat = 0; seat < sim->count; seat++)
        twice += doubled_seat_voted_twice(sim, epoch, seat, one, other);
    return twice && (votes < others ? votes : others) < majority + twice;
}

void check_promoted(struct sim *sim, struct node *node) {
    struct checks *checks = &sim->checks;
    struct cluster_view_status status;
    struct cluster_view_node myself;
    cluster_view_status(node->core, &status);
    cluster_view_myself(node->core, &myself);
    uint64_t epoch = myself.config_epoch, other;
    if (node->taken_over || myself.slots == 0) return;
    uint32_t votes = count_votes(sim, epoch, node->index);
    if (votes < status.size / 2 + 1)
        sim_fail(sim, "elections are won by majorities: n%u won epoch %" PRIu64 " with %u votes of %u",
                 node->index, epoch, votes, status.size);
    if (map_get(&checks->winners, epoch, &other) && other != node->index &&
        !seats_were_doubled(sim, epoch, node->index, (uint32_t)other, status.size / 2 + 1))
        sim_fail(sim, "one winner per epoch: n%u won epoch %" PRIu64 ", which n%" PRIu64 " had won",
                 node->index, epoch, other);
    map_put(&checks->winners, epoch, node->index);
    checks->elections++;
}

// -- what holds once all is quiet
// ------------------------------------------------------------------------------------

// A node's view in a form that can be compared: everything by the simulator's numbers.
struct summary {
    uint64_t slots, nodes, epoch;
};

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 31;
}

static const struct node *known(const struct sim *sim, const struct cluster_view_node *seen) {
    return sim_find(sim, seen->id);
}

// The nodes of a view, without regard to their order; false, with the reason, when one is not as it should
// be.
static bool summarise_nodes(struct sim *sim, struct node *node, uint32_t *numbers, uint64_t *sum, char *why,
                            size_t size) {
    struct cluster_view_node seen, primary;
    uint32_t cursor = 0, count = 0;
    *sum = 0;
    while (cluster_view_next(node->core, &cursor, &seen)) {
        const struct node *peer = known(sim, &seen);
        if (!peer || seen.flags & CLUSTER_NODE_HANDSHAKE) {
            snprintf(why, size, "n%u still greets %s (%.8s)", node->index, seen.ip, seen.id);
            return false;
        }
        bool failed = seen.flags & (CLUSTER_NODE_FAIL | CLUSTER_NODE_PFAIL);
        if (failed == (peer->core != NULL)) {
            snprintf(why, size, "n%u sees n%u as %s", node->index, peer->index, failed ? "failed" : "well");
            return false;
        }
        // Views that match while two have no link match by chance: neither will hear what the other does
        // next.
        if (peer->core && !seen.link_up) {
            snprintf(why, size, "n%u has no link to n%u", node->index, peer->index);
            return false;
        }
        numbers[seen.index] = peer->index;
        uint64_t role = seen.flags & (CLUSTER_NODE_PRIMARY | CLUSTER_NODE_REPLICA), of = UINT32_MAX;
        if (seen.primary_index != CLUSTER_NO_INDEX &&
            cluster_view_node_at(node->core, seen.primary_index, &primary)) {
            const struct node *source = known(sim, &primary);
            if (source) of = source->index;
        }
        // A replica's own config epoch means nothing: only a primary's is compared.
        uint64_t epoch = role & CLUSTER_NODE_PRIMARY ? seen.config_epoch : 0;
        *sum += mix(mix(mix(peer->index, role), of), epoch);
        count++;
    }
    if (count == sim->count) return true;
    snprintf(why, size, "n%u knows %u nodes of %u", node->index, count, sim->count);
    return false;
}

static bool summarise(struct sim *sim, struct node *node, uint32_t *numbers, struct summary *summary,
                      char *why, size_t size) {
    struct cluster_view_status status;
    cluster_view_status(node->core, &status);
    if (!status.ok) {
        const uint16_t *owner = cluster_view_owners(node->core);
        uint32_t slot = 0;
        while (slot < CLUSTER_SLOTS && owner[slot] != CLUSTER_NO_INDEX)
            slot++;
        snprintf(why, size, "n%u says the cluster is not ok (%u slots failed, first without owner: %u)",
                 node->index, status.slots_fail, slot);
        return false;
    }
    summary->epoch = status.current_epoch;
    if (!summarise_nodes(sim, node, numbers, &summary->nodes, why, size)) return false;
    const uint16_t *owners = cluster_view_owners(node->core);
    summary->slots = 0;
    for (uint32_t slot = 0; slot < CLUSTER_SLOTS; slot++) {
        if (owners[slot] == CLUSTER_NO_INDEX) {
            snprintf(why, size, "n%u knows no owner of slot %u", node->index, slot);
            return false;
        }
        summary->slots = mix(summary->slots, numbers[owners[slot]]);
    }
    return true;
}

// Whose replica it is in a view, by the simulator's numbers; -1 when that is not known.
static int primary_of(const struct node *node, const struct cluster_view_node *replica) {
    struct cluster_view_node primary;
    if (replica->primary_index == CLUSTER_NO_INDEX ||
        !cluster_view_node_at(node->core, replica->primary_index, &primary))
        return -1;
    const struct node *known_as = known(node->sim, &primary);
    return known_as ? (int)known_as->index : -1;
}

// The replica whose primary the two don't agree about.
static void explain_replicas(struct node *a, struct node *b, char *why, size_t size) {
    uint32_t cursor = 0;
    struct cluster_view_node one, two;
    while (cluster_view_next(a->core, &cursor, &one)) {
        if (!cluster_view_find(b->core, bytes_of(one.id, CLUSTER_ID_SIZE), &two)) continue;
        int first = primary_of(a, &one), second = primary_of(b, &two);
        if (first == second) continue;
        const struct node *replica = known(a->sim, &one);
        snprintf(why, size, "n%d replicates n%d for n%u, n%d for n%u", replica ? (int)replica->index : -1,
                 first, a->index, second, b->index);
        return;
    }
    snprintf(why, size, "n%u and n%u see different nodes", a->index, b->index);
}

// Who disagrees about what, for the failure's text.
static void explain(struct sim *sim, struct node *a, struct node *b, char *why, size_t size) {
    const uint16_t *owners[2] = {cluster_view_owners(a->core), cluster_view_owners(b->core)};
    for (uint32_t slot = 0; slot < CLUSTER_SLOTS; slot++) {
        struct cluster_view_node one, two;
        if (!cluster_view_node_at(a->core, owners[0][slot], &one) ||
            !cluster_view_node_at(b->core, owners[1][slot], &two))
            continue;
        if (strcmp(one.id, two.id) == 0) continue;
        const struct node *first = known(sim, &one), *second = known(sim, &two);
        snprintf(why, size, "slot %u is n%d's for n%u, n%d's for n%u", slot, first ? (int)first->index : -1,
                 a->index, second ? (int)second->index : -1, b->index);
        return;
    }
    uint32_t cursor = 0;
    struct cluster_view_node one, two;
    while (cluster_view_next(a->core, &cursor, &one)) {
        if (!cluster_view_find(b->core, bytes_of(one.id, CLUSTER_ID_SIZE), &two)) continue;
        unsigned roles = CLUSTER_NODE_PRIMARY | CLUSTER_NODE_REPLICA;
        if ((one.flags & roles) == (two.flags & roles) &&
            (one.config_epoch == two.config_epoch || one.flags & CLUSTER_NODE_REPLICA))
            continue;
        const struct node *peer = known(sim, &one);
        snprintf(why, size, "n%d is a %s of config epoch %" PRIu64 " for n%u, a %s of %" PRIu64 " for n%u",
                 peer ? (int)peer->index : -1, one.flags & CLUSTER_NODE_PRIMARY ? "primary" : "replica",
                 one.config_epoch, a->index, two.flags & CLUSTER_NODE_PRIMARY ? "primary" : "replica",
                 two.config_epoch, b->index);
        return;
    }
    explain_replicas(a, b, why, size);
}

bool check_settled(struct sim *sim, char *why, size_t size) {
    struct node *first = NULL;
    struct summary expected = {0};
    uint32_t from, to;
    // What was said in the troubles may undo what holds now: a FORGET that comes after the MEET, say.
    if (network_holds_up(&sim->network, &from, &to)) {
        snprintf(why, size, "what n%u said to n%u has not arrived yet", from, to);
        return false;
    }
    uint32_t *numbers = mem_calloc(CLUSTER_NO_INDEX + 1, sizeof *numbers);
    bool settled = true;
    for (uint32_t i = 0; i < sim->count && settled; i++) {
        struct node *node = &sim->nodes[i];
        struct summary summary;
        if (!node->core) continue;
        settled = summarise(sim, node, numbers, &summary, why, size);
        if (!settled) break;
        if (!first) {
            first = node;
            expected = summary;
        } else if (summary.slots != expected.slots || summary.nodes != expected.nodes) {
            explain(sim, first, node, why, size);
            settled = false;
        } else if (summary.epoch != expected.epoch) {
            snprintf(why, size, "n%u is in epoch %" PRIu64 ", n%u in %" PRIu64, first->index, expected.epoch,
                     i, summary.epoch);
            settled = false;
        }
    }
    mem_free(numbers);
    if (settled && !first) snprintf(why, size, "no node is alive");
    return settled && first;
}
