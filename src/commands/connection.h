// connection: the functions of the commands about the connection itself, for the table in connection_table.c.
#ifndef SHOAL_COMMANDS_CONNECTION_H
#define SHOAL_COMMANDS_CONNECTION_H

#include <stdbool.h>

#include "base/bytes.h"

struct call;
struct session;

// connection.c
void connection_auth(struct call *call);
void connection_hello(struct call *call);
void connection_echo(struct call *call);
void connection_ping(struct call *call);
void connection_quit(struct call *call);
void connection_reset(struct call *call);
void connection_select(struct call *call);
void connection_asking(struct call *call);
void connection_readonly(struct call *call);
void connection_readwrite(struct call *call);

// client.c: CLIENT's subcommands about one's own session
void client_id(struct call *call);
void client_info(struct call *call);
void client_getname(struct call *call);
void client_setname(struct call *call);
void client_setinfo(struct call *call);
void client_no_evict(struct call *call);
void client_no_touch(struct call *call);
void client_reply(struct call *call);
void client_help(struct call *call);

// Names the session (an empty name takes it away). False, with the error replied, for a name with odd bytes.
bool client_set_name(struct call *call, struct bytes name);

// client_tracking.c: what it caches
void client_tracking(struct call *call); // runs exclusively
void client_caching(struct call *call);
void client_getredir(struct call *call);
void client_trackinginfo(struct call *call);

// client_others.c: and about others; these run exclusively
void client_list(struct call *call);
void client_kill(struct call *call);
void client_pause(struct call *call);
void client_unpause(struct call *call);
void client_unblock(struct call *call);

// command_info.c, command_docs.c, command_list.c: COMMAND
void command_all(struct call *call);
void command_info(struct call *call);
void command_docs(struct call *call);
void command_count_reply(struct call *call);
void command_list(struct call *call);
void command_getkeys(struct call *call);
void command_getkeysandflags(struct call *call);
void command_help(struct call *call);

#endif
