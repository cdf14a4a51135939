// heir: what a departing primary says to the client port of the replica that is to take its place, and what
// it makes of the answer. Pure. It is the same for a Shoal and for a redis-server. Thread: its owner's.
#ifndef SHOAL_BUS_HEIR_H
#define SHOAL_BUS_HEIR_H

#include "base/buffer.h"
#include "base/bytes.h"

enum { HEIR_ANSWER_MAX = 4096 }; // bytes; who says more than that is no replica of ours

// Appends the login, where there is a password (`user` may be ""), and CLUSTER FAILOVER. Returns how many
// answers come.
unsigned heir_request(const char *user, const char *password, struct buffer *out);

enum heir_verdict { HEIR_WAIT, HEIR_TAKES_OVER, HEIR_REFUSES };

// What the replica has said so far to a request with that many answers. *why: its error where it refuses, a
// view into `said`. Whether the login was wanted does not matter, the last answer does.
enum heir_verdict heir_answer(struct bytes said, unsigned answers, struct bytes *why);

#endif
