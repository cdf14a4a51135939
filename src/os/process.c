#include "os/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int process_fork(void) {
    int parent = getpid();
    int pid = fork();
    if (pid < 0) return -errno;
    if (pid == 0) {
        // A child whose parent is gone has nobody to write for.
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
    }
    return pid;
}

void process_exit(int code) {
    _exit(code);
}

static int decode(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool process_ended(int pid, int *code) {
    int status;
    int got = waitpid(pid, &status, WNOHANG);
    if (got == 0) return false;
    *code = got == pid ? decode(status) : 1;
    return true;
}

int process_wait(int pid) {
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return 1;
    return decode(status);
}

void process_kill(int pid) {
    kill(pid, SIGKILL);
}

int process_id(void) {
    return getpid();
}

uint64_t process_private_dirty(int pid) {
    char line[256];
    snprintf(line, sizeof line, "/proc/%d/smaps_rollup", pid);
    FILE *file = fopen(line, "r");
    unsigned long long kilobytes = 0;
    if (!file) return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Private_Dirty: %llu kB", &kilobytes) == 1) break;
    fclose(file);
    return kilobytes * 1024;
}
