// scenario: a text file of orders to a virtual cluster, with the transcript of what must come of them.
//
// Lines that begin with '#' are comments. A line that begins with "> " is an order; the lines after it, up to
// the next order, are what must be printed: role, epoch and owner changes, and what the order itself prints.
// docs/simulator.md lists the orders. Thread: belongs to the thread that calls.
#ifndef SHOAL_SIM_SCENARIO_H
#define SHOAL_SIM_SCENARIO_H

#include <stdbool.h>
#include <stdio.h>

#include "sim/options.h"

// Plays the file and compares. False, with the difference on `report`, when the transcript is another one, a
// checker failed, or the file makes no sense. --trace prints the trace as it goes.
bool scenario_play(const char *path, const struct options *options, FILE *report);

#endif
