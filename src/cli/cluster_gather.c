#include "cli/cluster_gather.h"

#include <stdio.h>
#include <string.h>

#include "base/bitset.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "cli/cluster_bar.h"
#include "cli/cluster_log.h"
#include "cli/cluster_migrate.h"
#include "resp/request.h"

enum {
    KEYS_AT_ONCE = 10,
    CLAIMS_IN_FLIGHT = 256,
    DUMP_TAIL = 10 // bytes
};

bool cluster_slot_set(const struct cluster_node *node, unsigned slot, const char *how, const char *id) {
    char number[NUMBER_TEXT_MAX];
    number_format(number, slot);
    return CLUSTER_NODE_ORDER(node, "CLUSTER", "SETSLOT", number, how, id);
}

static void note_owner(struct cluster_node *node, unsigned slot, bool owns) {
    if (bitset_test(node->slots, slot) == owns) return;
    if (owns)
        bitset_set(node->slots, slot);
    else
        bitset_clear(node->slots, slot);
    node->slot_count += owns ? 1 : -1u;
}

bool cluster_slot_claim(struct cluster_node *node, unsigned slot) {
    if (!cluster_slot_set(node, slot, "STABLE", NULL) || !cluster_slot_set(node, slot, "NODE", node->id))
        return false;
    note_owner(node, slot, true);
    return CLUSTER_NODE_ORDER(node, "CLUSTER", "BUMPEPOCH");
}

bool cluster_slots_claim(struct cluster_node *node, const uint16_t *slots, size_t count) {
    for (size_t at = 0; at < count;) {
        size_t n = count - at < CLAIMS_IN_FLIGHT ? count - at : CLAIMS_IN_FLIGHT;
        bool good = true;
        for (size_t i = 0; i < n; i++) {
            char number[NUMBER_TEXT_MAX];
            number_format(number, slots[at + i]);
            request_strings(connection_queue(node->connection), "CLUSTER", "SETSLOT", number, "NODE",
                            node->id, NULL);
        }
        for (size_t i = 0; i < n; i++) {
            const struct reply *reply = connection_read(node->connection);
            if (connection_reply_is_fine(reply)) {
                note_owner(node, slots[at + i], true);
                continue;
            }
            if (good) cluster_node_say_error(node, reply);
            if (!reply) return false;
            good = false;
        }
        if (!good) return false;
        at += n;
    }
    return !count || CLUSTER_NODE_ORDER(node, "CLUSTER", "BUMPEPOCH");
}

// Importing comes right after giving up: a node does not drop the keys of a slot that it imports when it
// hears who owns it now.
bool cluster_slot_yield(struct cluster_node *node, unsigned slot, const struct cluster_node *owner) {
    char number[NUMBER_TEXT_MAX];
    number_format(number, slot);
    if (!cluster_slot_set(node, slot, "STABLE", NULL)) return false;
    if (!CLUSTER_NODE_ORDER(node, "CLUSTER", "DELSLOTS", number)) return false;
    note_owner(node, slot, false);
    return cluster_slot_set(node, slot, "IMPORTING", owner->id);
}

bool cluster_slot_assign(const struct cluster_nodes *nodes, unsigned slot, struct cluster_node *owner,
                         struct cluster_node *before) {
    char number[NUMBER_TEXT_MAX];
    number_format(number, slot);
    if (!cluster_slot_set(owner, slot, "NODE", owner->id)) return false;
    note_owner(owner, slot, true);
    if (before) {
        const struct reply *reply =
            CONNECTION_ASK(before->connection, "CLUSTER", "SETSLOT", number, "NODE", owner->id);
        if (!reply || (reply->type == REPLY_ERROR && !cluster_node_has_retired(reply))) {
            cluster_node_say_error(before, reply);
            return false;
        }
        note_owner(before, slot, false);
    }
    for (size_t i = 0; i < nodes->count; i++) {
        const struct cluster_node *node = &nodes->items[i];
        if (node != owner && node != before && cluster_node_is_primary(node))
            CONNECTION_ASK(node->connection, "CLUSTER", "SETSLOT", number, "NODE", owner->id);
    }
    return true;
}

// ---- Keys that are at both ----

// A digest of zeros only: the key is not there.
static bool is_absent(struct bytes digest) {
    for (size_t i = 0; i < digest.size; i++)
        if (digest.data[i] != '0') return false;
    return true;
}

