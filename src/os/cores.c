#include "os/cores.h"

#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_MAX_SIZE = 4096, LINE_MAX_SIZE = 512 };

// The quota of one group: "150000 100000" are microseconds in each period, "max 100000" is none. 0: none.
static double quota_of(const char *mount, const char *group) {
    char path[PATH_MAX_SIZE];
    bool fits = snprintf(path, sizeof path, "%s%s/cpu.max", mount, group) < (int)sizeof path;
    FILE *file = fits ? fopen(path, "re") : NULL;
    if (!file) return 0;
    double quota = 0, period = 0;
    bool limited = fscanf(file, "%lf %lf", &quota, &period) == 2 && quota > 0 && period > 0;
    fclose(file);
    return limited ? quota / period : 0;
}

double cores_of_group(const char *mount, const char *group) {
    char path[PATH_MAX_SIZE];
    double least = 0;
    snprintf(path, sizeof path, "%s", group);
    for (;;) {
        double quota = quota_of(mount, path);
        if (quota > 0 && (least == 0 || quota < least)) least = quota;
        char *last = strrchr(path, '/');
        if (!last) return least;
        *last = '\0'; // the group around it; at last the root, whose file a container sees as its own
    }
}

// The quota of this process's group; 0: none, or not to be known.
static double own_quota(void) {
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file) return 0;
    char line[PATH_MAX_SIZE];
    double quota = 0;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "0::/", 4) == 0) quota = cores_of_group("/sys/fs/cgroup", line + 3);
    }
    fclose(file);
    return quota;
}

unsigned cores_usable(void) {
    cpu_set_t mask;
    int count = sched_getaffinity(getpid(), sizeof mask, &mask) == 0 ? CPU_COUNT(&mask) : 1;
    double quota = own_quota();
    if (quota > 0 && quota < count) count = (int)ceil(quota);
    return count > 0 ? (unsigned)count : 1;
}

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
    char line[LINE_MAX_SIZE];
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
