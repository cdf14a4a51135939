// load_watch: how busy the workers are, and whether the machine has cores for more; told to the crew.
#ifndef SHOAL_SERVER_LOAD_WATCH_H
#define SHOAL_SERVER_LOAD_WATCH_H

// Looks at what there was since the last call; called about ten times a second. Thread: worker 0.
void load_watch_cron(void);

#endif
