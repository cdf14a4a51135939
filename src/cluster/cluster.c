#include "cluster/cluster.h"

#include <string.h>

#include "base/memory.h"
#include "cluster/actions.h"
#include "cluster/admin.h"
#include "cluster/election.h"
#include "cluster/failure.h"
#include "cluster/handshake.h"
#include "cluster/heartbeat.h"
#include "cluster/manual.h"
#include "cluster/nodes_conf.h"
#include "cluster/peers.h"
#include "cluster/recv.h"
#include "cluster/reports.h"
#include "cluster/slots.h"
#include "cluster/speak.h"

struct cluster_commons {
    struct message_pool *pool;
    struct directory *directory;
};

// ---- Birth and death ----

// What this node says of itself, from the configuration.
static void take_own_names(struct cluster *cluster) {
    struct peer *myself = cluster->myself;
    const struct cluster_config *config = &cluster->config;
    myself->port = config->port;
    myself->bus_port = config->bus_port;
    myself->other_port = config->other_port;
    if (config->announce_ip[0]) memcpy(myself->ip, config->announce_ip, sizeof(myself->ip));
    peer_address_changed(cluster, myself);
    peer_set_text(&myself->hostname, bytes_from_string(config->announce_hostname));
    peer_set_text(&myself->human_nodename, bytes_from_string(config->announce_human_nodename));
    myself->flags = (uint16_t)((myself->flags & ~CLUSTER_NODE_NOFAILOVER) |
                               (config->replica_no_failover ? CLUSTER_NODE_NOFAILOVER : 0));
    peer_set_link(cluster, myself, LINK_UP);
}

static void set_time(struct cluster *cluster, uint64_t now, uint64_t unix_now) {
    // A clock that goes back stands still.
    cluster->now = max64(cluster->now, now + CLOCK_BASE);
    cluster->unix_ahead = unix_now - cluster->now;
}

static struct cluster *create_empty(const struct cluster_commons *commons,
                                    const struct cluster_config *config, uint64_t seed) {
    struct cluster *cluster = mem_calloc(1, sizeof(*cluster));
    cluster->config = *config;
    prng_seed(&cluster->prng, seed);
    memset(cluster->owner, 0xff, sizeof(cluster->owner));
    memset(cluster->migrating, 0xff, sizeof(cluster->migrating));
    memset(cluster->importing, 0xff, sizeof(cluster->importing));
    memset(cluster->taken_from, 0xff, sizeof(cluster->taken_from));
    cluster->claims_of = NO_PEER;
    cluster->runs = mem_calloc(1, sizeof(*cluster->runs));
    cluster->told_primary = NO_PEER;
    cluster->manual.replica = NO_PEER;
    cluster->pool = commons ? message_pool_retain(commons->pool) : message_pool_create();
    cluster->directory = commons ? directory_retain(commons->directory) : directory_create();
    return cluster;
}

struct cluster *cluster_create(const struct cluster_config *config, struct bytes conf, uint64_t seed,
                               uint64_t now, uint64_t unix_now, struct buffer *error) {
    return cluster_create_among(NULL, config, conf, seed, now, unix_now, error);
}

struct cluster *cluster_create_among(const struct cluster_commons *commons,
                                     const struct cluster_config *config, struct bytes conf, uint64_t seed,
                                     uint64_t now, uint64_t unix_now, struct buffer *error) {
    struct cluster *cluster = create_empty(commons, config, seed);
    set_time(cluster, now, unix_now);
    cluster->started = cluster->last_step = cluster->awake_since = cluster->data_age_time = cluster->now;
    cluster->next_tick = cluster->now;
    cluster->next_random_ping = cluster->now + RANDOM_PING_MS;
    cluster->next_suspicion = cluster->next_fail_news = cluster->forget_news_at = UINT64_MAX;
    cluster->next_report_age = cluster->now;
    if (conf.size == 0) {
        cluster->myself = peer_create(cluster, NULL, CLUSTER_NODE_MYSELF | CLUSTER_NODE_PRIMARY);
        cluster->todo = TODO_SAVE | TODO_SAVE_SYNC;
    } else if (!nodes_conf_load(cluster, conf, error)) {
        cluster_destroy(cluster);
        return NULL;
    } else {
        cluster->todo = 0; // what was read need not be written
    }
    take_own_names(cluster);
    spoken_refresh(cluster);
    cluster->todo |= TODO_STATE | TODO_ROUTES;
    return cluster;
}

void cluster_destroy(struct cluster *cluster) {
    if (cluster == NULL) return;
    actions_begin(cluster);
    mem_free(cluster->actions.items);
    buffer_free(&cluster->text);
    mem_free(cluster->runs->items);
    mem_free(cluster->runs);
    peers_free(cluster);
    message_pool_destroy(cluster->pool);
    directory_release(cluster->directory);
    mem_free(cluster);
}

// ---- What cores share ----

struct cluster_commons *cluster_commons_create(void) {
    struct cluster_commons *commons = mem_alloc(sizeof(*commons));
    *commons = (struct cluster_commons){message_pool_create(), directory_create()};
    return commons;
}

