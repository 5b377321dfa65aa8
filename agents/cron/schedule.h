/* schedule: submits what is due, and sees what becomes of it.
 *
 * Each entry's next run is submitted half a minute before its time, with that time: the broker
 * starts it, by its clock. So an agent that ends in between misses nothing, and a clock that
 * differs from the broker's by some seconds does not matter. One thread, the runtime's. */
#ifndef SLUICE_CRON_SCHEDULE_H
#define SLUICE_CRON_SCHEDULE_H

#include "agents/cron/state.h"

struct schedule {
    struct sluice *sluice;
    struct entries entries;
    struct state state;
    uint64_t save_ms; /* not before, of the loop's clock */
    uv_timer_t timer;
};

/* Unix time. */
int64_t schedule_now_ms(void);

/* From here on the loop of `schedule->sluice` sees to it. */
int schedule_start(struct schedule *schedule);
/* Something was added or removed: look now. */
void schedule_wake(struct schedule *schedule);

#endif
