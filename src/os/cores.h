// cores: what the kernel knows of the time that cores and threads have spent. Linux: /proc/stat,
// /proc/self/task.
#ifndef SHOAL_OS_CORES_H
#define SHOAL_OS_CORES_H

#include <stdint.h>

// Microseconds that the cores usable by this process have been free for it since the machine started, all
// together: idle, or at work only for those who stand back ("nice"). -1: it is not to be known. Thread: any.
int64_t cores_free_us(void);

// The calling thread as the kernel numbers it.
int cores_thread_id(void);

// Microseconds that a thread of this process has been ready to run and had no core, since it started. -1: it
// is not to be known. Thread: any.
int64_t cores_waited_us(int thread_id);

#endif
