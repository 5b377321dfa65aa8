#include "agents/cron/plan.h"

#include "agents/cron/next.h"

#define BACK_S 3600 /* how far plan_latest looks back at first */

bool plan_next(const struct plan *plan, int64_t after_s, int64_t *next_s)
{
    struct zone zone;
    bool found;

    if (plan->every_s > 0) {
        *next_s = (after_s / plan->every_s + 1) * plan->every_s;
        return true;
    }
    if (zone_load(ZONE_DIRECTORY, plan->zone, &zone) != ZONE_OK) {
        return false;
    }
    found = next_time(&plan->expression, &zone, after_s, next_s);
    zone_unload(&zone);
    return found;
}

/* Forward from a time that has one. Twice as far back each time, until it has: so the times that
 * are passed on the way are those of an hour, or few. */
bool plan_latest(const struct plan *plan, int64_t after_s, int64_t until_s, int64_t *latest_s)
{
    int64_t back_s = BACK_S, from_s, at_s;

    if (plan->every_s > 0) {
        *latest_s = until_s / plan->every_s * plan->every_s;
        return *latest_s > after_s;
    }
    for (;; back_s *= 2) {
        from_s = until_s - back_s > after_s ? until_s - back_s : after_s;
        if (!plan_next(plan, from_s, &at_s)) {
            return false;
        }
        if (at_s <= until_s) {
            break;
        }
        if (from_s == after_s) {
            return false;
        }
    }
    do {
        *latest_s = at_s;
    } while (plan_next(plan, *latest_s, &at_s) && at_s <= until_s);
    return true;
}
