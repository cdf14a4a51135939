// ask: one question and its answer over a connection of its own, for what is not load: CONFIG GET, CLUSTER
// NODES. Blocks, at most ASK_TIMEOUT_MS for a step. Thread: any.
#ifndef SHOAL_BENCH_ASK_H
#define SHOAL_BENCH_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "bench/options.h"

enum { ASK_TIMEOUT_MS = 1000, ASK_ANSWER_MAX = 64 << 20, ASK_ERROR_MAX = 256 };

// The requests that open a connection as the options want it (HELLO, AUTH, SELECT); appends them to `out` and
// returns how many replies they bring.
unsigned ask_greeting(const struct options *options, struct buffer *out);

// Connects to host:port (or to options->socket when `host` is NULL), asks, and leaves the last bulk string or
// line of the answer in `answer`. False with the reason in `error`.
bool ask(const struct options *options, const char *host, uint16_t port, const struct bytes *question,
         size_t count, struct buffer *answer, char error[ASK_ERROR_MAX]);

#endif
