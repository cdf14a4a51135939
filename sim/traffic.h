// traffic: what a calm cluster sends, and how soon a change is known to all, as the cluster grows.
// Thread: a report belongs to the thread that calls.
#ifndef SHOAL_SIM_TRAFFIC_H
#define SHOAL_SIM_TRAFFIC_H

#include <stdbool.h>
#include <stdio.h>

#include "sim/options.h"

// Measures clusters of options->sizes nodes, one after the other, and writes a table, or with options->json
// an object. False when a checker failed, or a cluster did not agree in time; the reason is in the report.
bool traffic_report(const struct options *options, FILE *to);

#endif
