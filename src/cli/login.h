// login: what is said to a server before anything else. Without state.
#ifndef SHOAL_CLI_LOGIN_H
#define SHOAL_CLI_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/connection.h"
#include "cli/options.h"

// AUTH, when there is a password. False when it failed: then *reply is the server's refusal, valid until the
// next reply is read, or NULL when the connection is lost.
bool login_try(struct connection *connection, const struct options *options, const struct reply **reply);

// The same; what failed is said on standard error unless `quiet`.
bool login_authenticate(struct connection *connection, const struct options *options, bool quiet);

// SELECT, when `db` is not 0. The same.
bool login_select(struct connection *connection, int64_t db);

// HELLO 3, when RESP3 is wanted.
bool login_switch_protocol(struct connection *connection, const struct options *options);

#endif
