// background: a thread that does what nobody waits for: freeing large things. Jobs run in order. Thread: any may add.
#ifndef SHOAL_SERVER_BACKGROUND_H
#define SHOAL_SERVER_BACKGROUND_H

#include <stdbool.h>
#include <stdint.h>

struct detached;

// Once, after the process has become what serves (a fork does not take threads along).
void background_start(void);

// Ends the thread once it is through with its job; what waits is left alone, or done first (`everything`). At shutdown.
void background_stop(bool everything);

// run(argument) on the background thread. When BACKGROUND_JOBS_MAX wait already, it is run at once instead.
enum { BACKGROUND_JOBS_MAX = 4096 };
void background_run(void (*run)(void *argument), void *argument);
void background_free(struct detached *content);

uint64_t background_pending(void), background_done(void);

#endif
