// client: the user's session with a server: connects, logs in, sends commands, prints replies, follows
// redirections. Belongs to one thread.
#ifndef SHOAL_CLI_CLIENT_H
#define SHOAL_CLI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "cli/connection.h"
#include "cli/options.h"

struct client;

// `options` must outlive the client. `interactive`: a lost connection is opened again instead of ending the
// process.
struct client *client_create(const struct options *options, bool interactive);
void client_destroy(struct client *client);

// Connects, unless connected; sends AUTH, SELECT and HELLO as the options want. What fails is said on
// standard error.
bool client_connect(struct client *client);

// Goes to another server (the CONNECT command).
bool client_move(struct client *client, const char *host, uint16_t port);

// Executes a command `repeat` times (negative: for ever) and prints each reply. False when the connection is
// lost and can't be had again.
bool client_execute(struct client *client, const struct bytes *arguments, size_t count, int64_t repeat);

// Is there a connection, as far as is known?
bool client_connected(const struct client *client);

// The connection, for modes that speak on it themselves; NULL when there is none.
struct connection *client_connection(struct client *client);

// A second connection to the same server with the same login, for the program's own questions; NULL when it
// can't be had. The caller closes it.
struct connection *client_open_aside(struct client *client);

// Appends "127.0.0.1:6379[2](TX)> " or what else fits.
void client_prompt(const struct client *client, struct buffer *out);

#endif