// What the values are known by, in the order of the keys, empty for a key that is not there: here by DEBUG
// DIGEST-VALUE. False when the node does not tell: DEBUG must be permitted.
static bool ask_digests(const struct cluster_node *node, const struct texts *keys, struct texts *prints) {
    struct buffer *queue = connection_queue(node->connection);
    request_begin(queue, 2 + keys->count);
    request_string(queue, "DEBUG");
    request_string(queue, "DIGEST-VALUE");
    for (size_t i = 0; i < keys->count; i++)
        request_argument(queue, keys->items[i]);
    const struct reply *reply = connection_read(node->connection);
    if (!reply || reply->type != REPLY_ARRAY || reply->count != keys->count) return false;
    for (size_t i = 0; i < keys->count; i++) {
        struct bytes digest = reply->items[i].text;
        texts_add(prints, is_absent(digest) ? BYTES("") : digest);
    }
    return true;
}

// DUMP's reply without its tail, the format's version and a checksum, which differ between servers.
static bool add_dump(struct texts *prints, const struct reply *reply) {
    if (!reply || (reply->type != REPLY_NIL && reply->type != REPLY_STRING)) return false;
    bool absent = reply->type == REPLY_NIL || reply->text.size < DUMP_TAIL;
    texts_add(prints, absent ? BYTES("") : bytes_of(reply->text.data, reply->text.size - DUMP_TAIL));
    return true;
}

// The same by DUMP. ASKING: who imports the slot speaks of its keys only then. False, with the error said,
// when the node does not tell.
static bool ask_dumps(const struct cluster_node *node, const struct texts *keys, struct texts *prints) {
    bool good = true;
    for (size_t i = 0; i < keys->count && good; i++) {
        struct buffer *queue = connection_queue(node->connection);
        request_strings(queue, "ASKING", NULL);
        request_begin(queue, 2);
        request_string(queue, "DUMP");
        request_argument(queue, keys->items[i]);
        const struct reply *reply = connection_read(node->connection);
        if (reply) reply = connection_read(node->connection);
        good = add_dump(prints, reply);
        if (!good) cluster_node_say_error(node, reply);
    }
    return good;
}

typedef bool asker(const struct cluster_node *node, const struct texts *keys, struct texts *prints);

static bool ask_both(asker *ask, const struct cluster_node *source, const struct cluster_node *target,
                     const struct texts *keys, struct texts *ours, struct texts *theirs) {
    if (ask(source, keys, ours) && ask(target, keys, theirs)) return true;
    texts_free(ours);
    texts_free(theirs);
    *ours = *theirs = (struct texts){0};
    return false;
}

static bool differ(struct bytes ours, struct bytes theirs) {
    return theirs.size && !bytes_equal(ours, theirs);
}

static void say_differing(const struct cluster_node *source, const struct cluster_node *target,
                          const struct texts *keys, const struct texts *ours, const struct texts *theirs,
                          size_t count) {
    cluster_log(TONE_BAD,
                "*** Found %zu key(s) in both source node and target node having different values.\n", count);
    cluster_log(TONE_PLAIN, "    Source node: %s:%u\n    Target node: %s:%u\n    Keys(s):\n", source->host,
                source->port, target->host, target->port);
    for (size_t i = 0; i < keys->count; i++)
        if (differ(ours->items[i], theirs->items[i]))
            cluster_log(TONE_PLAIN, "    - %.*s\n", (int)keys->items[i].size, keys->items[i].data);
    cluster_log(TONE_PLAIN, "Please fix the above key(s) manually and try again or relaunch the command \n"
                            "with --cluster-replace option to force key overriding.\n");
}

// May the values at the target be overwritten because they are the same?
static bool are_equal(const struct cluster_node *source, const struct cluster_node *target,
                      const struct texts *keys) {
    struct texts ours = {0}, theirs = {0};
    cluster_log(TONE_WARNING, "*** Checking key values on both nodes...\n");
    if (!ask_both(ask_digests, source, target, keys, &ours, &theirs) &&
        !ask_both(ask_dumps, source, target, keys, &ours, &theirs)) {
        cluster_log(TONE_BAD, "*** Value check failed!\n");
        return false;
    }
    size_t differing = 0;
    for (size_t i = 0; i < keys->count; i++)
        differing += differ(ours.items[i], theirs.items[i]);
    if (differing) say_differing(source, target, keys, &ours, &theirs, differing);
    texts_free(&ours);
    texts_free(&theirs);
    return differing == 0;
}

