#include "os/cores.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// A line "cpu3 user nice system idle iowait ...", in clock ticks: the free ones among them. False: another
// line.
static bool parse_core(const char *line, int *core, uint64_t *free_ticks) {
    uint64_t user, nice, system, idle, waiting;
    if (sscanf(line, "cpu%d %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, core, &user, &nice,
               &system, &idle, &waiting) != 6)
        return false;
    *free_ticks = nice + idle + waiting;
    return true;
}

int64_t cores_free_us(void) {
    cpu_set_t usable;
    if (sched_getaffinity(getpid(), sizeof usable, &usable) != 0) return -1;
    FILE *file = fopen("/proc/stat", "re");
    if (!file) return -1;
    char line[512];
    uint64_t sum = 0, ticks;
    int core, found = 0;
    while (fgets(line, sizeof line, file) && strncmp(line, "cpu", 3) == 0) {
        if (!parse_core(line, &core, &ticks) || core >= CPU_SETSIZE || !CPU_ISSET((unsigned)core, &usable))
            continue;
        sum += ticks;
        found++;
    }
    fclose(file);
    return found ? (int64_t)(sum * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK)) : -1;
}

int cores_thread_id(void) {
    return gettid();
}

bool cores_thread_times(int thread_id, int64_t *ran_ns, int64_t *waited_ns) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", thread_id);
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool fine = fscanf(file, "%" SCNd64 " %" SCNd64, ran_ns, waited_ns) == 2;
    fclose(file);
    return fine;
}
