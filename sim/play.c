#include "sim/play.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "sim/admin.h"
#include "sim/sim.h"

enum {
    WORDS_MAX = 64,
    TAIL_LINES = 60,
    LOOK_EVERY_MS = 50, // while waiting for something
    REASON_MAX = 300,
    DEFAULT_TIMEOUT_MS = 1000,
};

struct play {
    const struct options *options;
    FILE *echo;
    struct sim sim;
    bool up;
    struct buffer *output;
};

struct words {
    char *items[WORDS_MAX];
    size_t count;
};

struct play *play_create(const struct options *options, FILE *echo) {
    struct play *play = mem_calloc(1, sizeof *play);
    play->options = options;
    play->echo = echo;
    return play;
}

void play_destroy(struct play *play) {
    if (play->up) {
        play->sim.transcript = NULL;
        sim_free(&play->sim);
    }
    mem_free(play);
}

bool play_failed(const struct play *play, FILE *report) {
    if (!play->up || !play->sim.failed) return !play->up;
    fprintf(report, "a checker failed: %s\n", play->sim.failure);
    return true;
}

void play_print_trace(const struct play *play, FILE *to) {
    if (play->up) trace_print_tail(&play->sim.trace, to, TAIL_LINES);
}

// -- words
// -----------------------------------------------------------------------------------------------------------

static bool is(const struct words *words, size_t index, const char *word) {
    return index < words->count && strcmp(words->items[index], word) == 0;
}

static bool number_at(const struct words *words, size_t index, int64_t *number) {
    return index < words->count && number_parse(bytes_from_string(words->items[index]), number);
}

// "5s", "300ms".
static bool time_at(const struct words *words, size_t index, uint64_t *ms) {
    if (index >= words->count) return false;
    char *end;
    *ms = strtoull(words->items[index], &end, 10);
    if (end == words->items[index]) return false;
    if (strcmp(end, "s") == 0) *ms *= 1000;
    return strcmp(end, "s") == 0 || strcmp(end, "ms") == 0;
}

static bool node_number(const struct play *play, struct bytes text, uint32_t *index) {
    int64_t number;
    if (text.size < 2 || text.data[0] != 'n') return false;
    if (!number_parse(bytes_of(text.data + 1, text.size - 1), &number)) return false;
    *index = (uint32_t)number;
    return number >= 0 && number < play->sim.count;
}

// "n3".
static struct node *node_at(struct play *play, const struct words *words, size_t index) {
    uint32_t number;
    bool is_node = index < words->count && node_number(play, bytes_from_string(words->items[index]), &number);
    return is_node ? &play->sim.nodes[number] : NULL;
}

struct range {
    uint32_t first, last;
};

// "n3", or "n3..n17".
static bool range_at(struct play *play, const struct words *words, size_t index, struct range *range) {
    if (index >= words->count) return false;
    const char *word = words->items[index], *dots = strstr(word, "..");
    struct bytes first = bytes_of(word, dots ? (size_t)(dots - word) : strlen(word));
    struct bytes last = dots ? bytes_from_string(dots + 2) : first;
    return node_number(play, first, &range->first) && node_number(play, last, &range->last) &&
           range->first <= range->last;
}

typedef void node_function(struct play *play, struct node *node, bool option);

// Words from the second on are nodes, and `option` may come last. False, and nothing is done, when they are
// not.
static bool for_nodes(struct play *play, const struct words *words, const char *option,
                      node_function *function) {
    bool given = is(words, words->count - 1, option);
    size_t count = words->count - given;
    struct range range;
    for (size_t i = 1; i < count; i++)
        if (!range_at(play, words, i, &range)) return false;
    for (size_t i = 1; i < count && range_at(play, words, i, &range); i++)
        for (uint32_t node = range.first; node <= range.last; node++)
            function(play, &play->sim.nodes[node], given);
    return count > 1;
}

static bool slot_at(const struct words *words, size_t index, int64_t *slot) {
    return number_at(words, index, slot) && *slot >= 0 && *slot < CLUSTER_SLOTS;
}

// -- orders. Each returns false when it doesn't understand its words.
// ------------------------------------------------

typedef bool order_function(struct play *play, const struct words *words);

