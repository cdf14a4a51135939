// cluster_interrupt: Ctrl-C, SIGTERM and a closed terminal as a wish that long runs look at between two
// steps, so that they stop where nothing is half done. Belongs to the main thread.
#ifndef SHOAL_CLI_CLUSTER_INTERRUPT_H
#define SHOAL_CLI_CLUSTER_INTERRUPT_H

#include <stdbool.h>

// From now on the signals are noted instead of ending the process; a second one ends it.
void interrupt_watch(void);

// Back to how it was; what was noted stays noted.
void interrupt_unwatch(void);

bool interrupt_noted(void);

#endif
