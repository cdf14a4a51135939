#include "cli/cluster_interrupt.h"

#include <signal.h>
#include <stddef.h>

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
static volatile sig_atomic_t noted;

static void note(int number) {
    (void)number;
    noted = 1;
}

void interrupt_watch(void) {
    // SA_RESETHAND: whoever asks twice does not want to wait for the step to end.
    struct sigaction action = {.sa_handler = note, .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
}

void interrupt_unwatch(void) {
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], SIG_DFL);
}

bool interrupt_noted(void) {
    return noted != 0;
}
