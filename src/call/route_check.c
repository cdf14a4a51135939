#include "call/route_check.h"

#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/numbers.h"

struct presence {
    unsigned keys, missing;
    bool crosses; // a key goes from one database into another
};

// Does the command write into another database than `db`, in which it was given?
static bool crosses_databases(const struct command *command, const struct bytes *argv, int argc, unsigned db) {
    int64_t other = db;
    if (command_is(command, "move")) number_parse(argv[2], &other);
    if (command_is(command, "copy"))
        for (int i = 3; i + 1 < argc; i++)
            if (bytes_is(argv[i], "db")) number_parse(argv[++i], &other);
    return other != db;
}

// The database in which the commands after a queued one run.
static unsigned database_after(const struct keyspace *keyspace, const struct queued_command *queued, unsigned db) {
    int64_t chosen;
    bool changes = command_is(queued->command, "select") && number_parse(queued->argv[1], &chosen) && chosen >= 0 &&
                   chosen < (int64_t)keyspace_databases(keyspace);
    return changes ? (unsigned)chosen : db;
}

static void look_for_keys(struct dispatcher *dispatcher, unsigned db, const struct command *command,
                          const struct bytes *argv, int argc, struct presence *presence) {
    presence->crosses |= crosses_databases(command, argv, argc, db);
    int *positions = mem_alloc((size_t)argc * sizeof *positions);
    int found = command_keys(command, argv, argc, positions, false);
    for (int i = 0; i < found; i++) {
        struct bytes key = argv[positions[i]];
        uint64_t hash = hash_bytes(key.data, key.size);
        presence->keys++;
        if (!keyspace_find(dispatcher->keyspace, db, hash_slot(key), hash, key)) presence->missing++;
    }
    mem_free(positions);
}

// How many keys the command (EXEC: its queue) names, and how many of them are not here.
static struct presence count_keys(struct dispatcher *dispatcher, const struct session *session,
                                  const struct prepared *prepared) {
    struct presence presence = {0};
    const struct transaction *transaction = &session->transaction;
    bool ends_queue = transaction->open && command_is(prepared->command, "exec");
    unsigned db = session->db;
    for (int i = 0; transaction->open && i < transaction->count; i++) {
        const struct queued_command *queued = &transaction->queue[i];
        if (ends_queue) look_for_keys(dispatcher, db, queued->command, queued->argv, queued->argc, &presence);
        db = database_after(dispatcher->keyspace, queued, db);
    }
    if (!ends_queue)
        look_for_keys(dispatcher, db, prepared->command, prepared->parsed.argv, prepared->parsed.argc, &presence);
    return presence;
}

static bool writes(const struct session *session, const struct command *command) {
    if (command->flags & CMD_WRITE) return true;
    if (!session->transaction.open || strcmp(command->name, "exec") != 0) return false;
    for (int i = 0; i < session->transaction.count; i++)
        if (session->transaction.queue[i].command->flags & CMD_WRITE) return true;
    return false;
}

static bool redirect(struct reply *reply, const struct routes *routes, const char *word, unsigned slot, unsigned node) {
    reply_errorf(reply, "%s %u %s", word, slot, routes->nodes[node].endpoint);
    return false;
}

static bool try_again(struct reply *reply) {
    reply_error(reply, "TRYAGAIN Multiple keys request during rehashing of slot");
    return false;
}

// A slot on the move: the keys decide. True: run it here.
static bool check_moving(struct dispatcher *dispatcher, struct session *session, const struct prepared *prepared,
                         const struct routes *routes, unsigned slot, struct reply *reply, bool *decided) {
    const struct command *command = prepared->command;
    *decided = true;
    if (strcmp(command->name, "migrate") == 0) return true;
    struct presence presence = count_keys(dispatcher, session, prepared);
    bool asked = routes->state[slot] & ROUTE_IMPORTING && (session->asking || command->flags & CMD_ASKING);
    // The two databases of a slot may be on different nodes now: neither could tell what is in the other.
    if (presence.crosses && (routes->state[slot] & ROUTE_MIGRATING || asked)) return try_again(reply);
    if (routes->state[slot] & ROUTE_MIGRATING && presence.missing) {
        if (presence.missing < presence.keys) return try_again(reply);
        if (routes->other[slot] == routes->myself) return true; // an order that sends the slot to its own owner
        return redirect(reply, routes, "ASK", slot, routes->other[slot]);
    }
    if (asked) {
        if (presence.keys > 1 && presence.missing) return try_again(reply);
        return true;
    }
    *decided = false;
    return true;
}

bool route_check(struct dispatcher *dispatcher, struct session *session, const struct prepared *prepared,
                 unsigned slot, unsigned count, struct reply *reply) {
    const struct routes *routes = keyspace_routes(dispatcher->keyspace);
    if (session->kind != SESSION_NORMAL) return true; // a primary's stream is applied wherever the slots are
    // The first key's slot is looked up before the others are compared with it.
    if (count > 1 && prepared->key.data && routes->owner[prepared->slot] == ROUTE_NONE) {
        reply_error(reply, "CLUSTERDOWN Hash slot not served");
        return false;
    }
    if (count > 1) {
        reply_error(reply, "CROSSSLOT Keys in request don't hash to the same slot");
        return false;
    }
    unsigned owner = routes->owner[slot];
    const struct command *command = prepared->command;
    if (__builtin_expect(routes->cluster_ok && owner == routes->myself && !routes->state[slot], 1)) return true;
    if (owner == ROUTE_NONE) {
        reply_error(reply, "CLUSTERDOWN Hash slot not served");
        return false;
    }
    if (!routes->cluster_ok && (!routes->reads_when_down || writes(session, command))) {
        reply_error(reply, routes->reads_when_down ? "CLUSTERDOWN The cluster is down and only accepts read commands"
                                                   : "CLUSTERDOWN The cluster is down");
        return false;
    }
    if (routes->state[slot]) {
        bool decided;
        bool here = check_moving(dispatcher, session, prepared, routes, slot, reply, &decided);
        if (decided) return here;
    }
    if (owner == routes->myself) return true;
    bool reads_here = session->cluster_readonly && !routes->primary && owner == routes->my_primary;
    if (reads_here && !writes(session, command)) return true;
    return redirect(reply, routes, "MOVED", slot, owner);
}