// ---- Moving ----

// What moves: the keys of one slot in one database.
struct gathering {
    const struct options *options;
    const struct cluster_node *source, *target;
    unsigned slot, db;
    struct bar bar; // in a terminal; else a dot a key
    uint64_t moved;
};

static const struct reply *migrate(const struct gathering *gathering, const struct texts *keys,
                                   bool replace) {
    struct migrate_wish wish = migrate_wish_to(gathering->target, gathering->db, gathering->options);
    struct connection *connection = gathering->source->connection;
    wish.replace = replace;
    migrate_append(connection_queue(connection), &wish, keys);
    return connection_read(connection);
}

static bool is_busy(const struct reply *reply) {
    return reply && reply->type == REPLY_ERROR && memmem(reply->text.data, reply->text.size, "BUSYKEY", 7);
}

static bool move_some(const struct gathering *gathering, const struct texts *keys) {
    // Without REPLACE at first even when it is allowed: that a key is at both nodes is worth saying.
    const struct reply *reply = migrate(gathering, keys, false);
    if (is_busy(reply)) {
        cluster_log(TONE_WARNING, "\n*** Target key exists\n");
        if (!gathering->options->cluster.replace && !are_equal(gathering->source, gathering->target, keys))
            return false;
        cluster_log(TONE_WARNING, "*** Replacing target keys...\n");
        reply = migrate(gathering, keys, true);
    }
    if (connection_reply_is_fine(reply)) return true;
    cluster_log(TONE_PLAIN, "\n");
    cluster_node_say_error(gathering->source, reply);
    return false;
}

// The next keys of the slot; their texts are the reply's, so they are copied. False when the node does not
// tell.
static bool ask_keys(const struct gathering *gathering, struct texts *keys) {
    char number[NUMBER_TEXT_MAX], count[NUMBER_TEXT_MAX];
    int pipeline = gathering->options->cluster.pipeline;
    number_format(number, gathering->slot);
    number_format(count, pipeline > 0 ? pipeline : KEYS_AT_ONCE);
    const struct reply *reply =
        CONNECTION_ASK(gathering->source->connection, "CLUSTER", "GETKEYSINSLOT", number, count);
    if (!reply || reply->type != REPLY_ARRAY) {
        cluster_node_say_error(gathering->source, reply);
        return false;
    }
    for (size_t i = 0; i < reply->count; i++)
        texts_add(keys, reply->items[i].text);
    return true;
}

static void show(struct gathering *gathering, size_t count) {
    struct bar *bar = &gathering->bar;
    gathering->moved += count;
    for (size_t i = 0; i < count && !bar->drawn; i++)
        cluster_log(TONE_PLAIN, ".");
    double share = bar->total ? (double)gathering->moved / (double)bar->total : 1;
    bar_show(bar, share, gathering->moved, "", share >= 1);
}

static bool gather_database(struct gathering *gathering) {
    // The target is asked as well, for the values of keys that it has already.
    bool good = cluster_node_select(gathering->source, gathering->db) &&
                (gathering->db >= gathering->target->databases ||
                 cluster_node_select(gathering->target, gathering->db));
    while (good) {
        struct texts keys = {0};
        good = ask_keys(gathering, &keys);
        size_t count = keys.count;
        if (good && count) good = move_some(gathering, &keys);
        texts_free(&keys);
        if (!count) break;
        if (good) show(gathering, count);
    }
    return good;
}

bool cluster_gather_keys(const struct options *options, const struct cluster_node *source,
                         const struct cluster_node *target, unsigned slot) {
    struct gathering gathering = {.options = options, .source = source, .target = target, .slot = slot};
    long long keys = cluster_node_count_keys(source, slot);
    bool good = keys >= 0;
    bar_begin(&gathering.bar, "keys", good ? (uint64_t)keys : 0);
    cluster_log(TONE_PLAIN, "Moving slot %u from %s:%u to %s:%u: %s", slot, source->host, source->port,
                target->host, target->port, gathering.bar.drawn ? "\n" : "");
    for (; good && gathering.db < source->databases; gathering.db++)
        good = gather_database(&gathering);
    bar_end(&gathering.bar);
    if (!gathering.bar.drawn) cluster_log(TONE_PLAIN, "\n");
    return good;
}
