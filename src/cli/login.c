#include "cli/login.h"

#include <stdio.h>

#include "base/numbers.h"

// Says on standard error that `what` failed, if it did.
static bool succeeded(struct connection *connection, const struct reply *reply, const char *what,
                      bool quiet) {
    if (connection_reply_is_fine(reply)) return true;
    if (quiet) return false;
    if (reply)
        fprintf(stderr, "%s failed: %.*s\n", what, (int)reply->text.size, reply->text.data);
    else
        fprintf(stderr, "Error: %s\n", connection_error(connection));
    return false;
}

bool login_try(struct connection *connection, const struct options *options, const struct reply **reply) {
    *reply = NULL;
    if (!options->password) return true;
    *reply = options->user ? CONNECTION_ASK(connection, "AUTH", options->user, options->password)
                           : CONNECTION_ASK(connection, "AUTH", options->password);
    return connection_reply_is_fine(*reply);
}

bool login_authenticate(struct connection *connection, const struct options *options, bool quiet) {
    const struct reply *reply;
    return login_try(connection, options, &reply) || succeeded(connection, reply, "AUTH", quiet);
}

bool login_select(struct connection *connection, int64_t db) {
    if (db == 0) return true;
    char number[NUMBER_TEXT_MAX], what[NUMBER_TEXT_MAX + sizeof "SELECT "];
    number_format(number, db);
    snprintf(what, sizeof what, "SELECT %s", number);
    return succeeded(connection, CONNECTION_ASK(connection, "SELECT", number), what, false);
}

bool login_switch_protocol(struct connection *connection, const struct options *options) {
    if (options->protocol != 3) return true;
    const struct reply *reply = CONNECTION_ASK(connection, "HELLO", "3");
    return succeeded(connection, reply, "HELLO 3", options->protocol_implied);
}
