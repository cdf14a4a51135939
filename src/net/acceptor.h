// acceptor: listening sockets, and a loop that watches them. When the system has nothing left for another connection, the one
// that waits goes on waiting and the socket would tell of it again and again: the acceptor says so in the log, and rests for a
// while, in which some connection may end.
//
// Thread: the one whose loop watches; before it does, or while that thread stands still, another one may open and close.
#ifndef SHOAL_NET_ACCEPTOR_H
#define SHOAL_NET_ACCEPTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "net/loop.h"

enum { ACCEPTOR_SOCKETS_MAX = 32 };

struct acceptor {
    struct loop *loop; // that watches
    struct acceptor_socket {
        struct source source;
        struct acceptor *acceptor;
        bool is_unix;
        bool watched; // else the loop does not take it yet, or it rests
    } sockets[ACCEPTOR_SOCKETS_MAX];
    unsigned count;
    struct timer rest_over;
    unsigned at_once; // so many connections are accepted in a turn
    void (*accepted)(int fd, bool is_unix);
    const char *what; // for the log: "Accepting <what>: <error>"
    int64_t complain_at_us;
};

// Empty; `loop` watches what will be opened.
void acceptor_init(struct acceptor *acceptor, struct loop *loop, const char *what, unsigned at_once,
                   void (*accepted)(int fd, bool is_unix));

// Takes a listening socket. 0, or a negative errno (the socket is closed then); a negative `fd` is such an errno itself.
int acceptor_add(struct acceptor *acceptor, int fd, bool is_unix);

// Another loop watches from now on. `leave` on the thread of the one that did; then `enter` on the other's, or nobody does.
void acceptor_leave(struct acceptor *acceptor, struct loop *to);
void acceptor_enter(struct acceptor *acceptor);

// Closes the sockets. The rest, if there is one, runs out by itself.
void acceptor_close(struct acceptor *acceptor);

#endif
