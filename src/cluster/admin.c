#include "cluster/admin.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/numbers.h"
#include "cluster/actions.h"
#include "cluster/election.h"
#include "cluster/epoch.h"
#include "cluster/handshake.h"
#include "cluster/manual.h"
#include "cluster/peers.h"
#include "cluster/slots.h"
#include "cluster/speak.h"

enum { TEXT_MAX = 512, BUS_PORT_OFFSET = 10000, PORT_MAX = 65535 };

// ---- Outcomes and arguments ----

void admin_accept(struct admin *admin) {
    action_outcome(admin->cluster, admin->order->number, true, true, "OK");
}

void admin_accept_text(struct admin *admin, const char *format, ...) {
    char text[TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    action_outcome(admin->cluster, admin->order->number, true, true, text);
}

void admin_reject(struct admin *admin, const char *format, ...) {
    char text[TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    // What the user typed must not break the line that an error reply is.
    for (char *c = text; *c; c++)
        if (*c == '\r' || *c == '\n') *c = ' ';
    action_outcome(admin->cluster, admin->order->number, false, false, text);
}

bool admin_number(const struct admin *admin, size_t index, int64_t *number) {
    return number_parse(admin_argument(admin, index), number);
}

struct peer *admin_peer(const struct admin *admin, size_t index) {
    struct bytes name = admin_argument(admin, index);
    return name.size == CLUSTER_ID_SIZE ? peer_find(admin->cluster, name.data) : NULL;
}

static void reject_unknown_node(struct admin *admin) {
    struct bytes name = admin_argument(admin, 1);
    admin_reject(admin, "ERR Unknown node %.*s", (int)(name.size < 256 ? name.size : 256), name.data);
}

// ---- Who belongs to the cluster ----

static void order_meet(struct admin *admin) {
    struct bytes host = admin_argument(admin, 1), port_text = admin_argument(admin, 2);
    int64_t port, bus_port;
    char ip[CLUSTER_IP_SIZE] = "";
    if (!admin_number(admin, 2, &port)) {
        admin_reject(admin, "ERR Invalid TCP base port specified: %.*s", (int)port_text.size, port_text.data);
        return;
    }
    bus_port = port + BUS_PORT_OFFSET;
    if (admin->order->count == 4 && !admin_number(admin, 3, &bus_port)) {
        struct bytes bus_text = admin_argument(admin, 3);
        admin_reject(admin, "ERR Invalid TCP bus port specified: %.*s", (int)bus_text.size, bus_text.data);
        return;
    }
    if (host.size < sizeof(ip)) memcpy(ip, host.data, host.size), ip[host.size] = '\0';
    bool ports = port > 0 && port <= PORT_MAX && bus_port > 0 && bus_port <= PORT_MAX;
    if (!ports || !handshake_start(admin->cluster, ip, (uint16_t)port, 0, (uint16_t)bus_port, true))
        admin_reject(admin, "ERR Invalid node address specified: %.*s:%.*s",
                     (int)(host.size < 128 ? host.size : 128), host.data, (int)port_text.size,
                     port_text.data);
    else
        admin_accept(admin);
}

static void order_forget(struct admin *admin) {
    struct cluster *cluster = admin->cluster;
    struct peer *peer = admin_peer(admin, 1);
    if (peer == NULL) {
        struct bytes name = admin_argument(admin, 1);
        // Said by another node a moment ago, and done: the administrator goes on through his list.
        if (name.size == CLUSTER_ID_SIZE && blacklist_has(cluster, name.data))
            admin_accept(admin);
        else
            reject_unknown_node(admin);
        return;
    }
    if (peer == cluster->myself) {
        admin_reject(admin, "ERR I tried hard but I can't forget myself...");
        return;
    }
    if (peer_is(cluster->myself, CLUSTER_NODE_REPLICA) && cluster->myself->primary == peer->index) {
        admin_reject(admin, "ERR Can't forget my master!");
        return;
    }
    uint64_t ttl = cluster->config.blacklist_ttl;
    blacklist_add(cluster, peer->id, ttl);
    if (cluster->forget_news_at != UINT64_MAX) speak_forgotten(cluster); // of another one
    memcpy(cluster->forget_news.id, peer->id, CLUSTER_ID_SIZE);
    cluster->forget_news.until = cluster->now + ttl;
    peer_delete(cluster, peer);
    cluster->forget_news_at = cluster->now + speak_news_wait(cluster);
    admin_accept(admin);
}

// ---- Roles ----

static void order_replicate(struct admin *admin) {
    struct cluster *cluster = admin->cluster;
    struct peer *peer = admin_peer(admin, 1), *myself = cluster->myself;
    if (peer == NULL) {
        reject_unknown_node(admin);
    } else if (peer == myself) {
        admin_reject(admin, "ERR Can't replicate myself");
    } else if (!peer_is(peer, CLUSTER_NODE_PRIMARY)) {
        admin_reject(admin, "ERR I can only replicate a master, not a replica.");
    } else if (peer_is(myself, CLUSTER_NODE_PRIMARY) && (myself->slots || admin->order->has_keys)) {
        admin_reject(admin, "ERR To set a master the node must be empty and without assigned slots.");
    } else {
        follow(cluster, peer);
        admin_accept(admin);
    }
}

// Cluster spec, "Manual failover": TAKEOVER asks nobody.
static void take_over(struct cluster *cluster) {
    action_note(cluster, LOG_WARNING, "Taking over the master (user request).");
    // What is held for a replica's epoch may be its primary's (nodes.conf says so): it is no claim of ours.
    epoch_take_new(cluster);
    election_win(cluster);
}

static void order_failover(struct admin *admin) {
    struct cluster *cluster = admin->cluster;
    struct peer *myself = cluster->myself;
    bool has_option = admin->order->count == 2;
    struct bytes option = has_option ? admin_argument(admin, 1) : BYTES("");
    bool force = bytes_is(option, "force"), takeover = bytes_is(option, "takeover");
    if (has_option && !force && !takeover) {
        admin_reject(admin, "ERR syntax error");
        return;
    }
    struct peer *primary = peer_shard_head(cluster, myself);
    if (!peer_is(myself, CLUSTER_NODE_REPLICA)) {
        admin_reject(admin, "ERR You should send CLUSTER FAILOVER to a replica");
        return;
    }
    if (primary == NULL) {
        admin_reject(admin, "ERR I'm a replica but my master is unknown to me");
        return;
    }
    bool gone = peer_is(primary, CLUSTER_NODE_FAIL) || primary->link != LINK_UP;
    if (gone && !force && !takeover) {
        admin_reject(admin, "ERR Master is down or failed, please use CLUSTER FAILOVER FORCE");
        return;
    }
    if (takeover)
        take_over(cluster);
    else
        manual_start(cluster, force);
    admin_accept(admin);
}

// Cluster spec, "Reset a cluster node": HARD also sets the epochs to 0 and takes a new name.
static void reset(struct cluster *cluster, bool hard) {
    struct peer *myself = cluster->myself;
    if (peer_is(myself, CLUSTER_NODE_REPLICA)) {
        peer_make_primary(cluster, myself);
        action_add(cluster, CLUSTER_ACTION_DROP_ALL);
    }
    manual_stop(cluster);
    memset(&cluster->election, 0, sizeof(cluster->election));
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot++) {
        slot_give(cluster, slot, NULL);
        slot_set_migrating(cluster, slot, NULL);
        slot_set_importing(cluster, slot, NULL);
    }
    for (uint32_t i = 0; i < cluster->peers_end; i++)
        if (cluster->peers[i] && cluster->peers[i] != myself) peer_delete(cluster, cluster->peers[i]);
    myself->flags = (uint16_t)(myself->flags & ~CLUSTER_NODE_MIGRATE_TO);
    cluster->forget_news.until = 0;
    cluster->forget_news_at = UINT64_MAX;
    if (hard) {
        char id[CLUSTER_ID_SIZE];
        cluster->current_epoch = cluster->last_vote_epoch = 0;
        myself->config_epoch = 0;
        peer_random_id(cluster, id);
        peer_rename(cluster, myself, id);
        peer_random_id(cluster, myself->shard_id);
        // Nothing of the former life may be said under the new name, not even until this is saved.
        cluster->next_spoken_save = 0;
        spoken_refresh(cluster);
    }
    promise(cluster);
    cluster->todo |= TODO_STATE | TODO_ROUTES;
}

static void order_reset(struct admin *admin) {
    struct bytes option = admin->order->count == 2 ? admin_argument(admin, 1) : BYTES("soft");
    bool hard = bytes_is(option, "hard");
    if (!hard && !bytes_is(option, "soft")) {
        admin_reject(admin, "ERR syntax error");
        return;
    }
    if (peer_is(admin->cluster->myself, CLUSTER_NODE_PRIMARY) && admin->order->has_keys) {
        admin_reject(admin, "ERR CLUSTER RESET can't be called with master nodes containing keys");
        return;
    }
    reset(admin->cluster, hard);
    admin_accept(admin);
}

// ---- Epochs and the file ----

static void order_set_config_epoch(struct admin *admin) {
    struct cluster *cluster = admin->cluster;
    int64_t epoch;
    if (!admin_number(admin, 1, &epoch)) {
        admin_reject(admin, "ERR value is not an integer or out of range");
    } else if (epoch < 0) {
        admin_reject(admin, "ERR Invalid config epoch specified: %lld", (long long)epoch);
    } else if (cluster->peers_count > 1) {
        admin_reject(
            admin, "ERR The user can assign a config epoch only when the node does not know any other node.");
    } else if (cluster->myself->config_epoch) {
        admin_reject(admin, "ERR Node config epoch is already non-zero");
    } else {
        cluster->myself->config_epoch = (uint64_t)epoch;
        cluster->current_epoch = max64(cluster->current_epoch, (uint64_t)epoch);
        promise(cluster);
        admin_accept(admin);
    }
}

static void order_bumpepoch(struct admin *admin) {
    bool bumped = epoch_bump_alone(admin->cluster);
    admin_accept_text(admin, "%s %llu", bumped ? "BUMPED" : "STILL",
                      (unsigned long long)admin->cluster->myself->config_epoch);
}

static void order_saveconfig(struct admin *admin) {
    promise(admin->cluster);
    admin_accept(admin);
}

// ---- The table ----

struct order_kind {
    const char *name;
    void (*run)(struct admin *admin);
    size_t min, max; // arguments, the subcommand's name included
    bool pairs;      // those after the name come in pairs
};

static const struct order_kind kinds[] = {
    {"meet", order_meet, 3, 4, false},
    {"addslots", admin_addslots, 2, CLUSTER_ORDER_ARGUMENTS_MAX, false},
    {"delslots", admin_delslots, 2, CLUSTER_ORDER_ARGUMENTS_MAX, false},
    {"addslotsrange", admin_addslotsrange, 3, CLUSTER_ORDER_ARGUMENTS_MAX, true},
    {"delslotsrange", admin_delslotsrange, 3, CLUSTER_ORDER_ARGUMENTS_MAX, true},
    {"flushslots", admin_flushslots, 1, 1, false},
    {"setslot", admin_setslot, 3, CLUSTER_ORDER_ARGUMENTS_MAX, false},
    {"forget", order_forget, 2, 2, false},
    {"replicate", order_replicate, 2, 2, false},
    {"failover", order_failover, 1, 2, false},
    {"reset", order_reset, 1, 2, false},
    {"set-config-epoch", order_set_config_epoch, 2, 2, false},
    {"bumpepoch", order_bumpepoch, 1, 1, false},
    {"saveconfig", order_saveconfig, 1, 1, false},
};

static bool count_fits(const struct order_kind *kind, size_t count) {
    return count >= kind->min && count <= kind->max && (!kind->pairs || count % 2 == 1);
}

void admin_order(struct cluster *cluster, const struct cluster_order *order) {
    struct admin admin = {cluster, order};
    struct bytes name = order->count ? order->arguments[0] : BYTES("");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!bytes_is(name, kinds[i].name)) continue;
        if (count_fits(&kinds[i], order->count))
            kinds[i].run(&admin);
        else if (order->count < kinds[i].min || kinds[i].pairs || kinds[i].min == kinds[i].max)
            admin_reject(&admin, "ERR wrong number of arguments for 'cluster|%s' command", kinds[i].name);
        else
            admin_reject(&admin,
                         "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try CLUSTER HELP.",
                         (int)name.size, name.data);
        return;
    }
    admin_reject(&admin, "ERR unknown subcommand '%.*s'. Try CLUSTER HELP.",
                 (int)(name.size < 128 ? name.size : 128), name.data);
}

int cluster_order_slot(const struct bytes *arguments, size_t count) {
    int64_t slot;
    if (count < 2 || !bytes_is(arguments[0], "setslot") || !number_parse(arguments[1], &slot)) return -1;
    return slot >= 0 && slot < CLUSTER_SLOTS ? (int)slot : -1;
}
