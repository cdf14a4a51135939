#include "call/route_check.h"

#include <string.h>

#include "base/hash.h"
#include "base/memory.h"

struct presence {
    unsigned keys, missing;
};

static void look_for_keys(struct dispatcher *dispatcher, unsigned db, const struct command *command,
                          const struct bytes *argv, int argc, struct presence *presence) {
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
    struct presence presence = {0, 0};
    look_for_keys(dispatcher, session->db, prepared->command, prepared->parsed.argv, prepared->parsed.argc, &presence);
    if (session->transaction.open && strcmp(prepared->command->name, "exec") == 0)
        for (int i = 0; i < session->transaction.count; i++) {
            const struct queued_command *queued = &session->transaction.queue[i];
            look_for_keys(dispatcher, session->db, queued->command, queued->argv, queued->argc, &presence);
        }
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
    if (routes->state[slot] & ROUTE_MIGRATING && presence.missing) {
        if (presence.missing < presence.keys) return try_again(reply);
        if (routes->other[slot] == routes->myself) return true; // an order that sends the slot to its own owner
        return redirect(reply, routes, "ASK", slot, routes->other[slot]);
    }
    if (routes->state[slot] & ROUTE_IMPORTING && (session->asking || command->flags & CMD_ASKING)) {
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
    if (count > 1 && prepared->key && routes->owner[prepared->slot] == ROUTE_NONE) {
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