static bool order_nodes(struct play *play, const struct words *words) {
    int64_t nodes, replicas = 1, timeout = DEFAULT_TIMEOUT_MS, seed = 1;
    bool fresh = false;
    if (play->up || !number_at(words, 1, &nodes) || nodes < 1 || nodes > OPTION_NODES_MAX) return false;
    for (size_t i = 2; i < words->count; i++) {
        if (is(words, i, "fresh"))
            fresh = true;
        else if (is(words, i, "replicas") && number_at(words, i + 1, &replicas))
            i++;
        else if (is(words, i, "timeout") && number_at(words, i + 1, &timeout))
            i++;
        else if (is(words, i, "seed") && number_at(words, i + 1, &seed))
            i++;
        else
            return false;
    }
    if (replicas < 0 || timeout < 1) return false;
    sim_init(&play->sim, play->options, (uint32_t)nodes, (uint64_t)timeout, (uint64_t)seed, play->echo);
    play->up = true;
    if (fresh)
        sim_start_fresh(&play->sim, (uint32_t)replicas);
    else
        sim_start_grown(&play->sim, (uint32_t)replicas);
    return true;
}

static bool order_run(struct play *play, const struct words *words) {
    uint64_t ms;
    if (!time_at(words, 1, &ms)) return false;
    sim_run(&play->sim, ms);
    return true;
}

static void kill_one(struct play *play, struct node *node, bool machine) {
    node_kill(node, machine);
}

// kill n1 n5..n7 ... [machine]
static bool order_kill(struct play *play, const struct words *words) {
    return for_nodes(play, words, "machine", kill_one);
}

static void start_one(struct play *play, struct node *node, bool moved) {
    if (moved && !node->core) network_move(&play->sim.network, node->index);
    node_start(node);
}

// start n1 n5..n7 ... [moved]
static bool order_start(struct play *play, const struct words *words) {
    return for_nodes(play, words, "moved", start_one);
}

// stall n1 on | stall n1 off
static bool order_stall(struct play *play, const struct words *words) {
    struct node *node = node_at(play, words, 1);
    bool on = is(words, 2, "on");
    if (!node || !node->core || (!on && !is(words, 2, "off"))) return false;
    struct cluster_event event = {.kind = CLUSTER_EVENT_STALL, .stalled = on};
    node_step(node, &event);
    return true;
}

static bool order_freeze(struct play *play, const struct words *words) {
    struct node *node = node_at(play, words, 1);
    uint64_t ms;
    if (!node || !time_at(words, 2, &ms)) return false;
    node_freeze(node, ms);
    return true;
}

enum { SIDE_NONE, SIDE_LEFT, SIDE_RIGHT };

static void cut_off(struct sim *sim, const uint8_t *side, bool both) {
    for (uint32_t i = 0; i < sim->count; i++)
        for (uint32_t j = 0; j < sim->count; j++)
            if (side[i] == SIDE_LEFT && side[j] == SIDE_RIGHT) {
                network_block(&sim->network, i, j, 1);
                if (both) network_block(&sim->network, j, i, 1);
            }
}

// partition n0 n1 | n2 ...: the others hear all. It adds to the partitions before it. oneway n0 | n1: what n0
// sends doesn't reach n1.
static bool part(struct play *play, const struct words *words, bool both) {
    uint8_t *side = mem_calloc(play->sim.count, 1);
    bool left = true, right = false;
    for (size_t i = 1; i < words->count; i++) {
        struct node *node = node_at(play, words, i);
        if (is(words, i, "|") && left) {
            left = false;
            right = true;
        } else if (node) {
            side[node->index] = left ? SIDE_LEFT : SIDE_RIGHT;
        } else {
            mem_free(side);
            return false;
        }
    }
    cut_off(&play->sim, side, both);
    mem_free(side);
    return right;
}

static bool order_partition(struct play *play, const struct words *words) {
    return part(play, words, true);
}

static bool order_oneway(struct play *play, const struct words *words) {
    return part(play, words, false);
}

static bool order_heal(struct play *play, const struct words *words) {
    network_unblock_all(&play->sim.network);
    for (uint32_t i = 0; i < play->sim.count; i++) {
        play->sim.network.hosts[i].slow_us = 0;
        play->sim.network.hosts[i].loss = 0;
        play->sim.nodes[i].disk.slow_us = 0;
        play->sim.nodes[i].disk.full = false;
    }
    return words->count == 1;
}

