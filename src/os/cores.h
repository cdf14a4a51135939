// cores: what the kernel knows of the time that cores and threads have spent. Linux: /proc/stat,
// /proc/self/task.
#ifndef SHOAL_OS_CORES_H
#define SHOAL_OS_CORES_H

#include <stdbool.h>
#include <stdint.h>

// Cores that this process may use: those of its affinity mask, or as many as its control groups (cgroup v2) have time for,
// rounded up, if that is less. At least 1. Thread: any.
unsigned cores_usable(void);

// The time that a control group and those around it may have, in cores: the least of their quotas, 0 when they have none.
// `mount`: where the groups are ("/sys/fs/cgroup"); `group`: a path below it that begins with '/'. Source: the kernel's
// documentation, "Control Group v2", cpu.max.
double cores_of_group(const char *mount, const char *group);

// Microseconds that the cores usable by this process have been free for it since the machine started, all
// together: idle, or at work only for those who stand back ("nice"). -1: it is not to be known. Thread: any.
int64_t cores_free_us(void);

// The calling thread as the kernel numbers it.
int cores_thread_id(void);

// Nanoseconds that a thread of this process has had a core, and that it was ready to run and had none, since
// it started. False: it is not to be known. Thread: any.
bool cores_thread_times(int thread_id, int64_t *ran_ns, int64_t *waited_ns);

#endif
