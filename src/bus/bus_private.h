// What the files of this folder share. Everything here belongs to the bus thread unless it says otherwise.
#ifndef SHOAL_BUS_PRIVATE_H
#define SHOAL_BUS_PRIVATE_H

#include "bus/bus.h"
#include "bus/stall.h"
#include "call/call.h"
#include "cluster/cluster.h"
#include "cluster/cluster_view.h"

struct bus {
    struct loop *loop;
    struct cluster *cluster;
    struct bus_config config;
    struct keyspace *keyspace;
    struct gate *gate;
    struct loop *worker_loop;
    struct dispatcher *dispatcher; // worker 0's
    char source_address[64];
    struct timer tick;
    uint64_t saved;       // number of the last save that is on disk
    uint64_t save_due;    // number of the last save that was asked for in this turn, 0: none
    bool publish_due;     // the routes changed in this turn
    unsigned becoming_primary; // orders to become a primary that worker 0 has not carried out yet: until then the routes
                               // must not say that slots are served here, or a write would be told READONLY
    uint64_t links_over_limit;
    bool pausing; // PAUSE_WRITES is in force since `pause_mark`
    struct gate_mark pause_mark;
    uint64_t (*progress)(bool *at_work);
    struct stall_watch stall;
};
extern struct bus bus;

uint64_t bus_now(void); // monotonic ms

// Delivers an event and carries out the actions.
void bus_step(struct cluster_event *event);
void bus_note_replication(void); // the REPLICATION event

// links.c
void links_init(void);
bool links_listen(const char *const *addresses, uint16_t port, struct buffer *error);
void links_send(struct cluster_link link, struct cluster_message *message, uint64_t save);
void links_connect(cluster_node node, const char *ip, uint16_t port);
void links_disconnect(struct cluster_link link);
void links_flush_held(void);             // a save is through
void links_drop_held(uint64_t save);     // or failed: what waits for it is not said
void links_close_all(void);
void links_drop_quiet(void);             // inbound links over which nobody speaks any more
void links_free_dead(void);              // at the end of a turn: no event of it names them any more
void links_reply(struct reply *reply);   // CLUSTER LINKS

// nodes_file.c: nodes.conf, written on a thread of its own.
bool nodes_file_open(const char *path, struct buffer *text, struct buffer *error);
void nodes_file_save(uint64_t number, struct bytes text); // BUS gets SAVED in time
void nodes_file_close(void);

// routes.c
void routes_publish(void);
void routes_free_retired(void);
void routes_free_all(void); // once the workers have ended

// roles.c: what the core decided about keys and roles, done on worker 0 in exclusive mode.
void roles_become_primary(void);
void roles_become_replica(const char *ip, uint16_t port);
void roles_drop_slot(unsigned slot);
void roles_drop_all(void);

// orders.c: CLUSTER commands that the bus thread answers.
void orders_init(void);
void orders_submit(struct call *call); // a worker's thread; defers
void orders_outcome(const struct cluster_action *action);
void orders_release(void);             // outcomes whose save is through, whose routes are published and whose role is taken
void orders_fail(uint64_t save);
void orders_claim_slot(unsigned slot); // as ADDSLOTS, by ourselves

// handover.c: a replica takes our place before a shutdown.
void handover_look(void); // once a turn, when the routes are published: is it done, or taking too long?
void handover_end(void);  // the thread has ended

// views.c: the reading subcommands. False: no such subcommand here.
bool views_answer(const struct bytes *argv, int argc, struct reply *reply);

#endif