// disk n1 slow 500ms | disk n1 full | disk n1 well
static bool order_disk(struct play *play, const struct words *words) {
    struct node *node = node_at(play, words, 1);
    uint64_t ms;
    if (!node) return false;
    node->disk.full = is(words, 2, "full");
    if (is(words, 2, "slow") && time_at(words, 3, &ms)) {
        node->disk.steady_us = ms * MICROSECONDS_PER_MS;
        return true;
    }
    node->disk.steady_us = 0;
    return node->disk.full || is(words, 2, "well");
}

// clock n1 jump -5000 (ms) | clock n1 drift 200 (ppm)
static bool order_clock(struct play *play, const struct words *words) {
    struct node *node = node_at(play, words, 1);
    int64_t amount;
    if (!node || !number_at(words, 3, &amount)) return false;
    if (is(words, 2, "jump"))
        node->clock.wall_jump_ms += amount;
    else if (is(words, 2, "drift"))
        node_set_drift(node, amount);
    else
        return false;
    return true;
}

static void print_outcome(void *context, struct node *node, bool ok, const char *text) {
    struct play *play = context;
    sim_tell(&play->sim, "n%u answers %s%s", node->index, ok ? "" : "-", text);
}

// order n1 FAILOVER ...: a word nN among the arguments stands for that node's name.
static bool order_order(struct play *play, const struct words *words) {
    struct node *node = node_at(play, words, 1);
    if (!node || words->count < 3) return false;
    struct buffer text = BUFFER_EMPTY;
    for (size_t i = 2; i < words->count; i++) {
        struct node *named = node_at(play, words, i);
        buffer_appendf(&text, "%s%s", i > 2 ? " " : "", named ? named->id : words->items[i]);
    }
    node_order(node, buffer_string(&text), print_outcome, play);
    buffer_free(&text);
    return true;
}

// meet n0 n5
static bool order_meet(struct play *play, const struct words *words) {
    struct node *node = node_at(play, words, 1), *whom = node_at(play, words, 2);
    if (!node || !whom) return false;
    char text[100];
    snprintf(text, sizeof text, "MEET %s %d", play->sim.network.hosts[whom->index].address, NODE_PORT);
    node_order(node, text, print_outcome, play);
    return true;
}

// move 100 n0 n1
static bool order_move(struct play *play, const struct words *words) {
    int64_t slot;
    struct node *from = node_at(play, words, 2), *to = node_at(play, words, 3);
    if (!slot_at(words, 1, &slot) || !from || !to) return false;
    admin_move_slot(&play->sim, from->index, to->index, (uint32_t)slot);
    return true;
}

static bool order_repair(struct play *play, const struct words *words) {
    admin_repair(&play->sim);
    return words->count == 1;
}

// -- looking
// ---------------------------------------------------------------------------------------------------------

enum truth { IS_FALSE, IS_TRUE, IS_NONSENSE };

static enum truth look_owner(struct play *play, const struct words *words, size_t at, char *why) {
    int64_t slot;
    struct node *owner = node_at(play, words, at + 2);
    if (!slot_at(words, at + 1, &slot) || !owner) return IS_NONSENSE;
    for (uint32_t i = 0; i < play->sim.count; i++) {
        struct node *node = &play->sim.nodes[i];
        struct cluster_view_node seen;
        if (!node->core) continue;
        uint16_t index = cluster_view_owners(node->core)[slot];
        bool known = index != CLUSTER_NO_INDEX && cluster_view_node_at(node->core, index, &seen);
        if (known && strcmp(seen.id, owner->id) == 0) continue;
        const struct node *other = known ? sim_find(&play->sim, seen.id) : NULL;
        snprintf(why, REASON_MAX, "slot %d is n%d's for n%u", (int)slot, other ? (int)other->index : -1, i);
        return IS_FALSE;
    }
    return IS_TRUE;
}

static enum truth look_role(struct play *play, const struct words *words, size_t at, char *why) {
    struct node *node = node_at(play, words, at + 1), *source = node_at(play, words, at + 3);
    bool primary = is(words, at + 2, "primary");
    if (!node || (!primary && !is(words, at + 2, "replica"))) return IS_NONSENSE;
    snprintf(why, REASON_MAX, "n%u is %s", node->index,
             !node->core        ? "dead"
             : node->is_primary ? "a primary"
                                : "another's replica");
    if (!node->core || node->is_primary != primary) return IS_FALSE;
    return primary || !source || node->replication.source == (int)source->index ? IS_TRUE : IS_FALSE;
}

