#include "server/sockets.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "server/config.h"
#include "server/listener.h"

// An address with a '-' before it may be missing on this machine, as may the family of one that stands for all.
static bool is_forgiven(bool optional, int error) {
    return optional && (error == -EADDRNOTAVAIL || error == -EAFNOSUPPORT || error == -EPROTONOSUPPORT ||
                        error == -ENOPROTOOPT || error == -EPFNOSUPPORT || error == -ESOCKTNOSUPPORT);
}

static bool open_address(const char *address) {
    bool optional = address[0] == '-';
    int result = listener_open_tcp(address + optional, config.port, config.tcp_backlog);
    if (result >= 0 || is_forgiven(optional, result)) return true;
    log_write(LOG_WARNING, "Warning: Could not create server TCP listening socket %s:%u: bind: %s", address + optional,
              config.port, strerror(-result));
    log_write(LOG_WARNING, "Failed listening on port %u (TCP), aborting.", config.port);
    return false;
}

static bool open_tcp(struct buffer *error) {
    if (config.port == 0) return true;
    for (unsigned i = 0; i < config.bind_count; i++) {
        if (open_address(config.bind[i])) continue;
        buffer_append_string(error, "Failed to bind to specified addresses.");
        return false;
    }
    return true;
}

bool sockets_open(struct buffer *error) {
    listener_close_all();
    bool fine = open_tcp(error);
    if (fine && config.unixsocket[0]) {
        unlink(config.unixsocket);
        int result = listener_open_unix(config.unixsocket, config.unixsocket_mode, config.tcp_backlog);
        if (result < 0) {
            buffer_appendf(error, "Failed opening Unix socket: bind: %s", strerror(-result));
            fine = false;
        }
    }
    if (!fine) listener_close_all();
    buffer_string(error);
    return fine;
}
