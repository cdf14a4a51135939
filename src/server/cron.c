#include "server/cron.h"

#include "os/clock.h"
#include "replication/replication.h"
#include "server/config.h"
#include "server/load_watch.h"
#include "server/saving.h"
#include "server/shutdown.h"
#include "server/statistics.h"

enum { OFTEN_MS = 100 }; // what hz has no say in

static struct loop *cron_loop;
static struct dispatcher *cron_dispatcher;
static int64_t often_at_ms;
static bool paused;

void cron_pause(bool pause) {
    paused = pause;
}

static void run(struct timer *timer) {
    loop_timer_set(cron_loop, timer, clock_mono_us() + 1000000 / config.hz);
    int64_t now = cron_dispatcher->mono_ms;
    if (paused) return;
    statistics_sample(now);
    shutdown_cron(cron_dispatcher);
    if (now - often_at_ms < OFTEN_MS) return;
    often_at_ms = now;
    load_watch_cron();
    saving_cron(cron_dispatcher);
    replication_cron();
}

void cron_start(struct loop *loop, struct dispatcher *dispatcher) {
    static struct timer timer;
    cron_loop = loop;
    cron_dispatcher = dispatcher;
    timer_init(&timer, run);
    loop_timer_set(loop, &timer, clock_mono_us() + 1000000 / config.hz);
}