void cluster_commons_release(struct cluster_commons *commons) {
    message_pool_destroy(commons->pool);
    directory_release(commons->directory);
    mem_free(commons);
}

// ---- For the driver ----

void cluster_set_config(struct cluster *cluster, const struct cluster_config *config) {
    // An address that is announced no more is not ours: the next packet that reaches us says what is.
    if (cluster->config.announce_ip[0] && !config->announce_ip[0]) cluster->myself->ip[0] = '\0';
    cluster->config = *config;
    take_own_names(cluster);
    peers_look_again(cluster);
    cluster->todo |= TODO_SAVE | TODO_ROUTES | TODO_STATE | TODO_ANNOUNCE;
    cluster->next_tick = cluster->now;
}

void cluster_nodes_conf(const struct cluster *cluster, struct buffer *out) {
    nodes_conf_write(cluster, NODES_TEXT_FILE, NO_PEER, false, out);
    nodes_text_write_vars(out, cluster->current_epoch, cluster->last_vote_epoch);
}

// ---- Events ----

static void on_link_down(struct cluster *cluster, struct cluster_link link, bool refused) {
    struct peer *peer = peer_of_handle(cluster, link.node);
    if (peer) {
        heartbeat_link_down(cluster, peer, refused);
        return;
    }
    for (uint32_t i = 0; link.inbound && i < cluster->peers_end; i++)
        if (cluster->inbound[i] == link.inbound) cluster->inbound[i] = 0;
}

static void on_sign_of_life(struct cluster *cluster, struct cluster_link link) {
    struct peer *linked = peer_of_handle(cluster, link.node);
    if (linked) linked->data_received = linked->link_heard = cluster->now;
    PEERS_EACH(cluster, peer) {
        if (link.inbound && cluster->inbound[peer->index] == link.inbound) peer->data_received = cluster->now;
    }
}

static void on_saved(struct cluster *cluster, uint64_t number, bool ok) {
    if (ok) {
        cluster->saved_number = max64(cluster->saved_number, number);
        cluster->save_failed = false;
        return;
    }
    if (!cluster->save_failed)
        action_note(cluster, LOG_WARNING, "Can't save the cluster configuration; trying again.");
    cluster->save_failed = true;
    cluster->save_again = cluster->now + SAVE_RETRY_MS;
}

static void on_replication(struct cluster *cluster, const struct cluster_event *event) {
    cluster->myself->replication_offset = event->replication.offset;
    cluster->writes_paused = event->replication.writes_paused;
    cluster->primary_link_up = event->replication.primary_link_up;
    cluster->ever_synchronised = event->replication.ever_synchronised;
    cluster->data_age = event->replication.data_age;
    cluster->data_age_time = cluster->now;
    manual_update(cluster);
    if (peer_is(cluster->myself, CLUSTER_NODE_REPLICA)) cluster->todo |= TODO_ELECTION;
}

// Time that this process did not run (stopped, swapped out, its machine asleep) says nothing about others.
static void notice_own_sleep(struct cluster *cluster) {
    bool slept = elapsed(cluster, cluster->last_step) > max64(cluster->config.node_timeout / 2, 2 * TICK_MS);
    // Nor does the silence of those whom we ask nothing because we are stalled.
    if (slept || cluster->stalled) cluster->awake_since = cluster->now;
    cluster->last_step = cluster->now;
}

// Who can't serve is mute, so that it is failed over like a dead one. It hears meanwhile who took its place.
static void on_stall(struct cluster *cluster, bool stalled) {
    if (cluster->stalled == stalled) return;
    cluster->stalled = stalled;
    if (!stalled) heartbeat_speak_again(cluster);
    cluster->todo |= TODO_ELECTION;
}

static void on_tick(struct cluster *cluster) {
    manual_update(cluster);
    heartbeat_tick(cluster);
    if (cluster->save_failed && cluster->now >= cluster->save_again)
        cluster->todo |= TODO_SAVE | TODO_PROMISE | TODO_SAVE_SYNC;
}

static void dispatch(struct cluster *cluster, const struct cluster_event *event) {
    switch (event->kind) {
    case CLUSTER_EVENT_TICK: on_tick(cluster); break;
    case CLUSTER_EVENT_PACKET: recv_packet(cluster, event); break;
    case CLUSTER_EVENT_DATA: on_sign_of_life(cluster, event->link); break;
    case CLUSTER_EVENT_LINK_UP: {
        struct peer *peer = peer_of_handle(cluster, event->link.node);
        if (peer) heartbeat_link_up(cluster, peer);
        break;
    }
    case CLUSTER_EVENT_LINK_DOWN: on_link_down(cluster, event->link, false); break;
    case CLUSTER_EVENT_LINK_REFUSED: on_link_down(cluster, event->link, true); break;
    case CLUSTER_EVENT_SAVED: on_saved(cluster, event->saved.number, event->saved.ok); break;
    case CLUSTER_EVENT_ORDER: admin_order(cluster, &event->order); break;
    case CLUSTER_EVENT_REPLICATION: on_replication(cluster, event); break;
    case CLUSTER_EVENT_STALL: on_stall(cluster, event->stalled); break;
    }
}

