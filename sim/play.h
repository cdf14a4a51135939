// play: a virtual cluster that takes orders in words, for scenarios.
// Thread: belongs to the thread that made it.
#ifndef SHOAL_SIM_PLAY_H
#define SHOAL_SIM_PLAY_H

#include <stdbool.h>
#include <stdio.h>

#include "base/buffer.h"
#include "sim/options.h"

struct play;

// Nothing runs before the first order, which must be "nodes".
struct play *play_create(const struct options *options, FILE *echo);
void play_destroy(struct play *play);

// Carries out one order. What happens in the cluster meanwhile, and what is wrong with the order, is appended
// to `output`, line by line. An order that is not understood says so there.
void play_order(struct play *play, const char *words, struct buffer *output);

// Did a checker fail? Says which.
bool play_failed(const struct play *play, FILE *report);

void play_print_trace(const struct play *play, FILE *to);

#endif
