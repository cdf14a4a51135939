#include "server/load_watch.h"

#include <stdint.h>

#include "os/clock.h"
#include "os/cores.h"
#include "server/crew.h"
#include "server/worker.h"

// Of a number that only grows: what it has grown by since it was looked at last, if it was looked at then.
struct growing {
    int64_t value;
    unsigned looked_at; // `looks` then
};

static unsigned looks = 1; // so far
static struct growing idle_ns[WORKERS_MAX], ran_ns[WORKERS_MAX], waited_ns[WORKERS_MAX], free_us, clock_us;

// -1: not known.
static int64_t growth(struct growing *number, int64_t now) {
    bool known = number->looked_at && number->looked_at == looks - 1 && now >= 0 && number->value >= 0;
    int64_t grown = known ? now - number->value : -1;
    *number = (struct growing){now, looks};
    return grown;
}

// What has grown by nanoseconds, as a part of the period; 0 while it is not known.
static double in_cores(int64_t grown_ns, int64_t period_us) {
    return grown_ns < 0 ? 0 : (double)grown_ns / 1000 / (double)period_us;
}

static double awake_cores(unsigned worker, int64_t period_us) {
    int64_t idle = growth(&idle_ns[worker], worker_idle_ns(worker_at(worker)));
    double awake = 1 - in_cores(idle, period_us);
    return idle < 0 || awake < 0 ? 0 : awake;
}

static void add_times(struct crew_period *period, unsigned worker, int64_t period_us) {
    int64_t ran = -1, waited = -1;
    cores_thread_times(worker_thread_id(worker_at(worker)), &ran, &waited);
    period->ran += in_cores(growth(&ran_ns[worker], ran), period_us);
    period->waiting += in_cores(growth(&waited_ns[worker], waited), period_us);
}

// Where the system does not tell, it has cores enough.
static double idle_cores(int64_t period_us) {
    int64_t now = cores_free_us();
    if (now < 0) return cores_usable();
    int64_t idle = growth(&free_us, now);
    return idle < 0 ? -1 : (double)idle / (double)period_us;
}

void load_watch_cron(void) {
    unsigned total = workers_count(), serving = crew_size();
    if (total == 1) return;
    looks++;
    int64_t period_us = growth(&clock_us, clock_mono_us());
    struct crew_period period = {0};
    if (period_us <= 0) period_us = 1;
    for (unsigned i = total - serving; i < total; i++) {
        period.awake += awake_cores(i, period_us);
        if (serving > 1) add_times(&period, i, period_us);
    }
    if (crew_needs_idle(&period)) {
        period.idle = idle_cores(period_us);
        if (period.idle < 0) return; // known from the next time on
    }
    crew_judge(&period);
}