// ---- The end of a step: what the event has set off ----

// Tells the driver whom to replicate from, when that has changed.
static void tell_role(struct cluster *cluster) {
    struct peer *myself = cluster->myself;
    if (!peer_is(myself, CLUSTER_NODE_REPLICA)) {
        if (cluster->told_replica) action_add(cluster, CLUSTER_ACTION_BECOME_PRIMARY);
        cluster->told_replica = false;
        cluster->told_primary = NO_PEER;
        return;
    }
    struct peer *primary = peer_at(cluster, myself->primary);
    if (primary == NULL || primary->ip[0] == '\0') return;
    if (cluster->told_replica && cluster->told_primary == primary->index &&
        cluster->told_port == primary->port && strcmp(cluster->told_ip, primary->ip) == 0)
        return;
    cluster->told_replica = true;
    cluster->told_primary = primary->index;
    cluster->told_port = primary->port;
    memcpy(cluster->told_ip, primary->ip, sizeof(cluster->told_ip));
    struct cluster_action *action = action_add(cluster, CLUSTER_ACTION_BECOME_REPLICA);
    memcpy(action->primary.ip, primary->ip, sizeof(primary->ip));
    action->primary.port = primary->port;
    action->primary.node = peer_handle(primary);
}

// The file has a line for each node, and the more there are the more often one of them changes.
static uint64_t save_delay(const struct cluster *cluster) {
    return TICK_MS + TICK_MS * (cluster->peers_count / SMALL_CLUSTER);
}

// A promise is saved at once; what is only knowledge about others waits for a tick, in a large cluster for
// some, so that many changes share a save. One that is knowledge only still has to be forced to the disk
// while a promise is not there: it takes the place of the save that was to bring it, and when it succeeds the
// promise counts as saved.
static void save(struct cluster *cluster) {
    if (!(cluster->todo & TODO_SAVE)) return;
    if (!(cluster->todo & TODO_SAVE_SYNC)) {
        if (cluster->next_save == 0) cluster->next_save = cluster->now + save_delay(cluster);
        if (cluster->now < cluster->next_save) return; // stays in todo
    }
    struct cluster_action *action = action_add(cluster, CLUSTER_ACTION_SAVE);
    action->save.number = ++cluster->save_number;
    bool owes = cluster->save_failed || cluster->promise_number > cluster->saved_number;
    action->save.sync = owes || (cluster->todo & (TODO_SAVE_SYNC | TODO_PROMISE)) != 0;
    if (cluster->todo & TODO_PROMISE) cluster->promise_number = cluster->save_number;
    cluster->todo &= ~(uint32_t)(TODO_SAVE | TODO_PROMISE | TODO_SAVE_SYNC);
    cluster->next_save = 0;
}

static bool take_todo(struct cluster *cluster, uint32_t what) {
    bool set = (cluster->todo & what) != 0;
    cluster->todo &= ~what;
    return set;
}

// The first suspicion is told at once; where many follow each other, those of a tick share a message.
static void tell_suspicions(struct cluster *cluster) {
    if (cluster->now < cluster->suspicions_told + TICK_MS) return; // stays in todo
    if (!take_todo(cluster, TODO_SUSPICION)) return;
    speak_suspicions(cluster);
    cluster->suspicions_told = cluster->now;
}

static void finish(struct cluster *cluster) {
    if (take_todo(cluster, TODO_ELECTION)) election_update(cluster);
    if (take_todo(cluster, TODO_STATE)) state_count(cluster);
    if (take_todo(cluster, TODO_CLOCK)) state_update(cluster);
    tell_role(cluster);
    tell_suspicions(cluster);
    failure_tell_news(cluster);
    if (cluster->now >= cluster->forget_news_at) speak_forgotten(cluster);
    save(cluster);
    spoken_update(cluster);
    if (!take_todo(cluster, TODO_ROUTES)) return;
    cluster->routes_version++;
    action_add(cluster, CLUSTER_ACTION_PUBLISH_ROUTES);
}

const struct cluster_actions *cluster_step(struct cluster *cluster, const struct cluster_event *event) {
    actions_begin(cluster);
    set_time(cluster, event->now, event->unix_now);
    notice_own_sleep(cluster);
    reports_age(cluster);
    dispatch(cluster, event);
    finish(cluster);
    actions_end(cluster);
    return &cluster->actions;
}

uint64_t cluster_deadline(const struct cluster *cluster) {
    uint64_t deadline = min64(cluster->next_tick, min64(cluster->next_suspicion, election_deadline(cluster)));
    deadline = min64(deadline, min64(cluster->next_fail_news, cluster->forget_news_at));
    return deadline > CLOCK_BASE ? deadline - CLOCK_BASE : 0;
}
