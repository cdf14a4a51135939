// process_setup: what the program does to its own process: daemon, pid file, title, limits, supervisor. Main thread, at
// start, except what says otherwise.
#ifndef SHOAL_SERVER_PROCESS_SETUP_H
#define SHOAL_SERVER_PROCESS_SETUP_H

#include <stdbool.h>

// Remembers where the title goes. Called first in main.
void process_keep_title(int argc, char **argv);
// Sets the title by proc-title-template. `mode`: "cluster", "" ...
void process_set_title(const char *mode);

void process_daemonize(void);
void process_write_pid_file(void);
void process_remove_pid_file(void);

// Raises the limit of open files to what maxclients needs, or lowers maxclients to what there is. Exclusive mode too.
void process_raise_file_limit(void);
// As above for a new maxclients; false when the limit can't be raised that far.
bool process_can_have_clients(unsigned max_clients);

void process_disable_huge_pages(void);

// Which supervisor there is ("systemd", "upstart", "no"); and telling it.
const char *process_supervisor(void);
void process_tell_supervisor(const char *state); // "READY=1" ...; nothing happens without one

#endif
