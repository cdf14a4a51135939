#include "server/crash.h"

#include <execinfo.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ucontext.h>
#include <unistd.h>

#include "commands/version.h"
#include "server/logging.h"

enum { FRAMES_MAX = 100, STACK_SIZE = 64 * 1024 };

static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

// Everything below runs in a signal handler: only calls that may be made there (snprintf of numbers and short texts into
// the stack is, with this C library).
static void say(int fd, const char *format, const char *text, unsigned long number) {
    char line[256];
    int size = snprintf(line, sizeof line, format, (int)getpid(), text, number);
    if (size > 0 && write(fd, line, size < (int)sizeof line ? (size_t)size : sizeof line - 1) < 0) return;
}

static void write_backtrace(int fd) {
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    say(fd, "%d:M # ------ STACK TRACE ------%s\nBacktrace:%.0lu\n", "", 0);
    backtrace_symbols_fd(frames, count, fd);
}

static void write_report(const char *reason, unsigned long number) {
    char thread[17] = "";
    int fd = logging_crash_fd();
    prctl(PR_GET_NAME, thread, 0, 0, 0);
    say(fd, "\n\n=== SHOAL BUG REPORT START: Cut & paste starting from here ===\n%d:M # %s%.0lu\n", "", 0);
    say(fd, "%d:M # Shoal " SHOAL_VERSION " (Redis " REDIS_VERSION ") crashed by %s: %lu\n", reason, number);
    say(fd, "%d:M # In the thread '%s'%.0lu\n", thread, 0);
    write_backtrace(fd);
    say(fd, "%d:M # %s%.0lu\n=== SHOAL BUG REPORT END. Make sure to include from START to END. ===\n", "", 0);
}

static void crashed(int number, siginfo_t *info, void *context) {
    write_report("signal", (unsigned long)number);
    int fd = logging_crash_fd();
    if (number == SIGSEGV || number == SIGBUS)
        say(fd, "%d:M # Accessing address: %s0x%lx\n", "", (unsigned long)(uintptr_t)info->si_addr);
    signal(number, SIG_DFL);
    raise(number);
}

void crash_watch(bool enabled) {
    static bool warmed_up;
    if (!warmed_up) { // the first backtrace loads a library: better now than in a handler
        void *frames[1];
        backtrace(frames, 1);
        warmed_up = true;
        static char room[STACK_SIZE];
        stack_t stack = {.ss_sp = room, .ss_size = sizeof room};
        sigaltstack(&stack, NULL);
    }
    struct sigaction action = {.sa_sigaction = crashed, .sa_flags = SA_NODEFER | SA_ONSTACK | SA_RESETHAND | SA_SIGINFO};
    if (!enabled) action = (struct sigaction){.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof fatal_signals / sizeof *fatal_signals; i++)
        sigaction(fatal_signals[i], &action, NULL);
}

void crash_now(const char *reason) {
    write_report(reason, 0);
    signal(SIGABRT, SIG_DFL);
    abort();
}