static enum truth look_state(struct play *play, const struct words *words, size_t at, char *why) {
    struct node *node = node_at(play, words, at + 1);
    bool ok = is(words, at + 2, "ok");
    if (!node || !node->core || (!ok && !is(words, at + 2, "fail"))) return IS_NONSENSE;
    struct cluster_view_status status;
    cluster_view_status(node->core, &status);
    snprintf(why, REASON_MAX, "the state is %s for n%u", status.ok ? "ok" : "fail", node->index);
    return status.ok == ok ? IS_TRUE : IS_FALSE;
}

static enum truth look(struct play *play, const struct words *words, size_t at, char *why) {
    if (is(words, at, "owner")) return look_owner(play, words, at, why);
    if (is(words, at, "role")) return look_role(play, words, at, why);
    if (is(words, at, "state")) return look_state(play, words, at, why);
    if (is(words, at, "settled")) return check_settled(&play->sim, why, REASON_MAX) ? IS_TRUE : IS_FALSE;
    int64_t number;
    if (is(words, at, "elections") && number_at(words, at + 1, &number)) {
        snprintf(why, REASON_MAX, "%" PRIu64 " elections were won", play->sim.checks.elections);
        return (int64_t)play->sim.checks.elections == number ? IS_TRUE : IS_FALSE;
    }
    return IS_NONSENSE;
}

// expect owner 0 n4 | role n1 primary | role n1 replica [n0] | state n1 ok | settled | elections 1
static bool order_expect(struct play *play, const struct words *words) {
    char why[REASON_MAX] = "";
    enum truth truth = look(play, words, 1, why);
    if (truth == IS_FALSE) buffer_appendf(play->output, "not so: %s\n", why);
    return truth != IS_NONSENSE;
}

// wait 10s <what expect takes>
static bool order_wait(struct play *play, const struct words *words) {
    char why[REASON_MAX] = "";
    uint64_t ms;
    if (!time_at(words, 1, &ms)) return false;
    uint64_t until = world_ms(&play->sim.world) + ms;
    enum truth truth;
    while ((truth = look(play, words, 2, why)) == IS_FALSE && world_ms(&play->sim.world) < until &&
           !play->sim.failed)
        sim_run(&play->sim, LOOK_EVERY_MS);
    if (truth == IS_FALSE) buffer_appendf(play->output, "waited in vain: %s\n", why);
    return truth != IS_NONSENSE;
}

static bool dispatch(struct play *play, const struct words *words);

// quietly ORDER: of a thousand nodes one asks what has become of them, not what each of them did.
static bool order_quietly(struct play *play, const struct words *words) {
    struct words order = {.count = words->count - 1};
    memcpy(order.items, words->items + 1, order.count * sizeof *order.items);
    play->sim.transcript = NULL;
    return !is(&order, 0, "quietly") && dispatch(play, &order);
}

static const struct {
    const char *word;
    order_function *function;
} orders[] = {
    {"nodes", order_nodes},   {"run", order_run},       {"kill", order_kill},
    {"start", order_start},   {"freeze", order_freeze}, {"partition", order_partition},
    {"oneway", order_oneway}, {"heal", order_heal},     {"disk", order_disk},
    {"clock", order_clock},   {"order", order_order},   {"meet", order_meet},
    {"move", order_move},     {"repair", order_repair}, {"expect", order_expect},
    {"wait", order_wait},     {"stall", order_stall},   {"quietly", order_quietly},
};

static bool dispatch(struct play *play, const struct words *words) {
    if (!words->count || (!play->up && strcmp(words->items[0], "nodes") != 0)) return false;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        if (strcmp(words->items[0], orders[i].word) == 0) return orders[i].function(play, words);
    return false;
}

void play_order(struct play *play, const char *text, struct buffer *output) {
    char *copy = mem_strdup(text), *rest = NULL;
    struct words words = {.count = 0};
    for (char *word = strtok_r(copy, " ", &rest); word && words.count < WORDS_MAX;
         word = strtok_r(NULL, " ", &rest))
        words.items[words.count++] = word;
    play->output = output;
    if (play->up) play->sim.transcript = output;
    if (play->up) sim_say(&play->sim, ">%s", text);
    if (!dispatch(play, &words)) buffer_append_string(output, "not understood\n");
    if (play->up) play->sim.transcript = NULL;
    play->output = NULL;
    mem_free(copy);
}
